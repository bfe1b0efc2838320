"""Cells: a product quantiser from near: the cells of one group in the plane, distance tables, and paths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbirlab.compression.quantisers import PQ
from cbirlab.compression.scalar import unpack

MARGIN = 0.06
"""Of the range of what is drawn, left free around it."""


@dataclass(frozen=True, eq=False)
class GroupView:
    """One group of dimensions in the plane of its two leading axes; exact if it has two dimensions or one.

    Attributes
    ----------
    rows, centres : (N, 2) and (k, 2).
    cells : of each row, the number of its centre (N,).
    polygons : of each centre, the corners of what lies nearest to it in the plane; empty if another centre lies there.
    corners : lower left and upper right of what is drawn (2, 2).
    share : of the variance of the rows in this group, what the plane holds.
    agree : share of the rows that the plane shows in their own cell.
    columns, mean, axes : which dimensions the group has, the origin of the plane (w,) and its axes (w, 2).
    """

    rows: np.ndarray
    centres: np.ndarray
    cells: np.ndarray
    polygons: list[np.ndarray]
    corners: np.ndarray
    share: float
    agree: float
    columns: slice
    mean: np.ndarray
    axes: np.ndarray

    def place(self, prepared: np.ndarray) -> np.ndarray:
        """Where a query (D,) lies in the plane (2,), as `PQ.prepare` gives it."""
        return (prepared[self.columns].astype(np.float64) - self.mean) @ self.axes


def cells_of(code: PQ, codes: np.ndarray) -> np.ndarray:
    """Numbers of the centres (N, m) that packed codes name."""
    return unpack(codes, code.bits_, len(code.centres_))


def distance_table(code: PQ, query: np.ndarray) -> np.ndarray:
    """Squared distances (m, k) of each group of a query (D,) from each centre.

    The squared distance of the query from a decoded image is a sum of m of them, one in each row: its path.
    """
    parts = code.prepare(query[None]).astype(np.float64).reshape(len(code.centres_), 1, -1)
    return np.square(code.centres_.astype(np.float64) - parts).sum(axis=2)


def group_view(code: PQ, rows: np.ndarray, codes: np.ndarray, group: int) -> GroupView:
    """Look at one group of rows (N, D) and of their codes (N, W).

    Raises
    ------
    IndexError : no such group.
    """
    m, _, width = code.centres_.shape
    if not 0 <= group < m:
        raise IndexError(f"group_view: group must be in [0, {m - 1}], got {group}.")
    columns = slice(group * width, (group + 1) * width)
    part = code.space(rows)[:, columns].astype(np.float64)
    axes, share = leading_plane(part)
    mean = part.mean(axis=0)
    seen, centres = ((one - mean) @ axes for one in (part, code.centres_[group].astype(np.float64)))
    corners = frame_of(np.concatenate([seen, centres]))
    cells = cells_of(code, codes)[:, group]
    drawn = np.square(seen[:, None] - centres).sum(axis=2).argmin(axis=1)
    polygons = voronoi(centres, corners)
    agree = float((drawn == cells).mean())
    return GroupView(seen, centres, cells, polygons, corners, share, agree, columns, mean, axes)


def leading_plane(part: np.ndarray) -> tuple[np.ndarray, float]:
    """The two leading principal axes (w, 2) of rows (N, w), and their share of the variance.

    Two dimensions stay as they are; of a single one the second axis is empty.
    """
    width = part.shape[1]
    if width <= 2:
        return np.eye(width, 2), 1.0
    _, sizes, axes = np.linalg.svd(part - part.mean(axis=0), full_matrices=False)
    variance = np.square(sizes)
    axes = axes[:2].T * np.sign(axes[:2].sum(axis=1))  # so that they do not change sides from one machine to another
    return axes, float(variance[:2].sum() / max(variance.sum(), np.finfo(float).tiny))


def frame_of(points: np.ndarray) -> np.ndarray:
    """Lower left and upper right (2, 2) of a square that holds points (n, 2) with room around them."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = max(float((high - low).max()), np.finfo(np.float32).eps) * (0.5 + MARGIN)
    middle = (low + high) / 2
    return np.array([middle - half, middle + half])


def voronoi(centres: np.ndarray, corners: np.ndarray) -> list[np.ndarray]:
    """Inside a rectangle, the polygon (v, 2) of what lies nearest to each of its centres (k, 2).

    Centres are mirrored at the four sides, which makes the sides borders of cells. Of equal centres, the first one has
    the cell.
    """
    from scipy.spatial import Voronoi

    distinct, first = np.unique(centres, axis=0, return_index=True)
    low, high = corners
    mirrored = [distinct]
    for axis in (0, 1):
        for side in (low, high):
            other = distinct.copy()
            other[:, axis] = 2 * side[axis] - other[:, axis]
            mirrored.append(other)
    found = Voronoi(np.concatenate(mirrored))
    polygons = [np.empty((0, 2))] * len(centres)
    for place, centre in enumerate(first):
        region = found.regions[found.point_region[place]]
        polygons[centre] = found.vertices[region].clip(low, high)
    return polygons
