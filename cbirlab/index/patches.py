"""Patches: search for images described view by view, comparing each view with all views of the other image."""

from __future__ import annotations

import numpy as np

from cbirlab.index.base import Rows, check_depth
from cbirlab.index.ranking import Ranking, ranked
from cbirlab.passes import match


class PatchIndex:
    """Patch-to-patch search of CNNaug-ss (Razavian et al., CVPRW 2014), see `cbirlab.passes.match`.

    Attributes
    ----------
    database_ : as given to `fit`; not copied.
    """

    def fit(self, X: Rows) -> PatchIndex:
        """Take the database, several rows for each image."""
        self.database_ = X
        self._counts = _counts("database", X)
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of all rows of the database."""
        return self.database_.values.nbytes

    def search(self, Q: Rows, k: int | None = None) -> Ranking:
        """Rank the database for each query; the first `k`, or all.

        Raises
        ------
        ValueError : `k` is out of range, or rows of another width.
        """
        images, depth = self.database_, check_depth("PatchIndex", k, len(self.database_))
        scores = match(Q.values, _counts("queries", Q), images.values, self._counts)
        return ranked(scores).top(depth)


def _counts(name: str, rows: Rows) -> np.ndarray:
    if rows.counts is None:
        raise ValueError(f"PatchIndex: {name} must be Rows with counts, how many rows each image has, got none.")
    return rows.counts
