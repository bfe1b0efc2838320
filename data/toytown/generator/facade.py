"""Walls with openings, built flat (x along, y up, z out of the wall) and stamped onto the sides of a building."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .builder import BACK, RIGHT, UP, Builder
from .style import Opening, Style

HEAD_POINTS = 7
FRONT = np.stack([RIGHT, UP, -BACK])  # the axes of a wall that faces -y


def wall_axes(turn: float) -> np.ndarray:
    """Return the (3, 3) axes of a wall whose outside is turned by `turn` radians from -y, counter-clockwise."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([[cosine, sine, 0.0], [0.0, 0.0, 1.0], [sine, -cosine, 0.0]])


def head_curve(head: str, left: float, right: float, top: float, bottom: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y, (k,) each, of an opening's upper edge from left to right."""
    if head == "flat":
        return np.array([left, right]), np.array([top, top])
    turn = np.linspace(np.pi, 0, HEAD_POINTS)
    width = right - left
    x = (left + right) / 2 + width / 2 * np.cos(turn)
    if head == "round":
        rise = np.sin(turn) * width / 2
    elif head == "point":  # two arcs, each centred on the opposite springer
        rise = np.sqrt(np.maximum(0, 1 - ((np.abs(np.cos(turn)) + 1) / 2) ** 2)) * width
    else:
        rise = np.sin(turn) * width * 0.18
    rise = rise * min(1.0, 0.75 * (top - bottom) / rise.max())
    return x, top - rise.max() + rise


def ribbon(x0: np.ndarray, y0: np.ndarray, z0: float, x1: np.ndarray, y1: np.ndarray, z1: float) -> np.ndarray:
    """Return the (k-1, 4, 3) quads between two polylines of k points."""
    first = np.stack(np.broadcast_arrays(x0, y0, z0), -1)
    second = np.stack(np.broadcast_arrays(x1, y1, z1), -1)
    return np.stack([first[:-1], first[1:], second[1:], second[:-1]], 1)


def opening_cell(opening: Opening, width: float, height: float) -> Builder:
    """Build one cell of wall, `width` by `height` metres, around its opening."""
    cell = Builder()
    half, middle = width * opening.width / 2, width / 2
    left, right, sill = middle - half, middle + half, height * opening.sill
    top = min(sill + height * opening.height, 0.95 * height)
    x, y = head_curve(opening.head, left, right, top, sill)
    sides = np.array([[0, left], [right, width]])
    strips = [ribbon(pair, np.zeros(2), 0, pair, np.full(2, height), 0) for pair in sides]
    strips.append(ribbon(x, y, 0, x, np.full_like(x, height), 0))
    if sill > 0.01:
        ends = np.array([left, right])
        strips.append(ribbon(ends, np.zeros(2), 0, ends, np.full(2, sill), 0))
    cell.quads(opening.wall, np.concatenate(strips))
    outline_x, outline_y = np.r_[right, left, x, right], np.r_[sill, sill, y, sill]
    cell.quads("trim", ribbon(outline_x, outline_y, 0, outline_x, outline_y, -opening.depth_m))
    if opening.glass:
        _fill(cell, opening, x, y, sill)
    _dress(cell, opening, x, y, sill)
    return cell


def _fill(cell: Builder, opening: Opening, x: np.ndarray, y: np.ndarray, sill: float) -> None:
    """Put the pane and its glazing bars at the back of the opening."""
    depth = -opening.depth_m
    pane = ribbon(x, np.full_like(x, sill), depth, x, y, depth)
    if opening.glass.startswith("glass"):
        span, rise = x[-1] - x[0], y.max() - sill
        uv = np.stack([(pane[..., 0] - x[0]) / span, (y.max() - pane[..., 1]) / rise], -1) * 0.45 + 0.01
        cell.quads(opening.glass, pane, uv)
    else:
        cell.quads(opening.glass, pane)
    across, down = opening.panes
    bar = min(0.07, (x[-1] - x[0]) * 0.05)
    upright = np.linspace(x[0], x[-1], across + 1)[1:-1]
    level = np.linspace(sill, y.min(), down + 1)[1:-1]
    low = [(at - bar, sill, depth) for at in upright] + [(x[0], at - bar, depth) for at in level]
    high = [(at + bar, np.interp(at, x, y), depth + 0.07) for at in upright]
    high += [(x[-1], at + bar, depth + 0.06) for at in level]
    if low:
        cell.boxes("frame", low, high)


def _dress(cell: Builder, opening: Opening, x: np.ndarray, y: np.ndarray, sill: float) -> None:
    """Add what stands proud of the wall: surround, sill, hood, balcony, shutters."""
    left, right, top, middle = x[0], x[-1], y.max(), (x[0] + x[-1]) / 2
    if opening.surround_m:
        band, proud = opening.surround_m, 0.12
        inner_x, inner_y = np.r_[left, x, right], np.r_[sill, y, sill]
        if len(x) == 2:
            outer_x, outer_y = (
                np.r_[left - band, left - band, right + band, right + band],
                np.r_[sill, top + band, top + band, sill],
            )
        else:
            grow = 1 + band / (right - middle)
            outer_x, outer_y = middle + (inner_x - middle) * grow, np.r_[sill, y[0] + (y - y[0]) * grow, sill]
        cell.quads("trim", ribbon(outer_x, outer_y, proud, inner_x, inner_y, proud))
        cell.quads("trim", ribbon(outer_x, outer_y, 0, outer_x, outer_y, proud))
    if opening.surround_m and sill > 0.05:
        cell.boxes("trim", (left - opening.surround_m, sill - 0.15, 0), (right + opening.surround_m, sill, 0.2))
    if opening.hood != "none":
        cell.boxes("trim", (left - 0.2, top + 0.15, 0), (right + 0.2, top + 0.3, 0.3))
    if opening.hood == "pediment":
        rim_x, rim_y = (
            np.array([left - 0.2, middle, right + 0.2]),
            np.array([0.3, 0.3 + (right - left) * 0.25, 0.3]) + top,
        )
        cell.quads("trim", ribbon(rim_x, np.full(3, top + 0.3), 0.25, rim_x, rim_y, 0.25))
        cell.quads("trim", ribbon(rim_x, rim_y, 0.25, rim_x, rim_y, 0))
    if opening.balcony and sill > 0.05:
        posts = np.linspace(left - 0.35, right + 0.35, 6)
        cell.boxes("trim", (left - 0.4, sill - 0.25, 0), (right + 0.4, sill - 0.05, 0.9))
        ends = np.ones_like(posts)
        cell.boxes(
            "metal",
            np.stack([posts - 0.03, ends * sill, ends * 0.8], 1),
            np.stack([posts + 0.03, ends * sill + 0.9, ends * 0.86], 1),
        )
        cell.boxes("metal", (left - 0.4, sill + 0.85, 0.78), (right + 0.4, sill + 0.95, 0.88))
    if opening.shutters and sill > 0.05:
        leaf = (right - left) * 0.45
        low = [(left - leaf - 0.05, sill, 0), (right + 0.05, sill, 0)]
        cell.boxes("shutter", low, [(left - 0.05, y[0], 0.14), (right + leaf + 0.05, y[0], 0.14)])


def sheet(
    style: Style, width: float, height: float, rows: int, columns: int,
    windows: Sequence[Opening] = (), doors: Sequence[int] = (), blind: bool = False,
) -> Builder:  # fmt: skip
    """Build a whole wall as a flat sheet.

    Parameters
    ----------
    windows : openings by storey, repeating; the style's own if empty.
    doors : columns of the ground storey that hold the style's door.
    blind : leave out all openings.
    """
    wall = Builder()
    windows = windows or style.windows
    storey, bay = height / rows, width / columns
    if blind:
        wall.quads("wall", [[(0, 0, 0), (width, 0, 0), (width, height, 0), (0, height, 0)]])
    for row in range(0 if blind else rows):
        inside = [column for column in range(columns) if not (row == 0 and column in doors)]
        if inside:
            places = [(bay * column, storey * row, 0) for column in inside]
            wall.stamp(opening_cell(windows[row % len(windows)], bay, storey), np.eye(3), places)
    if doors and not blind:
        wall.stamp(opening_cell(style.door, bay, storey), np.eye(3), [(bay * column, 0, 0) for column in doors])
    _order(wall, style, width, height, rows, columns, doors)
    return wall


def _order(
    wall: Builder, style: Style, width: float, height: float, rows: int, columns: int, doors: Sequence[int]
) -> None:
    """Add the lines that order a wall: plinth, string courses, pilasters, quoins."""
    storey, bay = height / rows, width / columns
    if style.courses and rows > 1:
        levels = storey * np.arange(1, rows)
        zero = np.zeros_like(levels)
        wall.boxes(
            "trim",
            np.stack([zero - 0.1, levels - 0.12, zero], 1),
            np.stack([zero + width + 0.1, levels + 0.12, zero + 0.15], 1),
        )
    if style.pilasters:
        at = bay * np.arange(columns + 1)
        zero = np.zeros_like(at)
        low, high = np.maximum(at - 0.22, 0), np.minimum(at + 0.22, width)
        wall.boxes("trim", np.stack([low, zero, zero], 1), np.stack([high, zero + height, zero + 0.18], 1))
    elif style.quoins:
        levels = np.arange(0, height - 0.5, 0.6)
        long = 0.4 + 0.35 * (np.arange(len(levels)) % 2)
        zero = np.zeros_like(levels)
        top = levels + 0.52
        wall.boxes("trim", np.stack([zero, levels, zero], 1), np.stack([long, top, zero + 0.06], 1))
        wall.boxes("trim", np.stack([width - long, levels, zero], 1), np.stack([zero + width, top, zero + 0.06], 1))
    edges = [-0.12, *(x for door in sorted(doors) for x in (bay * (door + 0.1), bay * (door + 0.9))), width + 0.12]
    spans = np.array(edges).reshape(-1, 2)
    zero = np.zeros(len(spans))
    low = np.stack([spans[:, 0], zero - 0.1, zero], 1)
    wall.boxes(style.plinth_slot, low, np.stack([spans[:, 1], zero + style.plinth_m, zero + 0.15], 1))
