"""Exact nearest neighbours: of descriptors with our own search, of points in the plane with a tree."""

from __future__ import annotations

import numpy as np

from cbirlab.base.progress import bar
from cbirlab.index import ExactIndex
from cbirlab.whitening import normalise

_BLOCK = 512


def unit_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a direction, at length one, (n, D) float32, and which of all rows they are, (N,) bool."""
    unit = normalise(rows)
    placed = np.asarray(unit.any(axis=1))
    return np.ascontiguousarray(unit[placed], dtype=np.float32), placed


def nearest(unit: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other rows of every row, the nearest first.

    Parameters
    ----------
    unit : (N, D), rows of length one.
    k : in [1, N - 1].

    Returns
    -------
    rows : (N, k) int64; equal ones are ordered by index.
    cosines : (N, k) float32, descending.
    """
    index = ExactIndex().fit(unit)
    rows, cosines = np.empty((len(unit), k), np.int64), np.empty((len(unit), k), np.float32)
    for start in bar(range(0, len(unit), _BLOCK), desc="neighbours", unit="block"):
        block = slice(start, start + _BLOCK)
        found = index.search(unit[block], k + 1)
        rows[block], cosines[block] = without_self(found.images, found.scores, np.arange(len(unit))[block])
    return rows, cosines


def without_self(found: np.ndarray, scores: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove each row itself from its k + 1 nearest; if equal rows crowded it out, remove the last one."""
    keep = found != own[:, None]
    keep[keep.all(axis=1), -1] = False
    return found[keep].reshape(len(found), -1), scores[keep].reshape(len(found), -1)


def nearest_on_map(points: np.ndarray, k: int, rows: np.ndarray | None = None) -> np.ndarray:
    """The k nearest other points of every point, or only of those in `rows`: (n, k) int64."""
    from scipy.spatial import KDTree

    own = np.arange(len(points)) if rows is None else rows
    distances, found = KDTree(points).query(points[own], k + 1)
    return without_self(np.asarray(found), np.asarray(distances), own)[0]
