"""Towers and walls: castle and tower house. Each with its front near y = 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import RIGHT, UP, Builder
from .facade import FRONT, opening_cell
from .parts import block, stairs
from .style import Style, pick
from .towers import ring, tower


def castle(random: np.random.Generator, style: Style) -> Builder:
    """A walled square with corner towers, a keep, and a gate."""
    builder = Builder()
    width, depth, height = random.uniform(18, 26), random.uniform(16, 22), random.uniform(7, 11)
    loop = replace(
        style.windows[0], width=0.16, height=0.3, sill=0.45, hood="none", balcony=False, shutters=False, panes=(1, 1)
    )
    stern = style.but(
        courses=False, pilasters=False, slits=4, windows=(loop, replace(loop, width=0.22), loop), dormers=False
    )
    bays = pick(random, 3, 5)
    block(builder, stern, (0, depth / 2), 0, (width, depth, height), 1, (bays, 4), doors=(bays // 2,), top="battlement")
    sides, top = pick(random, 4, 8, 20, 20), pick(random, "cone", "battlement", "cone")
    for x in (-width / 2, width / 2):
        for y in (0.0, depth):
            size, tall = random.uniform(4.6, 6.5), height * random.uniform(1.15, 1.8)
            tower(builder, stern, (x, y), 0, size, tall, top if sides != 4 else "battlement", sides, 2)
    keep = (width * random.uniform(0.32, 0.45), depth * random.uniform(0.3, 0.45), height * random.uniform(1.5, 2.2))
    block(
        builder,
        stern.but(windows=style.windows),
        (random.uniform(-4, 4), depth * random.uniform(0.4, 0.6)),
        0,
        keep,
        3,
        (2, 2),
        top=pick(random, "battlement", "hip", "pyramid", "gable_x"),
    )
    if random.random() < 0.6:
        gate_top, gate_sides = pick(random, "battlement", "cone"), pick(random, 8, 12)
        for sign in (-1, 1):
            tower(builder, stern, (sign * 3.2, 0), 0, 3.8, height * random.uniform(1.05, 1.2), gate_top, gate_sides)
    builder.panel("decal0", (0, -0.25, height * 0.8), RIGHT, UP, 2.2, 2.2)
    for sign in (-1, 1):
        builder.panel("decal2", (sign * width * 0.3, -0.25, height * 0.55), RIGHT, UP, 1.4, 3.4)
    builder.boxes("door", (-1.6, -6, 0.02), (1.6, 0, 0.25))  # the drawbridge
    for sign in (-1, 1):
        rail = [(sign * 1.5, y, 0.25) for y in np.linspace(-5.9, -0.4, 6)]
        builder.boxes("door", np.subtract(rail, (0.08, 0.08, 0)), np.add(rail, (0.08, 0.08, 0.9)))
        builder.boxes("door", (sign * 1.5 - 0.06, -6, 1.05), (sign * 1.5 + 0.06, -0.3, 1.17))
    return builder


def towerhouse(random: np.random.Generator, style: Style) -> Builder:
    """One tall tower, perhaps with a low house beside it."""
    builder = Builder()
    size, height, sides = random.uniform(6.5, 10), random.uniform(19, 32), pick(random, 4, 4, 4, 8, 20)
    top = pick(random, "spire", "dome", "battlement", "flat", "cone")
    stages = int(random.integers(3, 7))
    tower(builder, style, (0, size / 2), 0, size, height, top, sides, stages, pick(random, "clock", "clock", "decal0"))
    if sides == 4 and random.random() < 0.4:
        for x in (-size / 2, size / 2):
            for y in (0.0, size):
                tower(builder, style, (x, y), height * 0.7, 2.2, height * 0.36, "cone", 12)
    if sides != 4:
        plate = Builder()
        plate.disc("clock", (0, 0, 0.25), RIGHT, np.array([0.0, 1.0, 0.0]), size * 0.2)
        ring(builder, plate, (0, size / 2), height * 0.86, size / 2, 4)
    low = random.random()
    if low < 0.7:
        sign = pick(random, -1, 1)
        block(
            builder,
            style,
            (sign * size * 1.15, size / 2),
            0,
            (size * 1.4, size * random.uniform(0.8, 1.1), height * 0.26),
            2,
            (3, 2),
            doors=(1,),
        )
        if low < 0.3:
            block(builder, style, (-sign * size * 0.95, size / 2), 0, (size, size * 0.8, height * 0.16), 1, (3, 2))
    builder.stamp(opening_cell(style.door, 3.0, 4.0), FRONT, [(-1.5, -size * 0.06 - 0.25, 0)])
    builder.panel("decal2", (0, -size * 0.08 - 0.3, height * 0.3), RIGHT, UP, 1.8, 3.8)
    builder.panel("decal1", (0, -size * 0.08 - 0.3, 4.6), RIGHT, UP, 3.2, 0.8)
    stairs(builder, (-2, -2.2), (2, 0), int(random.integers(2, 6)), 0.17)
    return builder
