"""Parts of buildings: the walled block, columns, porticoes, stairs, statues."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .builder import RIGHT, UP, Builder
from .facade import sheet, wall_axes
from .figures import figure
from .roofs import roof
from .style import Opening, Style

Point = tuple[float, float]
DOME_POINTS = 9


def block(
    builder: Builder, style: Style, middle: Point, z: float, size: tuple[float, float, float], rows: int,
    columns: tuple[int, int], *, windows: Sequence[Opening] = (), doors: Sequence[int] = (),
    top: str | None = None, rise: float | None = None, blind: Sequence[int] = (),
) -> float:  # fmt: skip
    """Build a walled block with windows, cornice and roof.

    Parameters
    ----------
    middle, z, size : centre (x, y) and foot of the block, and its extent along x, y, z, metres.
    rows, columns : storeys, and bays of the front and of the side.
    doors : bays of the front with the style's door.
    top : a roof of `roofs.ROOFS_BY_NAME`; the style's own if None.
    blind : sides without openings: 0 front, 1 right, 2 back, 3 left.

    Returns
    -------
    Height in metres where the roof starts.
    """
    (x, y), (width, depth, height) = middle, size
    corners = [
        (x - width / 2, y - depth / 2),
        (x + width / 2, y - depth / 2),
        (x + width / 2, y + depth / 2),
        (x - width / 2, y + depth / 2),
    ]
    for side, corner in enumerate(corners):
        long = side % 2 == 0
        face = sheet(
            style,
            width if long else depth,
            height,
            rows,
            columns[side % 2],
            windows,
            doors if side == 0 else (),
            side in blind,
        )
        builder.stamp(face, wall_axes(side * np.pi / 2), [(*corner, z)])
    out, eaves = style.cornice_m, z + height + 0.25 + style.cornice_m * 0.6
    low, high = np.array(corners[0]) - out, np.array(corners[2]) + out
    builder.boxes("trim", (*low, z + height), (*high, eaves))
    builder.boxes("trim", (*(low + out * 0.5), z + height - 0.22), (*(high - out * 0.5), z + height))
    if style.dentils:
        at = np.arange(x - width / 2, x + width / 2 - 0.3, 0.8)
        ones = np.ones_like(at)
        for near, far in ((low[1] + out * 0.2, corners[0][1]), (corners[2][1], high[1] - out * 0.2)):
            builder.boxes(
                "trim",
                np.stack([at, ones * near, ones * (z + height - 0.35)], 1),
                np.stack([at + 0.35, ones * far, ones * (z + height)], 1),
            )
    roof(builder, style, top or style.roof, middle, eaves, (width, depth), rise)
    return eaves


def columns(
    builder: Builder, places: Sequence[Point] | np.ndarray, z: float, radius: float, height: float, slot: str = "trim"
) -> None:
    """Stand columns of the given radius and height on the places (x, y)."""
    one = Builder()
    r, h = radius, height
    profile = [
        (1.4 * r, 0),
        (1.4 * r, 0.4 * r),
        (r, 0.9 * r),
        (r, 0.4 * h),
        (0.85 * r, h - 1.4 * r),
        (1.4 * r, h - 0.5 * r),
    ]
    one.lathe(slot, (0, 0), profile, 12)
    one.boxes(slot, (-1.4 * r, -1.4 * r, h - 0.5 * r), (1.4 * r, 1.4 * r, h))
    places = np.asarray(places, float).reshape(-1, 2)
    builder.stamp(one, np.eye(3), np.column_stack([places, np.full(len(places), z)]))


def stairs(builder: Builder, low: Point, high: Point, steps: int, rise: float = 0.2, tread: float = 0.4) -> float:
    """Lay steps around the rectangle low..high, widest at the ground; return the height of the top in metres."""
    out = tread * np.arange(steps, 0, -1)[:, None]
    level = rise * np.arange(steps)[:, None]
    builder.boxes(
        "base",
        np.hstack([np.array(low) - out, level - (level == 0) * 0.1]),
        np.hstack([np.array(high) + out, level + rise]),
    )
    return steps * rise


def portico(
    builder: Builder,
    x: float,
    front: float,
    z: float,
    size: tuple[float, float, float],
    count: int,
    decal: str | None = None,
) -> None:
    """Set a columned porch with pediment before a wall at y = `front`; size is (width, depth, column height)."""
    width, depth, height = size
    left, right, near = x - width / 2, x + width / 2, front - depth
    foot = z + stairs(builder, (left, near), (right, front), 4)
    columns(
        builder,
        [(at, near + 0.7) for at in np.linspace(left + 0.6, right - 0.6, count)],
        foot,
        width / count * 0.16 + 0.08,
        height,
    )
    beam = foot + height
    builder.boxes(
        "trim",
        [(left, near, beam), (left - 0.3, near - 0.3, beam + 1.1)],
        [(right, front, beam + 1.1), (right + 0.3, front, beam + 1.4)],
    )
    top, rise = beam + 1.4, width * 0.17
    builder.quads("wall2", [[(left, near, top), (right, near, top), (x, near, top + rise), (x, near, top + rise)]])
    for edge, sign in ((left - 0.4, 1), (right + 0.4, -1)):
        near_edge = near - 0.35
        builder.quads(
            "roof",
            [
                [
                    (edge, front, top),
                    (edge, near_edge, top),
                    (x, near_edge, top + rise + 0.3),
                    (x, front, top + rise + 0.3),
                ]
            ],
        )
        builder.quads(
            "trim",
            [
                [
                    (edge, near_edge - 0.01, top),
                    (edge + sign, near_edge - 0.01, top),
                    (x, near_edge - 0.01, top + rise - 0.2),
                    (x, near_edge - 0.01, top + rise + 0.3),
                ]
            ],
        )
    if decal:
        builder.disc(decal, (x, near - 0.04, top + rise * 0.42), RIGHT, UP, rise * 0.3)


def statue(builder: Builder, random: np.random.Generator, middle: Point, z: float, height: float) -> None:
    """Stand a robed figure on a small block."""
    foot = height * 0.12
    x, y = middle
    builder.boxes("base", (x - foot * 1.6, y - foot * 1.6, z), (x + foot * 1.6, y + foot * 1.6, z + foot))
    body = figure(random, height - foot, ("statue", "statue", "statue"), robe=random.random() < 0.6)
    builder.place(body, random.uniform(-0.4, 0.4), (x, y, z + foot))
