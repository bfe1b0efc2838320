"""Matching: which local descriptors of two pictures look alike, by one matrix product and its maxima."""

from __future__ import annotations

import numpy as np


def match_by_ratio(queries: np.ndarray, rows: np.ndarray, ratio: float) -> np.ndarray:
    """Pair each row (n, D) with its nearest of the others (m, D), if it is nearer than `ratio` times the second.

    Lowe, IJCV 2004, section 7.1. Rows are of unit L2 norm or zero; without a second row there is no pair. Of several
    queries with the same partner the nearest keeps it, as a place is seen once in a picture; of equal ones the first.

    Returns
    -------
    pairs (k, 2): row of `queries`, row of `rows`, in the order of the queries.
    """
    if not len(queries) or len(rows) < 2:
        return np.zeros((0, 2), np.int64)
    products, each = queries @ rows.T, np.arange(len(queries))
    nearest = products.argmax(axis=1)
    first = products[each, nearest]
    products[each, nearest] = -np.inf
    second = products.max(axis=1)
    # |a - b|² = 2 - 2ab, and rounding must not make it negative
    kept = np.flatnonzero(np.maximum(1 - first, 0) < ratio**2 * np.maximum(1 - second, 0))
    return _one_to_one(kept[np.argsort(-first[kept], kind="stable")], nearest)


def match_mutually(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pair the rows (n, D) and (m, D) to which no other is nearer by inner product; a row has one partner, the first.

    Returns
    -------
    pairs (k, 2): row of `queries`, row of `rows`, in the order of the queries.
    """
    if not len(queries) or not len(rows):
        return np.zeros((0, 2), np.int64)
    products = queries @ rows.T
    nearest = products.argmax(axis=1)
    # the largest product of each column, not its place: numpy finds that several times as fast
    kept = np.flatnonzero(products[np.arange(len(queries)), nearest] == products.max(axis=0)[nearest])
    return _one_to_one(kept, nearest)


def _one_to_one(kept: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Pairs (k, 2) of some queries and their nearest rows, in the order of queries; the first given keeps a row."""
    kept = np.sort(kept[np.unique(nearest[kept], return_index=True)[1]])
    return np.stack([kept, nearest[kept]], axis=1)
