"""Modern buildings of four kinds, each around x = 0 with its front near y = 0."""

from __future__ import annotations

import numpy as np

from .builder import BACK, RIGHT, UP, Builder
from .parts import block, columns
from .style import Opening, Style, pick


def modern(random: np.random.Generator, style: Style) -> Builder:
    """Stacked boxes, a turned tower, a cluster of crystals, or a hall under a wave."""
    builder = Builder()
    pane = Opening(
        random.uniform(0.7, 0.92), random.uniform(0.55, 0.85), 0.12, "flat", 0.25, (int(random.integers(1, 4)), 1)
    )
    plain = style.but(
        windows=(pane,),
        courses=random.random() < 0.5,
        pilasters=random.random() < 0.5,
        quoins=False,
        roof="flat",
        dormers=False,
        chimneys=0,
    )
    kind = pick(random, "stack", "turned", "crystals", "wave")
    front = {"stack": -1.2, "turned": -1.5, "crystals": 0.8, "wave": -3.2}[kind]
    {"stack": _stack, "turned": _turned, "crystals": _crystals, "wave": _wave}[kind](builder, random, plain)
    builder.panel(
        "decal1",
        (random.uniform(-4, 4), front - 0.05, random.uniform(3.2, 5)),
        RIGHT,
        UP,
        random.uniform(4, 7),
        random.uniform(1.2, 2),
    )
    x = random.uniform(5, 8) * pick(random, -1, 1)
    builder.boxes("metal", (x - 1.3, -4.2, 0), (x + 1.3, -3.9, 5))
    builder.panel("decal0", (x, -4.25, 3), RIGHT, UP, 2.4, 3.6)
    sculpture = [
        (0.9, 0),
        (0.2, 0.4),
        (random.uniform(0.2, 1.6), 2),
        (random.uniform(0.2, 1.2), 3),
        (0.05, random.uniform(4, 6)),
    ]
    builder.lathe("metal", (-x, -4.5), sculpture, pick(random, 3, 4, 16))
    return builder


def _stack(builder: Builder, random: np.random.Generator, style: Style) -> None:
    z, width = 0.0, random.uniform(14, 20)
    for level in range(int(random.integers(3, 6))):
        rows = int(random.integers(1, 3))
        size = (width * random.uniform(0.6, 1.05), width * random.uniform(0.5, 0.85), rows * 3.8)
        middle = (random.uniform(-3, 3), size[1] / 2 + random.uniform(-1.2, 2))
        block(
            builder,
            style,
            middle,
            z,
            size,
            rows,
            (int(random.integers(4, 8)), int(random.integers(3, 6))),
            doors=(1,) if level == 0 else (),
        )
        z += size[2] + 0.5


def _turned(builder: Builder, random: np.random.Generator, style: Style) -> None:
    radius, height, wave = random.uniform(7, 10), random.uniform(16, 30), random.uniform(0.05, 0.3)
    phase, twist = random.uniform(0, 3), random.uniform(2.5, 5)
    levels = np.linspace(0, 1, 15)
    reach = radius * (1 + wave * np.sin(levels * twist + phase))
    middle = (0.0, radius)
    sides = pick(random, 6, 8, 36, 36)
    builder.lathe("wall" if random.random() < 0.5 else "wall2", middle, np.stack([reach, levels * height], 1), sides)
    bays = 24 if sides == 36 else sides * 3
    for r, z in zip(reach[:-1], levels[:-1] * height, strict=True):
        builder.lathe(
            "trim", middle, [(r + 0.05, z), (r + 0.45, z + 0.05), (r + 0.45, z + 0.45), (r + 0.05, z + 0.5)], sides
        )
        if sides == 36:
            turn = np.arange(bays) / bays * 2 * np.pi
            for angle in turn:
                outward = np.array([np.cos(angle), np.sin(angle), 0.0])
                centre = np.array([*middle, z + height / 28 + 0.3]) + outward * (r + 0.12)
                builder.panel(
                    "glass", centre, np.array([-outward[1], outward[0], 0.0]), UP, r * 0.19, height / 14 * 0.62
                )
    builder.lathe("roof", middle, [(reach[-1], height), (0.1, height + random.uniform(1, 6))], sides)
    block(builder, style, (0, 1.5), 0, (radius * 1.4, 6, 4), 1, (5, 2), doors=(2,))


def _crystals(builder: Builder, random: np.random.Generator, style: Style) -> None:
    count, height = int(random.integers(3, 7)), random.uniform(12, 22)
    for number in range(count):
        middle = ((number - count / 2 + 0.5) * 5 + random.uniform(-1, 1), 6 + random.uniform(-2, 3))
        top, sides = height * random.uniform(0.5, 1.1), pick(random, 3, 4, 5, 6)
        lean, slot = random.uniform(0.6, 1.0), pick(random, "wall", "wall2", "roof")
        phase = random.uniform(0, 2)
        builder.lathe(slot, middle, [(4.2, 0), (4.2 * lean, top)], sides, phase)
        builder.lathe("roof", middle, [(4.2 * lean, top), (0.05, top * random.uniform(1.15, 1.4))], sides, phase)
        for level in np.arange(5.5, top - 1, 3.2):
            r = 4.2 * (1 + (lean - 1) * level / top) + 0.06
            builder.lathe("metal", middle, [(r, level - 0.9), (r, level + 0.9)], sides, phase)
    block(builder, style, (0, 6), 0, (26, 10, 4.5), 1, (9, 4), doors=(4,))


def _wave(builder: Builder, random: np.random.Generator, style: Style) -> None:
    width, depth, rows = random.uniform(20, 30), random.uniform(12, 16), int(random.integers(2, 4))
    height = rows * 3.8
    block(
        builder,
        style,
        (0, depth / 2),
        0,
        (width, depth, height),
        rows,
        (int(random.integers(6, 11)), int(random.integers(4, 7))),
        doors=(2, 3),
    )
    along = np.linspace(0, 1, 17)
    z = height + 1.5 + random.uniform(1.5, 5) * np.sin(along * np.pi * pick(random, 1, 2, 3)) ** 2
    low = np.stack([-width / 2 - 3 + (width + 6) * along, np.full(17, -3.0), z], 1)
    high = low + BACK * (depth + 6)
    thick = UP * 0.5
    for lift, slot in ((0 * UP, "trim"), (thick, "roof")):
        builder.quads(slot, np.stack([low[:-1], low[1:], high[1:], high[:-1]], 1) + lift)
    builder.quads("trim", np.stack([low[:-1], low[1:], low[1:] + thick, low[:-1] + thick], 1))
    builder.quads("trim", np.stack([high[1:], high[:-1], high[:-1] + thick, high[1:] + thick], 1))
    columns(builder, [(x, -2.6) for x in np.linspace(-width / 2, width / 2, 6)], 0, 0.2, height + 1.7, "metal")
