"""Roofs over a rectangle: gables, hips, mansards, parapets, pyramids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .builder import RIGHT, UP, Builder
from .style import Style

EAVES = 0.35
Rectangle = tuple[float, float, float, float]  # x0, y0, x1, y1


def roof(
    builder: Builder,
    style: Style,
    kind: str,
    middle: tuple[float, float],
    z: float,
    size: tuple[float, float],
    rise: float | None = None,
) -> None:
    """Put a roof of a kind in ROOFS_BY_NAME over the rectangle of `size` (x, y) around `middle`, from height z."""
    (x, y), (width, depth) = middle, size
    outer = (x - width / 2 - EAVES, y - depth / 2 - EAVES, x + width / 2 + EAVES, y + depth / 2 + EAVES)
    ROOFS_BY_NAME[kind](builder, style, outer, z, rise or min(size) * style.pitch)


def _ridge(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    """Gable roof with its ridge along x."""
    x0, y0, x1, y1 = outer
    y, top = (y0 + y1) / 2, z + rise
    builder.quads(
        "roof",
        [
            [(x0, y0, z), (x1, y0, z), (x1, y, top), (x0, y, top)],
            [(x1, y1, z), (x0, y1, z), (x0, y, top), (x1, y, top)],
        ],
    )
    for x, first, last in ((x0 + EAVES, y1, y0), (x1 - EAVES, y0, y1)):
        builder.quads("wall", [[(x, first, z), (x, last, z), (x, y, top), (x, y, top)]])
    _chimneys(builder, style, outer, z, rise)


def _cross_ridge(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    """Gable roof with its ridge along y: the gable is the front."""
    x0, y0, x1, y1 = outer
    x, top = (x0 + x1) / 2, z + rise
    builder.quads(
        "roof",
        [
            [(x0, y1, z), (x0, y0, z), (x, y0, top), (x, y1, top)],
            [(x1, y0, z), (x1, y1, z), (x, y1, top), (x, y0, top)],
        ],
    )
    for y, first, last in ((y0 + EAVES, x0, x1), (y1 - EAVES, x1, x0)):
        builder.quads("wall", [[(first, y, z), (last, y, z), (x, y, top), (x, y, top)]])
    for side in (x0, x1):  # barge boards along the front gable
        inner = side + np.sign(x - side) * 0.7
        builder.quads(
            "trim", [[(side, y0 - 0.02, z), (inner, y0 - 0.02, z), (x, y0 - 0.02, top - 0.5), (x, y0 - 0.02, top)]]
        )


def _hip(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    x0, y0, x1, y1 = outer
    run = min(x1 - x0, y1 - y0) / 2
    if x1 - x0 >= y1 - y0:
        first, last = (x0 + run, y0 + run, z + rise), (x1 - run, y0 + run, z + rise)
    else:
        first, last = (x0 + run, y0 + run, z + rise), (x0 + run, y1 - run, z + rise)
    a, b, c, d = (x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)
    if x1 - x0 >= y1 - y0:
        faces = [[a, b, last, first], [b, c, last, last], [c, d, first, last], [d, a, first, first]]
    else:
        faces = [[a, b, first, first], [b, c, last, first], [c, d, last, last], [d, a, first, last]]
    builder.quads("roof", faces)
    _chimneys(builder, style, outer, z, rise)
    if style.dormers:
        _dormers(builder, outer, z, rise, run)


def _mansard(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    x0, y0, x1, y1 = outer
    inset = rise * 0.45
    low = np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)])
    high = low + np.array([(1, 1, 0), (-1, 1, 0), (-1, -1, 0), (1, -1, 0)]) * inset + np.array([0, 0, rise])
    follow = np.roll(np.arange(4), -1)
    builder.quads("roof", np.stack([low, low[follow], high[follow], high], 1))
    builder.quads("roof", high)
    builder.boxes("trim", high[0] - 0.12, high[2] + np.array([0.12, 0.12, 0.15]))
    _dormers(builder, outer, z, rise, inset)
    _chimneys(builder, style, outer, z, rise)


def _dormers(builder: Builder, outer: Rectangle, z: float, rise: float, run: float) -> None:
    """Windows standing in the front and back slopes, the slope reaching its height over `run` metres."""
    x0, y0, x1, y1 = outer
    high = min(1.9, rise * 0.7)
    dormer = Builder()
    dormer.boxes("trim", (-0.55, 0.0, 0.2), (0.55, run * 0.75, high))
    dormer.panel("glass", (0, -0.03, 0.3 + high * 0.45), RIGHT, UP, 0.75, high * 0.62)
    dormer.quads(
        "roof", [[(-0.7, -0.15, high), (0, -0.15, high + 0.45), (0, run * 0.8, high + 0.45), (-0.7, run * 0.8, high)]]
    )
    dormer.quads(
        "roof", [[(0.7, -0.15, high), (0.7, run * 0.8, high), (0, run * 0.8, high + 0.45), (0, -0.15, high + 0.45)]]
    )
    dormer.quads("trim", [[(-0.6, -0.02, high), (0.6, -0.02, high), (0, -0.02, high + 0.4), (0, -0.02, high + 0.4)]])
    reach = run * 0.2
    places = np.arange(x0 + run * 0.6 + 1.2, x1 - run * 0.6 - 1.0, 3.2)
    if not len(places):
        return
    along = np.full_like(places, y0 + reach)
    builder.stamp(dormer, np.eye(3), np.stack([places, along, np.full_like(places, z + 0.1)], 1))
    back = np.full_like(places, y1 - reach)
    builder.stamp(dormer, np.diag([-1.0, -1.0, 1.0]), np.stack([places, back, np.full_like(places, z + 0.1)], 1))


def _chimneys(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    x0, y0, x1, y1 = outer
    for number in range(style.chimneys):
        x = x0 + (x1 - x0) * (0.15 + 0.7 * number / max(style.chimneys - 1, 1))
        y = y0 + (y1 - y0) * (0.62 if number % 2 else 0.4)
        builder.boxes("wall", (x - 0.45, y - 0.3, z), (x + 0.45, y + 0.3, z + rise + 1.1))
        builder.boxes("trim", (x - 0.55, y - 0.4, z + rise + 1.0), (x + 0.55, y + 0.4, z + rise + 1.2))


def _deck(builder: Builder, outer: Rectangle, z: float) -> None:
    x0, y0, x1, y1 = outer
    builder.boxes("base", (x0 + EAVES, y0 + EAVES, z - 0.2), (x1 - EAVES, y1 - EAVES, z + 0.05))


def _rails(outer: Rectangle, thick: float) -> np.ndarray:
    """Return (4, 2, 2): low and high xy of the four walls along the edge."""
    x0, y0, x1, y1 = outer
    return np.array([
        [[x0, y0], [x1, y0 + thick]], [[x0, y1 - thick], [x1, y1]],
        [[x0, y0 + thick], [x0 + thick, y1 - thick]], [[x1 - thick, y0 + thick], [x1, y1 - thick]],
    ])  # fmt: skip


def _wall_round(builder: Builder, slot: str, rails: np.ndarray, low: float, high: float) -> None:
    ends = np.ones((4, 1))
    builder.boxes(slot, np.hstack([rails[:, 0], ends * low]), np.hstack([rails[:, 1], ends * high]))


def _posts(
    builder: Builder, slot: str, outer: Rectangle, thick: float, every: float, wide: float, z: float, high: float
) -> None:
    """Stand posts (merlons, balusters) along the four edges."""
    x0, y0, x1, y1 = outer
    low = []
    for start, end, fixed, axis in ((x0, x1, y0, 0), (x0, x1, y1 - thick, 0), (y0, y1, x0, 1), (y0, y1, x1 - thick, 1)):
        at = np.linspace(start, end - wide, max(2, round((end - start) / every)))
        low.append(np.stack([at, np.full_like(at, fixed)][:: 1 if axis == 0 else -1], 1))
    sizes = [(wide, thick)] * (len(low[0]) + len(low[1])) + [(thick, wide)] * (len(low[2]) + len(low[3]))
    corner = np.concatenate(low)
    heights = np.ones((len(corner), 1))
    builder.boxes(slot, np.hstack([corner, heights * z]), np.hstack([corner + np.array(sizes), heights * high]))


def _flat(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    _deck(builder, outer, z)
    _wall_round(builder, "trim", _rails(outer, 0.35), z - 0.1, z + 0.7)


def _battlement(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    _deck(builder, outer, z)
    _wall_round(builder, "wall", _rails(outer, 0.4), z - 0.3, z + 0.5)
    _posts(builder, "wall", outer, 0.4, 1.4, 0.75, z + 0.5, z + 1.35)


def _balustrade(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    _deck(builder, outer, z)
    rails = _rails(outer, 0.3)
    _wall_round(builder, "trim", rails, z - 0.1, z + 0.2)
    _wall_round(builder, "trim", rails, z + 0.85, z + 1.05)
    _posts(builder, "trim", outer, 0.26, 0.62, 0.22, z + 0.2, z + 0.85)
    _posts(builder, "trim", outer, 0.5, 6.0, 0.5, z, z + 1.3)


def _pyramid(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    x0, y0, x1, y1 = outer
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    builder.lathe("roof", middle, [(np.hypot(x1 - x0, y1 - y0) / 2, z), (0.02, z + rise)], 4)


def _none(builder: Builder, style: Style, outer: Rectangle, z: float, rise: float) -> None:
    """No roof: something else stands on the walls."""


ROOFS_BY_NAME: dict[str, Callable[[Builder, Style, Rectangle, float, float], None]] = {
    "gable_x": _ridge,
    "gable_y": _cross_ridge,
    "hip": _hip,
    "mansard": _mansard,
    "flat": _flat,
    "battlement": _battlement,
    "balustrade": _balustrade,
    "pyramid": _pyramid,
    "none": _none,
}
