"""Civic buildings: town hall, palace, station. Each builds around x = 0 with its front near y = 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import RIGHT, UP, Builder
from .parts import block, columns, portico, stairs, statue
from .style import Style, pick
from .towers import dome, flag, tower


def townhall(random: np.random.Generator, style: Style) -> Builder:
    """A broad block with a gabled or towered middle, arcade or porch, and a clock."""
    builder = Builder()
    width, depth, rows = random.uniform(18, 28), random.uniform(10, 14), int(random.integers(2, 5))
    height, bays = rows * random.uniform(3.4, 4.2), int(random.integers(5, 10))
    doors = (bays // 2,) if random.random() < 0.6 else tuple({bays // 2 - 1, bays // 2 + 1})
    eaves = block(builder, style, (0, depth / 2), 0, (width, depth, height), rows, (bays, 4), doors=doors)
    plan, middle = pick(random, "tower", "gable", "cupola", "side tower", "wings"), pick(random, 1, 3)
    if plan == "tower":
        tower(
            builder,
            style,
            (0, 2),
            0,
            random.uniform(4.5, 6),
            height * random.uniform(1.7, 2.4),
            pick(random, "spire", "dome", "flat", "battlement"),
            4,
            int(random.integers(3, 5)),
            "clock",
        )
    elif plan == "side tower":
        tower(
            builder,
            style,
            (pick(random, -1, 1) * width / 2, 2.5),
            0,
            random.uniform(4.5, 6),
            height * random.uniform(1.5, 2.2),
            pick(random, "spire", "cone", "dome", "flat"),
            pick(random, 4, 4, 8),
            3,
            "clock",
        )
    elif plan == "gable":
        part = width * random.uniform(0.25, 0.4)
        block(
            builder,
            style.but(dormers=False, chimneys=0),
            (0, 0.8),
            0,
            (part, 2.4, height + 1.5),
            rows,
            (middle, 1),
            doors=(middle // 2,),
            top="gable_y",
            rise=part * random.uniform(0.5, 0.9),
        )
        builder.disc("clock", (0, -0.75, height + 2.4 + part * 0.2), RIGHT, UP, part * 0.14)
    elif plan == "cupola":
        builder.lathe("wall2", (0, depth / 2), [(2.4, eaves), (2.4, eaves + 4)], 8)
        dome(builder, style, (0, depth / 2), eaves + 4, 2.3)
        builder.disc("clock", (0, -0.3, height * 0.9), RIGHT, UP, 1.0)
    else:
        for side in (-1, 1):
            block(
                builder,
                style.but(dormers=False),
                (side * width / 2, depth / 2),
                0,
                (5, depth + 2.4, height + 1),
                rows,
                (2, 4),
                top=pick(random, "gable_y", "hip", "mansard"),
            )
    if random.random() < 0.45:
        portico(builder, 0, -0.8, 0, (width * 0.3, 2.4, height / rows * 0.8), pick(random, 2, 4), "decal0")
    else:
        stairs(builder, (-width * 0.14, -1.2), (width * 0.14, 0), int(random.integers(2, 5)), 0.16)
    builder.panel("decal1", (0, -0.85, height / rows * 1.04), RIGHT, UP, width * 0.24, 0.8)
    for x in np.linspace(-width * 0.4, width * 0.4, int(random.integers(0, 5))):
        builder.panel("decal2", (x, -0.35, height * 0.6), RIGHT, UP, 1.2, 3.0)
    if style.flag:
        flag(builder, style, (width * 0.3, depth / 2), eaves)
    return builder


def palace(random: np.random.Generator, style: Style) -> Builder:
    """A long front with pavilions, mansards, a dome or a portico."""
    builder = Builder()
    width, depth, rows = random.uniform(28, 40), random.uniform(10, 13), int(random.integers(2, 4))
    height, side_bays = rows * random.uniform(3.8, 4.8), 3
    block(
        builder,
        style.but(chimneys=style.chimneys + 1),
        (0, depth / 2 + 1),
        0,
        (width, depth, height),
        rows,
        (int(random.integers(7, 11)), side_bays),
    )
    part, lift = random.uniform(6, 9), random.uniform(1.05, 1.3)
    places = pick(random, (0.0,), (-width / 2, width / 2), (-width / 2, 0.0, width / 2), (-width / 4, width / 4))
    for x in places:
        block(
            builder,
            style.but(chimneys=0),
            (x, depth / 2),
            0,
            (part, depth + 2, height * lift),
            rows,
            (pick(random, 2, 3), side_bays),
            doors=(1,),
            top=pick(random, "hip", "mansard", "balustrade"),
        )
    top = height * (lift if 0.0 in places else 1.0) + 1.0
    crown = pick(random, "dome", "cupola", "none", "dome")
    if crown == "dome":
        dome(builder, style, (0, depth / 2), top, random.uniform(3.4, 5), 0.8)
    elif crown == "cupola":
        tower(builder, style, (0, depth / 2), top, 3, 5, "dome", 8)
    if random.random() < 0.6:
        portico(
            builder, 0, 0, 0, (part + 2, 2.6, height * 0.58), int(random.integers(4, 9)), pick(random, "decal0", None)
        )
    else:
        stairs(builder, (-part * 0.4, -1.5), (part * 0.4, 0.5), 5, 0.17)
    for x in np.linspace(-width * 0.36, width * 0.36, int(random.integers(0, 5))):
        statue(builder, random, (x, -5.5), 0, random.uniform(2.2, 3.4))
    builder.panel("decal1", (0, -0.25 if 0.0 in places else 0.8, height * 0.97), RIGHT, UP, 4.5, 0.9)
    for side in (-1, 1):
        builder.panel("decal2", (side * width * 0.19, 0.75, height * 0.5), RIGHT, UP, 1.1, 3.2)
    return builder


def station(random: np.random.Generator, style: Style) -> Builder:
    """A hall with great arched windows, a raised middle with clock, a canopy, perhaps towers."""
    builder = Builder()
    width, depth, height = random.uniform(24, 36), random.uniform(10, 14), random.uniform(7, 9)
    bays = int(random.integers(5, 10))
    big = replace(
        style.windows[0],
        width=0.7,
        height=0.82,
        sill=0.04,
        head=pick(random, "round", "segment", "point"),
        depth_m=0.6,
        panes=(3, 3),
        surround_m=0.3,
        balcony=False,
        shutters=False,
    )
    plain = style.but(dormers=False)
    block(
        builder,
        plain,
        (0, depth / 2),
        0,
        (width, depth, height),
        1,
        (bays, 3),
        windows=(big,),
        top=pick(random, "balustrade", "gable_x", "hip"),
    )
    part, tall = width * random.uniform(0.25, 0.36), height * random.uniform(1.4, 1.9)
    portal = replace(
        big, width=random.uniform(0.6, 0.8), height=0.74, panes=(int(random.integers(3, 6)), int(random.integers(3, 6)))
    )
    crown = pick(random, "gable_y", "flat", "mansard", "dome")
    top = block(
        builder,
        plain.but(chimneys=0),
        (0, depth / 2 - 0.8),
        0,
        (part, depth, tall),
        1,
        (1, 2),
        windows=(portal,),
        top="balustrade" if crown == "dome" else crown,
    )
    if crown == "dome":
        dome(builder, style, (0, depth / 2), top, min(part, depth) * 0.38)
    plate = tall * 0.9
    builder.disc("trim", (0, -1.0, plate), RIGHT, UP, 1.25)
    builder.disc("clock", (0, -1.06, plate), RIGHT, UP, 1.05)
    for side in (-1, 1):
        if random.random() < 0.6:
            tower(
                builder,
                style,
                (side * width / 2, 1.5),
                0,
                4,
                height * random.uniform(1.4, 2.1),
                pick(random, "spire", "dome", "flat"),
                4,
                2,
            )
    reach, level = random.uniform(3.5, 5.5), random.uniform(3.4, 4.2)
    posts = np.linspace(-width * 0.45, width * 0.45, int(random.integers(5, 9)))
    columns(builder, [(x, -reach + 0.6) for x in posts], 0, 0.13, level, "metal")
    builder.boxes("roof", (-width * 0.48, -reach, level), (width * 0.48, -0.3, level + 0.25))
    builder.boxes("metal", (-width * 0.48, -reach - 0.06, level - 0.2), (width * 0.48, -reach, level + 0.3))
    builder.panel("decal1", (0, -reach - 0.1, level + 0.75), RIGHT, UP, part * 0.8, 1.0)
    _train_shed(builder, width * 0.5, depth, height * 1.25)
    return builder


def _train_shed(builder: Builder, half: float, start: float, rise: float) -> None:
    """A barrel of glass and iron behind the hall."""
    turn = np.linspace(0, np.pi, 13)
    x, z = half * 0.85 * np.cos(turn), 0.5 + rise * np.sin(turn)
    ys = np.linspace(start, start + 14, 5)
    grid = np.stack(np.broadcast_arrays(x[:, None], ys[None], z[:, None]), -1)
    quads = np.stack([grid[1:, :-1], grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:]], 2).reshape(-1, 4, 3)
    band = np.arange(len(quads)) % 3 == 0
    builder.quads("roof", quads[band])
    one = np.array([[0.0, 0.45], [0.45, 0.45], [0.45, 0.0], [0.0, 0.0]])
    numbers = np.arange(builder.panes, builder.panes + (~band).sum())
    builder.panes += len(numbers)
    builder.quads("glass", quads[~band], one + np.stack([numbers, 0 * numbers], 1)[:, None])
