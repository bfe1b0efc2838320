"""Re-ranking of descriptors of one's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cbirlab.base.params import Range
from cbirlab.index.exact import check_matrix
from cbirlab.index.lists import DEPTH, MOST_COMPLETE
from cbirlab.index.ranking import Ranking
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.methods import Reranking, rerank_answers
from cbirlab.whitening import normalise


def rerank(queries: Any, database: Any, method: str | Reranking, *, depth: int | None = None) -> Ranking:
    """Search descriptors exactly, then re-rank what is found.

    >>> import numpy as np
    >>> rerank(np.eye(2)[:1], np.eye(2), "decay(k=1)").images
    array([[0, 1]])

    Parameters
    ----------
    queries, database : (Q, D) and (N, D); rows are L2-normalised here. A row of zeros finds nothing and is not found.
    method : in `RERANKERS`, or several in a chain: "dba(k=3) > aqe(k=5)".
    depth : results of each query that are re-ranked and returned; by default all of up to 5,000 images, else 1,000.

    Returns
    -------
    (Q, depth) database rows and the scores of the last method, larger is better.

    Raises
    ------
    UnknownName, TypeError, ValueError : no such method or parameter; arrays of other shapes, NaN or infinity; a depth
        that is not in [1, N]; a method that needs pictures.
    """
    rows, asked = (_normalised(name, X) for name, X in (("database", database), ("queries", queries)))
    if rows.shape[1] != asked.shape[1]:
        raise ValueError(f"rerank: queries must have {rows.shape[1]} dimensions as the database, got {asked.shape[1]}.")
    if depth is not None:
        depth = int(Range(1, len(rows), integer=True).check("rerank", "depth", depth))
    return rerank_rows(asked, rows, Reranking.parse(method), depth)


def rerank_rows(
    queries: np.ndarray, database: np.ndarray, chain: Reranking, depth: int | None = None, own: np.ndarray | None = None
) -> Ranking:
    """The same for L2-normalised rows (Q, D) and (N, D); `own` (Q,) as in `Answers`."""
    if chain.compares_pictures:
        raise ValueError(f"rerank: {chain} compares pictures, but here are only descriptors; take a Recipe.")
    if depth is None:
        depth = len(database) if len(database) <= MOST_COMPLETE else DEPTH
    found = Answers.of_exact(queries, Gallery(database), depth)
    return rerank_answers(found if own is None else replace(found, own=own), chain).ranking


def _normalised(name: str, X: Any) -> np.ndarray:
    rows = check_matrix("rerank", name, X)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(f"rerank: row {int(finite.argmin())} of {name} holds NaN or infinity.")
    return normalise(np.asarray(rows, np.float64))
