"""Memorials one walks through or round: gate and monument. Each with its front near y = 0, or around the origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import RIGHT, UP, Builder
from .facade import opening_cell, wall_axes
from .figures import figure
from .parts import columns, stairs, statue
from .roofs import roof
from .style import Opening, Style, pick
from .towers import dome, tower


def gate(random: np.random.Generator, style: Style) -> Builder:
    """A triumphal arch or city gate: one or three passages, an attic, statues, towers or battlements."""
    builder = Builder()
    width, depth, height = random.uniform(13, 20), random.uniform(4, 6.5), random.uniform(8, 12)
    passages, head = pick(random, 1, 3, 3), pick(random, "round", "round", "point", "segment")
    main = Opening(
        random.uniform(0.62, 0.78),
        random.uniform(0.7, 0.82),
        0.0,
        head,
        depth / 2,
        (1, 1),
        random.choice([0.0, 0.3, 0.5]),
        glass="",
    )
    share = 1.0 if passages == 1 else random.uniform(0.4, 0.5)
    small = replace(main, height=main.height * random.uniform(0.5, 0.75), surround_m=0.2)
    bays = [(0.0, width * share, main)]
    if passages == 1:
        bays = [(0.0, width * 0.56, main)]
    side = (width - bays[0][1]) / 2
    blank = Opening(0.5, 0.45, 0.3, "flat" if head == "segment" else head, 0.4, (1, 2), 0.2)
    for sign in (-1, 1):
        bays.append((sign * (bays[0][1] + side) / 2, side, small if passages == 3 else blank))
    _gate_walls(builder, bays, width, depth, height)
    out = style.cornice_m + 0.2
    builder.boxes("trim", (-width / 2 - out, -out, height), (width / 2 + out, depth + out, height + 0.6))
    at = np.arange(-width / 2, width / 2 - 0.2, random.uniform(0.6, 0.9))
    low = np.column_stack([at, np.full_like(at, -out * 0.7), np.full_like(at, height - 0.35)])
    builder.boxes("trim", low, np.add(low, (0.35, depth + out * 1.4, 0.35)))
    edges = np.array([-width / 2, -bays[0][1] / 2, bays[0][1] / 2, width / 2])
    if random.random() < 0.6:
        columns(builder, [(x, y) for x in edges * 0.97 for y in (-0.7, depth + 0.7)], 0, 0.42, height)
        builder.boxes(
            "trim",
            np.stack([edges * 0.97 - 0.7, np.full(4, -1.3), np.full(4, height)], 1),
            np.stack([edges * 0.97 + 0.7, np.full(4, 0.0), np.full(4, height + 0.7)], 1),
        )
    attic = random.uniform(1.8, 4)
    top = height + 0.6 + attic
    builder.boxes("wall2", (-width / 2 + 0.3, 0.3, height + 0.6), (width / 2 - 0.3, depth - 0.3, top))
    builder.panel(
        "decal1", (0, 0.25, height + 0.6 + attic / 2), RIGHT, UP, width * random.uniform(0.4, 0.7), attic * 0.6
    )
    for sign in (-1, 1):
        spot = np.array([sign * (bays[0][1] + side) / 2, -0.06, height * 0.84])
        builder.disc("trim", spot, RIGHT, UP, side * 0.25)
        builder.disc("decal0", spot - [0, 0.06, 0], RIGHT, UP, side * 0.21)
    _gate_crown(builder, random, style, width, depth, top)
    return builder


def _gate_walls(
    builder: Builder, bays: list[tuple[float, float, Opening]], width: float, depth: float, height: float
) -> None:
    """Raise the four sides: bays (centre x, width, opening) in front and behind, plain ends, a plinth between."""
    for turn, y in ((0.0, 0.0), (np.pi, depth)):
        for x, span, opening in bays:
            corner = (x - span / 2, y, 0) if turn == 0 else (x + span / 2, y, 0)
            builder.stamp(opening_cell(opening, span, height), wall_axes(turn), [corner])
    for x, turn in ((-width / 2, -np.pi / 2), (width / 2, np.pi / 2)):
        wall = Builder()
        wall.quads("wall", [[(0, 0, 0), (depth, 0, 0), (depth, height, 0), (0, height, 0)]])
        builder.stamp(wall, wall_axes(turn), [(x, depth if turn < 0 else 0, 0)])
    edges = [-width / 2 - 0.15]
    for x, span, opening in sorted(bays, key=lambda bay: bay[0]):
        if not opening.glass:
            edges += [x - span * opening.width / 2 - 0.05, x + span * opening.width / 2 + 0.05]
    spans = np.array([*edges, width / 2 + 0.15]).reshape(-1, 2)
    count = len(spans)
    low = np.column_stack([spans[:, 0], np.full(count, -0.15), np.full(count, -0.1)])
    builder.boxes("base", low, np.column_stack([spans[:, 1], np.full(count, depth + 0.15), np.full(count, 0.9)]))


def _gate_crown(
    builder: Builder, random: np.random.Generator, style: Style, width: float, depth: float, top: float
) -> None:
    kind = pick(random, "statues", "battlement", "towers", "gable", "balustrade")
    if kind == "statues":
        for x in np.linspace(-width * 0.36, width * 0.36, int(random.integers(1, 6))):
            statue(builder, random, (x, depth / 2), top, random.uniform(2.5, 4))
    elif kind == "towers":
        for sign in (-1, 1):
            tower(
                builder,
                style,
                (sign * (width / 2 + 1.6), depth / 2),
                0,
                5,
                top * random.uniform(1.0, 1.25),
                pick(random, "cone", "battlement"),
                pick(random, 8, 16),
            )
        roof(builder, style, "battlement", (0, depth / 2), top, (width - 0.6, depth - 0.6))
    elif kind == "gable":
        roof(
            builder,
            style,
            pick(random, "gable_x", "hip"),
            (0, depth / 2),
            top,
            (width - 0.6, depth - 0.6),
            random.uniform(1.5, 4),
        )
    else:
        roof(builder, style, kind, (0, depth / 2), top, (width - 0.6, depth - 0.6))
    if style.flag:
        builder.panel("decal2", (0, -0.9, top * 0.62), RIGHT, UP, 1.6, 2.6)


def monument(random: np.random.Generator, style: Style) -> Builder:
    """A memorial on steps: column, obelisk, great statue, tempietto or fountain, in a ring of posts."""
    builder = Builder()
    half = random.uniform(3, 6)
    z = stairs(builder, (-half, -half), (half, half), int(random.integers(2, 6)), 0.28, 0.5)
    base, high = half * random.uniform(0.36, 0.5), random.uniform(2.5, 5)
    builder.boxes("wall", (-base, -base, z), (base, base, z + high))
    builder.boxes(
        "trim",
        [(-base - 0.3, -base - 0.3, z + high), (-base - 0.3, -base - 0.3, z)],
        [(base + 0.3, base + 0.3, z + high + 0.5), (base + 0.3, base + 0.3, z + 0.5)],
    )
    for side in range(4):
        axes = wall_axes(side * np.pi / 2)
        builder.panel(
            f"decal{(side + 1) % 3}",
            axes[2] * (base + 0.03) + UP * (z + high * 0.55),
            axes[0],
            UP,
            base * 1.4,
            high * 0.5,
        )
    top = z + high + 0.5
    kind = pick(random, "column", "obelisk", "statue", "tempietto", "fountain")
    if kind == "column":
        tall = random.uniform(9, 17)
        columns(builder, [(0, 0)], top, base * 0.55, tall, "wall2")
        for level in np.linspace(0.25, 0.8, int(random.integers(1, 5))) * tall:
            builder.lathe(
                "metal",
                (0, 0),
                [(base * 0.56, top + level), (base * 0.64, top + level + 0.2), (base * 0.55, top + level + 0.4)],
                16,
            )
        builder.boxes("trim", (-base * 0.9, -base * 0.9, top + tall), (base * 0.9, base * 0.9, top + tall + 0.4))
        statue(builder, random, (0, 0), top + tall + 0.4, random.uniform(3, 4.5))
    elif kind == "obelisk":
        tall = random.uniform(10, 18)
        builder.lathe("wall2", (0, 0), [(base * 1.2, top), (base * 0.75, top + tall)], 4)
        builder.lathe("dome", (0, 0), [(base * 0.75, top + tall), (0.02, top + tall + base * 1.1)], 4)
        builder.panel("decal2", (0, -base * 0.82, top + tall * 0.2), RIGHT, UP, base * 0.9, base * 1.2)
    elif kind == "statue":
        builder.place(
            figure(random, random.uniform(4.5, 7.5), ("statue", "statue", "statue")),
            random.uniform(-0.3, 0.3),
            (0, 0, top),
        )
    else:
        _tempietto(builder, random, style, base, top, kind == "fountain")
    if random.random() < 0.6:
        for x in (-half + 0.8, half - 0.8):
            for y in (-half + 0.8, half - 0.8):
                statue(builder, random, (x, y), z, random.uniform(1.8, 2.8))
    else:
        _urns(builder, random, half - 0.7, z)
    _posts(builder, half + 3 + 0.5, int(random.integers(0, 4)) * 4)
    return builder


def _tempietto(builder: Builder, random: np.random.Generator, style: Style, base: float, z: float, basin: bool) -> None:
    """A ring of columns under a dome, or bowls of water."""
    if basin:
        tall = random.uniform(3, 5)
        builder.lathe(
            "trim",
            (0, 0),
            [
                (0.5, z),
                (0.35, z + tall * 0.4),
                (base * 1.5, z + tall * 0.55),
                (base * 1.6, z + tall * 0.62),
                (base * 1.4, z + tall * 0.6),
                (0.3, z + tall * 0.57),
                (0.3, z + tall * 0.85),
                (base * 0.8, z + tall),
                (base * 0.75, z + tall * 1.03),
                (0.02, z + tall),
            ],
            24,
        )
        statue(builder, random, (0, 0), z + tall, random.uniform(2.2, 3.5))
        return
    tall = random.uniform(4.5, 7)
    turn = np.arange(8) / 8 * 2 * np.pi
    columns(builder, base * 1.1 * np.stack([np.cos(turn), np.sin(turn)], 1), z, 0.26, tall)
    builder.lathe(
        "trim",
        (0, 0),
        [(0.1, z + tall), (base * 1.4, z + tall), (base * 1.4, z + tall + 0.8), (base * 1.1, z + tall + 0.8)],
        24,
    )
    dome(builder, style, (0, 0), z + tall + 0.7, base * 1.1, 0.3)
    statue(builder, random, (0, 0), z, tall * 0.6)


def _urns(builder: Builder, random: np.random.Generator, reach: float, z: float) -> None:
    """Four urns of one shape on blocks at the corners of the top step."""
    belly, tall, slot = random.uniform(0.3, 0.6), random.uniform(0.9, 1.7), pick(random, "trim", "metal", "statue")
    urn = Builder()
    urn.boxes("base", (-0.45, -0.45, 0), (0.45, 0.45, 0.6))
    profile = [(0.3, 0), (0.12, 0.15), (belly, 0.5), (belly, 0.7), (0.6 * belly, 0.9), (0.8 * belly, 1.0), (0.02, 1.05)]
    urn.lathe(slot, (0, 0), np.array(profile) * [1, tall] + [0, 0.6], 12)
    builder.stamp(urn, np.eye(3), [(x, y, z) for x in (-reach, reach) for y in (-reach, reach)])


def _posts(builder: Builder, radius: float, count: int) -> None:
    """A ring of bollards joined by a low chain."""
    if not count:
        return
    turn = np.arange(count) / count * 2 * np.pi
    one = Builder()
    one.lathe("metal", (0, 0), [(0.2, 0), (0.15, 0.9), (0.26, 1.0), (0.02, 1.25)], 8)
    places = radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    builder.stamp(one, np.eye(3), np.column_stack([places, np.zeros(count)]))
    following = np.roll(places, -1, axis=0)
    for low, high in ((0.72, 0.78),):
        quads = np.stack(
            [
                np.column_stack([p, np.full(count, h)])
                for p, h in ((places, low), (following, low), (following, high), (places, high))
            ],
            1,
        )
        builder.quads("metal", quads)
