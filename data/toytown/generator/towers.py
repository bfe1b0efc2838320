"""Towers and domes."""

from __future__ import annotations

import numpy as np

from .builder import RIGHT, Builder
from .facade import wall_axes
from .parts import block
from .roofs import roof
from .style import Style

Point = tuple[float, float]
DOME_POINTS = 9


def dome(builder: Builder, style: Style, middle: Point, z: float, radius: float, drum: float = 0.55) -> None:
    """Build a dome of the style's shape on a windowed drum `drum` radii high, with a lantern."""
    foot = z + radius * drum
    builder.lathe("wall2", middle, [(radius * 1.02, z), (radius * 1.02, foot)], 24)
    builder.lathe(
        "trim",
        middle,
        [
            (radius * 1.02, foot - 0.05 * radius),
            (radius * 1.12, foot),
            (radius * 1.12, foot + 0.1 * radius),
            (radius, foot + 0.11 * radius),
        ],
        24,
    )
    bay = Builder()
    bay.panel(
        "glass", (0, drum * 0.5 * radius, 0.03), RIGHT, np.array([0.0, 1.0, 0.0]), radius * 0.2, radius * drum * 0.64
    )
    bay.boxes("trim", (radius * 0.13, 0, 0), (radius * 0.2, radius * drum, radius * 0.06))
    ring(builder, bay, middle, z, radius * 1.02, 12)
    turn = np.linspace(0, np.pi / 2, DOME_POINTS)
    wide, tall = np.cos(turn), np.sin(turn)
    if style.dome == "tall":
        tall = tall * 1.5
    elif style.dome == "onion":
        wide, tall = (1 + 0.25 * np.sin(turn * 2)) * wide**0.8, 1.7 * turn / (np.pi / 2)
    elif style.dome == "low":
        tall = tall * 0.55
    shell = foot + 0.11 * radius
    builder.lathe("dome", middle, np.stack([radius * wide + 1e-3, shell + radius * tall], 1), 24)
    peak, small = shell + radius * tall[-1], radius * 0.16
    builder.lathe(
        "trim",
        middle,
        [
            (small, peak - 0.3 * small),
            (small, peak + 2 * small),
            (small * 1.3, peak + 2 * small),
            (small * 1.3, peak + 2.3 * small),
        ],
        8,
    )
    builder.lathe(
        "dome",
        middle,
        [(small * 1.3, peak + 2.3 * small), (small * 0.5, peak + 3.4 * small), (0.02, peak + 5 * small)],
        8,
    )


def ring(
    builder: Builder, piece: Builder, middle: Point, z: float, radius: float, count: int, start: float = 0.0
) -> None:
    """Stamp a flat piece (x along, y up, z out) `count` times around a cylinder."""
    for turn in start + np.arange(count) / count * 2 * np.pi:
        outward = np.array([np.sin(turn), -np.cos(turn), 0.0])
        builder.stamp(piece, wall_axes(turn), [np.array([*middle, z]) + outward * radius])


def tower(
    builder: Builder, style: Style, middle: Point, z: float, size: float, height: float, top: str,
    sides: int = 4, stages: int = 3, face: str | None = None,
) -> None:  # fmt: skip
    """Build a tower, square in stages or polygonal with slits.

    Parameters
    ----------
    top : "spire", "cone", "battlement", "dome" or "flat".
    sides : 4 for a square tower, else the polygon's sides.
    face : slot of a decal (a clock) for all four sides of a square tower.
    """
    if sides == 4:
        narrow = _stages(builder, style, middle, z, size, height, stages, face)
    else:
        narrow = size
        _shaft(builder, style, middle, z, size / 2, height, sides)
    _tower_top(builder, style, middle, z + height, narrow, top, sides)


def _stages(
    builder: Builder, style: Style, middle: Point, z: float, size: float, height: float, stages: int, face: str | None
) -> float:
    """Stack the square stages, the belfry on top; return the width of the uppermost."""
    step = height / stages
    slim = style.but(dormers=False, chimneys=0, pilasters=False)
    width = size
    for stage in range(stages):
        width = size * (1 - 0.06 * stage)
        last = stage == stages - 1
        bays = style.belfry_columns if last else 1
        windows = (style.belfry,) if last else (style.windows[stage % len(style.windows)],)
        rows = 1 if last else max(1, int(step / 4.5))
        block(
            builder,
            slim,
            middle,
            z + stage * step,
            (width, width, step - 0.35),
            rows,
            (bays, bays),
            windows=windows,
            top="none",
        )
    if face is not None:
        level = z + height - step * 1.3
        plate = Builder()
        plate.disc("trim", (0, 0, 0.12), RIGHT, np.array([0.0, 1.0, 0.0]), size * 0.33)
        plate.disc(face, (0, 0, 0.2), RIGHT, np.array([0.0, 1.0, 0.0]), size * 0.28)
        ring(builder, plate, middle, level, size / 2, 4)
    return width


