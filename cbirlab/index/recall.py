"""Recall of the exact list: how much of it an approximate search finds. It says nothing of right and wrong answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.index.base import values_of
from cbirlab.index.exact import ExactIndex
from cbirlab.index.ranking import Ranking


def recall_of_exact(
    found: Ranking, queries: Any, images: Any, k: int = 10, *, exact: Ranking | None = None
) -> np.ndarray:
    """Share of the `k` nearest images of each query (Q,) that an approximate search returns among its first `k`.

    Exact scores are compared, not images: among images with the k-th score, the exact list keeps those that come first
    in the database, and any other of them is as near.

    Parameters
    ----------
    found : the ranking to judge; what it lacks of k results was not found.
    queries, images : the full descriptors (Q, D) and (N, D), or `Rows`. Only a block of their scores is made at a time.
    k : of a smaller database, all images are sought.
    exact : what `ExactIndex` finds for them, at least k deep, if it is at hand.

    Returns
    -------
    NaN for a query without a descriptor, or if no image has one.

    Raises
    ------
    ValueError : other queries, `k` below 1, images out of range or twice in a list, an exact list that is too short.
    """
    database, asked = np.asanyarray(values_of("recall", images)), np.asanyarray(values_of("recall", queries))
    if k != int(k) or k < 1:
        raise ValueError(f"recall: k must be a whole number of at least 1, got {k!r}.")
    depth = min(int(k), len(database))
    nearest = ExactIndex().fit(database).search(asked, depth) if exact is None else exact.top(depth)
    if nearest.images.shape != (len(asked), depth) or len(found) != len(asked):
        raise ValueError(
            f"recall: found and exact must have a list for each of {len(asked)} queries, exact with {depth} results "
            f"or more, got {len(found)} lists and {nearest.images.shape}; were they searched with other rows?"
        )
    returned = found.top(depth)
    sought, answers = nearest.answers(), returned.answers()
    shares = np.full(len(asked), np.nan)
    for query in np.flatnonzero(sought).tolist():
        rows = returned.images[query, : answers[query]]
        _check_rows(rows, len(database), query)
        count = sought[query]
        # not summed anew for rows of the exact list: another order of the sum may round otherwise
        hits = np.isin(rows, nearest.images[query, :count])
        others = database[rows[~hits]]
        scores = (others.astype(np.float64) @ asked[query].astype(np.float64)).astype(np.float32)
        near = (scores >= nearest.scores[query, count - 1]) & others.any(axis=1)
        shares[query] = (hits.sum() + near.sum()) / count
    return shares


def _check_rows(rows: np.ndarray, count: int, query: int) -> None:
    if rows.size and (rows.min() < 0 or rows.max() >= count or len(np.unique(rows)) < len(rows)):
        raise ValueError(
            f"recall: results must be different images in [0, {count - 1}], got another or one twice for query {query}."
        )
