"""Church and temple, each around x = 0 with its front near y = 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import RIGHT, UP, Builder
from .parts import block, columns, portico, stairs, statue
from .roofs import roof
from .style import Style, pick
from .towers import dome, tower


def church(random: np.random.Generator, style: Style) -> Builder:
    """Nave with gable front, and towers: one in front, two beside it, one over the crossing, or a dome."""
    builder = Builder()
    width, length, height = random.uniform(9, 14), random.uniform(18, 26), random.uniform(9, 13)
    plan = pick(random, "front", "twin", "crossing", "dome", "side")
    tops = ("spire", "spire", "dome", "battlement", "cone", "flat")
    lancet = replace(
        style.windows[0], height=0.68, sill=0.2, width=random.uniform(0.25, 0.4), balcony=False, shutters=False
    )
    plain = style.but(dormers=False, chimneys=0)
    bays = int(random.integers(4, 7))
    front = replace(lancet, head=style.door.head)
    block(
        builder,
        plain,
        (0, length / 2),
        0,
        (width, length, height),
        1,
        (3, bays),
        windows=(lancet,),
        doors=(1,),
        top="gable_y",
        rise=width * random.uniform(0.45, 0.9),
    )
    if random.random() < 0.6:  # aisles
        aisle = random.uniform(3, 4.5)
        for side in (-1, 1):
            block(
                builder,
                plain.but(pilasters=True),
                (side * (width + aisle) / 2, length * 0.52),
                0,
                (aisle, length * 0.86, height * 0.5),
                1,
                (1, bays),
                windows=(front,),
                top="flat",
                blind=(3,) if side > 0 else (1,),
            )
    if plan in ("crossing", "dome") or random.random() < 0.3:
        block(
            builder,
            plain,
            (0, length * 0.68),
            0,
            (width * 1.9, width * 0.8, height),
            1,
            (5, 2),
            windows=(lancet,),
            top="gable_x",
            rise=width * 0.35,
        )
    builder.lathe("wall", (0, length), [(width * 0.36, 0), (width * 0.36, height * 0.8)], 12)
    builder.lathe("roof", (0, length), [(width * 0.4, height * 0.8), (0.05, height * 1.1)], 12)
    stages, top, size = int(random.integers(2, 5)), pick(random, *tops), width * random.uniform(0.34, 0.46)
    tall = height * random.uniform(1.5, 2.4)
    clock = "clock" if random.random() < 0.6 else None
    if plan == "front":
        tower(builder, style, (0, -size * 0.3), 0, size * 1.15, tall * 1.1, top, 4, stages, clock)
    elif plan == "twin":
        for side in (-1, 1):
            tower(
                builder,
                style,
                (side * (width / 2 + size * 0.35), size * 0.4),
                0,
                size,
                tall,
                top,
                pick(random, 4, 4, 8),
                stages,
                clock,
            )
    elif plan == "crossing":
        tower(builder, style, (0, length * 0.68), height, size * 1.3, tall * 0.6, top, 4, 2, clock)
    elif plan == "side":
        tower(
            builder,
            style,
            (width / 2 + size / 2, random.uniform(0, length * 0.7)),
            0,
            size,
            tall,
            top,
            pick(random, 4, 4, 20),
            stages,
            clock,
        )
    else:
        dome(builder, style, (0, length * 0.68), height * 1.15, width * 0.42, 0.7)
    if plan != "front":
        builder.disc("trim", (0, -0.16, height * 0.86), RIGHT, UP, width * 0.21)
        builder.disc("decal0", (0, -0.22, height * 0.86), RIGHT, UP, width * 0.18)
    else:
        builder.disc("decal0", (0, -size * 0.9 - 0.25, height * 0.72), RIGHT, UP, size * 0.3)
    stairs(builder, (-width * 0.3, -size * 1.0 - 1.5), (width * 0.3, 0), int(random.integers(2, 5)), 0.16)
    if random.random() < 0.4:
        portico(builder, 0, -size * 0.9, 0, (width * 0.7, 2.6, height * 0.42), int(random.integers(2, 5)), None)
    return builder


def temple(random: np.random.Generator, style: Style) -> Builder:
    """A cella behind columns on all sides, on steps, under a pediment."""
    builder = Builder()
    width, length, height = random.uniform(14, 20), random.uniform(18, 28), random.uniform(7, 10)
    count = int(random.integers(4, 9))
    along = max(5, int(count * length / width))
    foot = stairs(builder, (-width / 2, 0), (width / 2, length), int(random.integers(3, 8)), 0.3, 0.45)
    radius = width / count * random.uniform(0.16, 0.22)
    places = [(x, y) for x in np.linspace(-width / 2 + 1, width / 2 - 1, count) for y in (1, length - 1)]
    if random.random() < 0.6:
        places += [(x, y) for y in np.linspace(1, length - 1, along)[1:-1] for x in (-width / 2 + 1, width / 2 - 1)]
    columns(builder, places, foot, radius, height)
    inner = style.but(pilasters=True, chimneys=0, dormers=False, cornice_m=0.15)
    block(
        builder,
        inner,
        (0, length * 0.53),
        foot,
        (width * 0.66, length * 0.74, height - 0.4),
        1,
        (3, 5),
        doors=(1,),
        top="none",
    )
    beam = foot + height
    builder.boxes("trim", (-width / 2, 0, beam), (width / 2, length, beam + 0.9))
    builder.boxes("wall2", (-width / 2 + 0.1, 0.1, beam + 0.9), (width / 2 - 0.1, length - 0.1, beam + 1.9))
    at = np.linspace(-width / 2 + 0.2, width / 2 - 1.0, count * 2 - 1)
    low = np.stack([at, np.zeros_like(at), np.full_like(at, beam + 0.9)], 1)
    builder.boxes("trim", low, low + np.array([0.8, 0.12, 1.0]))
    builder.boxes("trim", (-width / 2 - 0.4, -0.4, beam + 1.9), (width / 2 + 0.4, length + 0.4, beam + 2.2))
    rise = width * random.uniform(0.14, 0.26)
    roof(builder, style, "gable_y", (0, length / 2), beam + 2.2, (width, length), rise)
    if random.random() < 0.35:
        dome(builder, style, (0, length / 2), beam + 2.4 + rise * 0.4, width * 0.26, 1.0)
    builder.disc("decal0", (0, -0.05, beam + 2.2 + rise * 0.38), RIGHT, UP, rise * 0.27)
    for x, z in ((-width / 2, 0.0), (0.0, rise), (width / 2, 0.0)):
        if random.random() < 0.6:
            statue(builder, random, (x, 0.2), beam + 2.2 + z, random.uniform(1.8, 2.8))
    builder.panel("decal1", (0, -0.03, beam + 0.45), RIGHT, UP, width * 0.6, 0.75)
    for side in (-1, 1):
        if random.random() < 0.7:
            statue(builder, random, (side * (width / 2 + 3), -3.5), 0.0, random.uniform(2.5, 4.5))
    return builder
