"""Words: search for encodings that compare images word by word, like ASMK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cbirlab.index.base import check_depth, values_of
from cbirlab.index.ranking import Ranking, ranked


class WordIndex:
    """Compares all images with the query by the encoding's own similarity, which is not an inner product.

    Parameters
    ----------
    similarity : function of queries (Q, D) and images (N, D) that gives scores (Q, N), -inf for no answer.

    Attributes
    ----------
    database_ : (N, D), as given to `fit`; not copied.
    """

    def __init__(self, similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.similarity = similarity

    def fit(self, X: Any) -> WordIndex:
        """Take the database, (N, D) or `Rows` of one row each."""
        self.database_ = values_of("WordIndex", X)
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of the database's rows."""
        return self.database_.nbytes

    def search(self, Q: Any, k: int | None = None) -> Ranking:
        """Rank the database for each row of `Q`; the first `k`, or all.

        Raises
        ------
        ValueError : `k` is out of range, or the similarity refuses the rows.
        """
        depth = check_depth("WordIndex", k, len(self.database_))
        return ranked(self.similarity(values_of("WordIndex", Q), self.database_)).top(depth)