def slit(width: float, height: float) -> Builder:
    """Build a small framed window as a flat piece."""
    piece = Builder()
    piece.panel("glass", (0, 0, 0.02), RIGHT, np.array([0.0, 1.0, 0.0]), width, height)
    edge = 0.14
    low = [
        (-width / 2 - edge, -height / 2 - 0.16, -0.1),
        (-width / 2 - edge, height / 2, -0.1),
        (-width / 2 - edge, -height / 2, -0.1),
        (width / 2, -height / 2, -0.1),
    ]
    high = [
        (width / 2 + edge, -height / 2, 0.16),
        (width / 2 + edge, height / 2 + 0.16, 0.12),
        (-width / 2, height / 2, 0.1),
        (width / 2 + edge, height / 2, 0.1),
    ]
    piece.boxes("trim", low, high)
    return piece


def _shaft(builder: Builder, style: Style, middle: Point, z: float, radius: float, height: float, sides: int) -> None:
    """Build a polygonal or round shaft with a slit in every other storey and bands."""
    builder.lathe(
        "wall", middle, [(radius * 1.06, z), (radius * 1.06, z + 1), (radius, z + 1.05), (radius, z + height)], sides
    )
    builder.lathe(
        "trim",
        middle,
        [
            (radius, z + height - 0.6),
            (radius * 1.12, z + height - 0.3),
            (radius * 1.12, z + height),
            (radius * 0.9, z + height),
        ],
        sides,
    )
    count = style.slits if sides > 8 else 4
    opening = slit(min(0.9, radius * 0.3), 1.7)
    for storey in range(int(height / 4)):
        level = z + 4 * storey
        if style.courses:
            builder.lathe(
                "trim",
                middle,
                [
                    (radius, level + 3.7),
                    (radius + 0.12, level + 3.75),
                    (radius + 0.12, level + 3.95),
                    (radius, level + 4),
                ],
                sides,
            )
        ring(builder, opening, middle, level + 2.2, radius * np.cos(np.pi / sides) + 0.03, count, 0.0)


def _tower_top(builder: Builder, style: Style, middle: Point, z: float, width: float, top: str, sides: int) -> None:
    x, y = middle
    if top == "spire":
        sides_of_spire = style.spire_sides if sides == 4 else 8
        reach = width * (0.74 if sides_of_spire == 4 else 0.6)
        builder.lathe(
            "roof",
            middle,
            [(reach, z), (width * 0.32, z + width * 0.9), (0.03, z + width * style.spire)],
            sides_of_spire,
        )
        builder.lathe(
            "metal", middle, [(0.05, z + width * style.spire - 0.3), (0.05, z + width * style.spire + 1.2)], 6
        )
    elif top == "cone":
        builder.lathe(
            "roof",
            middle,
            [(width * (0.74 if sides == 4 else 0.6), z), (0.03, z + width * style.spire * 0.6)],
            max(sides, 4),
        )
    elif top == "dome":
        dome(builder, style, middle, z, width * 0.46)
    elif sides == 4:
        roof(
            builder, style, "battlement" if top == "battlement" else "balustrade", middle, z, (width + 0.3, width + 0.3)
        )
    else:
        builder.lathe("base", middle, [(width * 0.45, z + 0.02), (0.02, z + 0.03)], sides)
        merlon = Builder()
        merlon.boxes("wall", (-0.3, 0, -0.4), (0.3, 1.2, 0.0))
        ring(builder, merlon, middle, z, width * 0.55, max(8, round(width * np.pi / 1.4)))
        builder.lathe(
            "wall",
            middle,
            [(width * 0.55, z - 0.2), (width * 0.55, z + 0.5), (width * 0.48, z + 0.5), (width * 0.48, z)],
            sides,
        )
    if top in ("battlement", "flat") and style.flag:
        flag(builder, style, (x, y), z)


def flag(builder: Builder, style: Style, middle: Point, z: float) -> None:
    """Plant a flagpole with a flag bent by the wind."""
    builder.lathe("metal", middle, [(0.09, z), (0.05, z + 5)], 6)
    along = np.linspace(0, 1, 5)
    x, y = middle[0] + 2.4 * along, middle[1] + 0.25 * np.sin(along * 5)
    low, high = np.stack([x, y, np.full(5, z + 3.5)], 1), np.stack([x, y, np.full(5, z + 4.9)], 1)
    uv = np.stack([along, np.ones(5)], 1) * 0.98 + 0.01, np.stack([along, np.zeros(5)], 1) * 0.98 + 0.01
    corners = np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1)
    builder.quads(style.flag_slot, corners, np.stack([uv[0][:-1], uv[0][1:], uv[1][1:], uv[1][:-1]], 1))
