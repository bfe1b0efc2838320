"""Sacred buildings: church, temple, pagoda, mosque. Each builds around x = 0 with its front near y = 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import RIGHT, UP, Builder
from .facade import opening_cell, sheet, wall_axes
from .parts import block, columns, dome, portico, stairs, statue, tower
from .roofs import roof
from .style import Opening, Style, pick


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


def pagoda(random: np.random.Generator, style: Style) -> Builder:
    """Storeys that shrink upwards, each under a curved, spreading roof."""
    builder = Builder()
    storeys, size, sides = int(random.integers(3, 7)), random.uniform(9, 14), pick(random, 4, 4, 8)
    z = stairs(builder, (-size * 0.7, -size * 0.7), (size * 0.7, size * 0.7), int(random.integers(3, 7)), 0.25, 0.4)
    shrink, spread = random.uniform(0.06, 0.13), random.uniform(1.2, 1.5)
    lift = random.uniform(0.0, 0.5)
    plain = style.but(cornice_m=0.1, plinth_m=0.3, pilasters=True, dormers=False, chimneys=0)
    factor = 1.414 if sides == 4 else 1.08
    bays = int(random.integers(2, 5))
    for storey in range(storeys):
        half, height = size * (1 - shrink * storey) * 0.5, random.uniform(2.6, 3.4)
        doors = (bays // 2,) if storey == 0 else ()
        if sides == 4:
            block(builder, plain, (0, 0), z, (half * 1.6, half * 1.6, height), 1, (bays, bays), doors=doors, top="none")
        else:
            face = half * 0.85
            wall = sheet(plain, 2 * face * np.tan(np.pi / 8), height, 1, 1, (style.windows[storey % 3],))
            for side in range(8):
                axes = wall_axes(side * np.pi / 4)
                corner = axes[2] * face - axes[0] * face * np.tan(np.pi / 8) + UP * z
                builder.stamp(wall, axes, [corner])
        z += height
        eave = half * spread * factor
        builder.lathe("trim", (0, 0), [(half * 0.8 * factor, z - 0.3), (eave, z - 0.27 + lift)], sides)
        builder.lathe(
            "roof",
            (0, 0),
            [
                (eave, z - 0.25 + lift),
                (eave * 1.01, z - 0.1 + lift),
                (half * 0.98 * factor, z + 0.5),
                (half * 0.8 * factor, z + 1.1),
                (half * 0.66 * factor, z + 1.6),
            ],
            sides,
        )
        z += 1.2
        if storey % 2 == 0:
            _balcony(builder, half * 0.95, z, sides)
    half = size * (1 - shrink * storeys) * 0.5
    builder.lathe("roof", (0, 0), [(half * factor, z - 0.2), (0.4, z + 2.4), (0.3, z + 2.8)], sides)
    beads = int(random.integers(2, 6))
    profile = [(0.25, z + 2.6)]
    for bead in range(beads):
        profile += [
            (0.25, z + 2.9 + bead * 0.8),
            (0.75 - 0.08 * bead, z + 3.2 + bead * 0.8),
            (0.2, z + 3.4 + bead * 0.8),
        ]
    builder.lathe("metal", (0, 0), [*profile, (0.02, z + 4.6 + beads * 0.8)], 10)
    for side in (-1, 1):
        statue(builder, random, (side * size * 0.45, -size * 0.95), 0, random.uniform(1.8, 2.6))
    builder.panel("decal1", (0, -size * 0.42 - 0.35, 4.2), RIGHT, UP, 2.6, 1.2)
    return builder


def _balcony(builder: Builder, half: float, z: float, sides: int) -> None:
    """A railing round a storey's foot."""
    factor = 1.414 if sides == 4 else 1.08
    for low, high in ((0.1, 0.2), (0.7, 0.82)):
        reach = half * factor
        builder.lathe("door", (0, 0), [(reach, z + low), (reach, z + high), (reach - 0.1, z + high)], sides)
    turn = np.arange(sides * 4) / (sides * 4) * 2 * np.pi
    if sides == 4:
        ends = np.linspace(-half, half, 7)
        places = np.concatenate([np.stack([ends, np.full(7, side * half)], 1) for side in (-1, 1)])
        places = np.concatenate([places, places[:, ::-1]])
    else:
        places = half * np.stack([np.cos(turn), np.sin(turn)], 1)
    low = np.column_stack([places - 0.05, np.full(len(places), z)])
    builder.boxes("door", low, low + np.array([0.1, 0.1, 0.8]))


