"""How much of a map can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.base.progress import bar
from cbirlab.projection.neighbours import nearest_on_map, unit_rows

MOST_ROWS = 2000
_BLOCK = 256


def honesty(vectors: Any, points: Any, k: int = 10, *, rows: int = MOST_ROWS) -> dict[str, float]:
    """Trustworthiness and neighbour agreement of a map.

    With r(i, j) the rank of j among the neighbours of i in the descriptors and U(i) the k nearest of i on the map::

        trustworthiness = 1 - 2 / (N k (2 N - 3 k - 1)) sum over i, j in U(i) of max(0, r(i, j) - k)
        neighbour agreement = share of all j in U(i) with r(i, j) <= k

    1 is a map without false neighbours. Rows of zeros are left out; equal cosines rank by index.

    Parameters
    ----------
    vectors : (N, D), as given to `project`.
    points : (N, 2).
    k : number of neighbours; lowered if there are fewer than 2 k + 1 rows, because the formula does not go further.
    rows : with more rows than this, both are means over this many rows, drawn with a fixed seed.

    Returns
    -------
    measures : "trustworthiness", "neighbour_agreement" (NaN for fewer than 3 rows), "k" as used.

    Raises
    ------
    ValueError : shapes do not fit, or k < 1.

    References
    ----------
    Venna and Kaski, ICANN 2001.
    """
    vectors, points = np.asarray(vectors), np.asarray(points)
    if vectors.ndim != 2 or points.shape != (len(vectors), 2):
        raise ValueError(f"honesty: vectors (N, D) need points (N, 2), got {vectors.shape} and {points.shape}.")
    unit, placed = unit_rows(vectors)
    count = len(unit)
    k = fewer(k, (count - 1) // 2)
    if not k:
        return {"trustworthiness": float("nan"), "neighbour_agreement": float("nan"), "k": 0}
    chosen = np.arange(count) if count <= rows else np.sort(np.random.default_rng(0).choice(count, rows, replace=False))
    on_map = nearest_on_map(points[placed], k, chosen)
    ranks = _ranks(unit, chosen, on_map)
    beyond = np.clip(ranks - k, 0, None).sum(axis=1).mean()
    return {
        "trustworthiness": float(1 - 2 * beyond / (k * (2 * count - 3 * k - 1))),
        "neighbour_agreement": float((ranks <= k).mean()),
        "k": k,
    }


def shared_neighbours(one: Any, other: Any, k: int = 10) -> float:
    """Share of the k nearest points on one map (N, 2) that are among the k nearest on another; NaN below two points.

    Raises
    ------
    ValueError : shapes differ, or k < 1.
    """
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"shared_neighbours: maps must be (N, 2) alike, got {one.shape} and {other.shape}.")
    k = fewer(k, len(one) - 1)
    if not k:
        return float("nan")
    first, second = nearest_on_map(one, k), nearest_on_map(other, k)
    return float((first[:, :, None] == second[:, None, :]).any(axis=2).mean())


def fewer(k: int, most: int) -> int:
    """`k`, or the number of neighbours if there are not so many."""
    if not (isinstance(k, int | np.integer) and k >= 1):
        raise ValueError(f"k must be a whole number of neighbours from 1, got {k!r}.")
    return max(0, min(int(k), most))


def _ranks(unit: np.ndarray, chosen: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rank from 1 of the `others` (n, k) among the neighbours of each chosen row (n,)."""
    wide, index = unit.astype(np.float64), np.arange(len(unit))
    ranks = np.empty(others.shape, dtype=np.int64)
    for start in bar(range(0, len(chosen), _BLOCK), desc="trustworthiness", unit="block"):
        own, here = chosen[start : start + _BLOCK], others[start : start + _BLOCK]
        cosines = (wide[own] @ wide.T).astype(np.float32)
        cosines[np.arange(len(own)), own] = -np.inf
        for place in range(others.shape[1]):
            reached = np.take_along_axis(cosines, here[:, place, None], axis=1)
            before = (cosines == reached) & (index < here[:, place, None])
            ranks[start : start + _BLOCK, place] = (cosines > reached).sum(axis=1) + before.sum(axis=1) + 1
    return ranks
