"""Pagoda and mosque. The pagoda stands around the origin, the mosque with its front near y = 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import RIGHT, UP, Builder
from .facade import opening_cell, sheet, wall_axes
from .parts import block, stairs, statue
from .style import Opening, Style, pick
from .towers import dome, tower


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
    bare = tuple(replace(window, shutters=False) for window in style.windows)
    plain = style.but(chimneys=0, dormers=False, windows=bare)
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