def mosque(random: np.random.Generator, style: Style) -> Builder:
    """A domed hall with a tall portal and minarets."""
    builder = Builder()
    width, height = random.uniform(16, 22), random.uniform(8, 11)
    bays = int(random.integers(3, 7))
    plain = style.but(chimneys=0, dormers=False)
    block(
        builder,
        plain,
        (0, width / 2),
        0,
        (width, width, height),
        int(random.integers(1, 3)),
        (bays, bays),
        top=pick(random, "balustrade", "flat", "battlement"),
    )
    dome(builder, style, (0, width / 2), height + 0.6, width * random.uniform(0.28, 0.42), random.uniform(0.4, 0.8))
    minarets, tall = pick(random, 1, 2, 2, 4), height * random.uniform(2, 2.8)
    size, sides, top = random.uniform(2.2, 3.2), pick(random, 8, 16), pick(random, "cone", "dome")
    slim = style.but(spire=style.spire * 1.4, slits=3)
    for x, y in [(-1, 0), (1, 0), (-1, 1), (1, 1)][:minarets]:
        place = (x * (width / 2 + 1.8), y * width)
        tower(builder, slim, place, 0, size, tall, top, sides)
        level = tall * random.uniform(0.6, 0.75)
        builder.lathe(
            "trim",
            place,
            [
                (size * 0.5, level - 0.8),
                (size * 0.85, level),
                (size * 0.85, level + 0.9),
                (size * 0.78, level + 0.9),
                (size * 0.78, level + 0.1),
                (size * 0.5, level + 0.1),
            ],
            16,
        )
    _portal(builder, style, width * random.uniform(0.28, 0.36), height * random.uniform(1.1, 1.35))
    for x in (-width * 0.38, width * 0.38):
        for y in (width * 0.12, width * 0.88):
            if random.random() < 0.6:
                dome(builder, style, (x, y), height + 0.5, width * 0.09)
    arcade = random.random() < 0.5
    if arcade:  # a colonnade beside the portal
        arch = Opening(0.76, 0.86, 0.0, "point", 0.5, (1, 1), 0.0, glass="", wall="wall2")
        for side in (-1, 1):
            wall = sheet(
                style.but(pilasters=False, quoins=False, courses=False), width * 0.32, height * 0.55, 1, 3, (arch,)
            )
            builder.stamp(
                wall, np.stack([RIGHT, UP, -np.array([0.0, 1.0, 0.0])]), [(side * width * 0.34 - width * 0.16, -3.2, 0)]
            )
            x = side * width * 0.34
            builder.boxes(
                "trim", (x - width * 0.165, -3.4, height * 0.55), (x + width * 0.165, 0, height * 0.55 + 0.35)
            )
    stairs(builder, (-width * 0.2, -2.5), (width * 0.2, 0), 3, 0.15)
    return builder


def _portal(builder: Builder, style: Style, width: float, height: float) -> None:
    """A tall framed niche with a pointed arch and a picture in its back."""
    for side in (-1, 1):
        builder.boxes(
            "wall2", (side * width / 2 - 0.5 + side * 0.5, -1.0, 0), (side * width / 2 + 0.5 + side * 0.5, 0.2, height)
        )
    arch = Opening(0.8, 0.85, 0.0, "point", 1.0, (1, 1), 0.3, glass="door", wall="wall2")
    builder.stamp(
        opening_cell(arch, width, height), np.stack([RIGHT, UP, -np.array([0.0, 1.0, 0.0])]), [(-width / 2, -1.0, 0)]
    )
    builder.boxes("trim", (-width / 2 - 1.2, -1.2, height), (width / 2 + 1.2, 0.2, height + 0.5))
    builder.boxes("wall2", (-width / 2, -0.9, height - 0.02), (width / 2, 0.2, height))
    builder.panel("decal2", (0, -0.06, height * 0.55), RIGHT, UP, width * 0.5, height * 0.25)
    builder.panel("decal1", (0, -1.05, height * 0.94), RIGHT, UP, width * 0.8, height * 0.08)
