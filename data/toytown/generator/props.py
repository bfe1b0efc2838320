"""Things that stand about near the origin on z = 0: cars, people, trees, lamps, poles, benches."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .builder import RIGHT, UP, Builder, grid_quads
from .figures import figure
from .mesh import Material, Mesh
from .noise import hsv, to_bytes
from .seeds import rng
from .style import pick
from .textures import material

# Side views of a car body, front to back: fractions of the length, metres of height.
SALOON = np.array(
    [
        [0, 0.35],
        [0, 0.7],
        [0.03, 0.82],
        [0.24, 0.95],
        [0.38, 1.42],
        [0.68, 1.45],
        [0.85, 1.0],
        [0.98, 0.95],
        [1, 0.8],
        [1, 0.35],
    ]
)
HATCH = np.array(
    [
        [0, 0.35],
        [0, 0.72],
        [0.04, 0.85],
        [0.22, 1.0],
        [0.36, 1.5],
        [0.82, 1.52],
        [0.95, 1.05],
        [0.99, 0.95],
        [1, 0.8],
        [1, 0.35],
    ]
)
VAN = np.array(
    [
        [0, 0.35],
        [0, 0.85],
        [0.04, 1.0],
        [0.14, 1.2],
        [0.26, 1.95],
        [0.9, 2.05],
        [0.98, 1.95],
        [0.99, 1.2],
        [1, 0.9],
        [1, 0.35],
    ]
)
FOLIAGE_HUES, FOLIAGE_ODDS = (0.2, 0.25, 0.28, 0.3, 0.12, 0.08), (0.2, 0.3, 0.2, 0.15, 0.1, 0.05)


def flat(colour: np.ndarray, kind: str = "matte") -> Material:
    """Return a material of one colour, (3,) in 0..1."""
    return Material(np.broadcast_to(to_bytes(colour), (2, 2, 3)), kind, 1.0)


@lru_cache(maxsize=1)
def _fixed() -> dict[str, Material]:
    """Materials that are the same for every prop; shared objects keep joined meshes short of materials."""
    random = rng("props")
    return {
        "tyre": flat(np.full(3, 0.1)),
        "hub": flat(np.full(3, 0.55)),
        "dark": flat(np.array([0.12, 0.13, 0.14])),
        "glass": material(random, "glass", np.array([0.1, 0.11, 0.12])),
        "front_light": flat(np.array([0.85, 0.85, 0.8])),
        "rear_light": flat(np.array([0.6, 0.08, 0.06])),
        "bark": material(random, "planks", np.array([0.3, 0.24, 0.19])),
        "iron": flat(np.array([0.13, 0.16, 0.15])),
        "steel": flat(np.array([0.5, 0.51, 0.52])),
        "lamp": flat(np.array([0.9, 0.88, 0.8])),
        "wood": material(random, "planks", np.array([0.42, 0.3, 0.2])),
        "stone": material(random, "stucco", np.array([0.6, 0.58, 0.54])),
    }


def car(random: np.random.Generator) -> Mesh:
    """Build a saloon, hatchback or van, 3.8 to 5 m long, along x."""
    body = Builder()
    profile = pick(random, SALOON, HATCH, SALOON, HATCH, VAN)
    length, half = random.uniform(3.8, 4.9), random.uniform(0.84, 0.93)
    x, z = (profile[:, 0] - 0.5) * length, profile[:, 1]
    lean = np.where(z > 1.1, 0.16, 0.0)  # the roof is narrower than the waist
    left, right = (np.stack([x, side * (half - lean), z], 1) for side in (-1, 1))
    skin = np.stack([left[:-1], right[:-1], right[1:], left[1:]], 1)
    panes = [3, 5]
    body.quads("paint", np.delete(skin, panes, axis=0))
    middle = skin[panes].mean(axis=1, keepdims=True)
    inner = middle + (skin[panes] - middle) * 0.86
    body.quads("paint", skin[panes])
    body.quads(
        "glass",
        inner + np.array([[[-0.015, 0, 0.015]], [[0.015, 0, 0.015]]]),
        np.tile([[[0, 0.4], [0.4, 0.4], [0.4, 0], [0, 0]]], (2, 1, 1)),
    )
    for side, edge in ((-1, left), (1, right)):
        foot = edge * [1, 1, 0] + [0, 0, 0.32]
        sill = np.where(edge[:, 2:] > 0.95, [0, 0, 0.95], 0) + np.where(
            edge[:, 2:] > 0.95, edge * [1, 0, 0] + [0, side * half, 0], edge
        )
        body.quads("paint", np.stack([foot[:-1], foot[1:], sill[1:], sill[:-1]], 1))
        body.quads("paint", np.stack([sill[:-1], sill[1:], edge[1:], edge[:-1]], 1))
        _side_windows(body, edge, side, half)
        for wheel in (-0.31, 0.3):
            hub = np.array([wheel * length, side * (half + 0.01), 0.33])
            body.disc("tyre", hub, RIGHT * -side, UP, 0.33, 16)
            body.disc("hub", np.add(hub, (0, side * 0.015, 0)), RIGHT * -side, UP, 0.19, 10)
        lights = np.array([[-length / 2 - 0.015, side * half * 0.72, 0.66]])
        body.boxes("front_light", lights - [0, 0.17, 0.08], np.add(lights, (0.06, 0.17, 0.08)))
        body.boxes("rear_light", lights * [-1, 1, 1] - [0.06, 0.15, 0.08], lights * [-1, 1, 1] + [0, 0.15, 0.1])
    body.boxes(
        "dark",
        [(-length / 2 - 0.05, -half * 0.95, 0.3), (length / 2 - 0.06, -half * 0.95, 0.3)],
        [(-length / 2 + 0.06, half * 0.95, 0.5), (length / 2 + 0.05, half * 0.95, 0.5)],
    )
    grey = random.random() < 0.5
    paint = hsv(random.random(), 0.05 if grey else random.uniform(0.3, 0.85), random.uniform(0.08, 0.9))
    return body.build({**_fixed(), "paint": flat(paint)})


def _side_windows(body: Builder, edge: np.ndarray, side: int, half: float) -> None:
    """Two panes between the waist and the roof of one side."""
    first, last = edge[3], edge[6]
    front_top, rear_top = edge[4], edge[5]
    low, high = 1.02, min(front_top[2], rear_top[2]) - 0.08
    share = (high - 0.95) / (front_top[2] - 0.95)
    at = np.array(
        [
            first[0] + 0.18,
            front_top[0] * share + first[0] * (1 - share) + 0.12,
            rear_top[0] * share + last[0] * (1 - share) - 0.1,
            last[0] - 0.2,
        ]
    )
    post = (at[0] + at[3]) / 2
    y_low, y_high = side * (half - 0.01), side * (half - 0.16 * share + 0.015)
    panes = [
        [(at[0], y_low, low), (post - 0.05, y_low, low), (post - 0.05, y_high, high), (at[1], y_high, high)],
        [(post + 0.05, y_low, low), (at[3], y_low, low), (at[2], y_high, high), (post + 0.05, y_high, high)],
    ]
    body.quads("glass", panes, np.tile([[[0, 0.4], [0.4, 0.4], [0.4, 0], [0, 0]]], (2, 1, 1)))


def person(random: np.random.Generator) -> Mesh:
    """Build a passer-by, 1.5 to 1.9 m tall, walking or standing."""
    clothes = {
        "skin": flat(hsv(0.06, random.uniform(0.3, 0.55), random.uniform(0.3, 0.85))),
        "hair": flat(hsv(0.08, random.uniform(0.1, 0.6), random.uniform(0.08, 0.6))),
        "coat": flat(hsv(random.random(), random.uniform(0.05, 0.8), random.uniform(0.12, 0.85))),
        "legs": flat(hsv(random.uniform(0.55, 0.7), random.uniform(0.1, 0.5), random.uniform(0.1, 0.45))),
        "shoe": flat(np.full(3, 0.12)),
    }
    body = figure(random, random.uniform(1.5, 1.9), robe=random.random() < 0.2)
    turned = Builder()
    turned.place(body, random.uniform(0, 2 * np.pi))
    return turned.build(clothes)


def foliage(random: np.random.Generator) -> Material:
    """Paint leaves: mostly greens, some yellow, few russet."""
    hue = float(random.choice(FOLIAGE_HUES, p=FOLIAGE_ODDS))
    return material(random, "leaf", hsv(hue, random.uniform(0.4, 0.65), random.uniform(0.3, 0.48)))


def tree(random: np.random.Generator, height: float, leaves: Material | None = None, cards: int = 1100) -> Mesh:
    """Build a broad-leaved tree or a conifer of the given height in metres.

    Parameters
    ----------
    leaves : material of the foliage; painted anew if None.
    cards : number of leaf quads; a dense, dull core behind them keeps the crown opaque.
    """
    builder = Builder()
    builder.lathe(
        "bark", (0, 0), [(height * 0.045, 0), (height * 0.03, height * 0.12), (height * 0.022, height * 0.6)], 8
    )
    conifer = random.random() < 0.25
    if conifer:
        up = random.random(cards) ** 1.5
        reach = (1 - up) * 0.2 * height * random.uniform(0.6, 1.05, cards)
        turn = random.uniform(0, 2 * np.pi, cards)
        points = np.stack([reach * np.cos(turn), reach * np.sin(turn), height * (0.12 + 0.88 * up)], 1)
        way = points * [1.0, 1.0, 0.0] + [0.0, 0.0, 0.3]
        builder.lathe(
            "leaf", (0, 0), [(0.12 * height, 0.16 * height), (0.07 * height, 0.5 * height), (0.01, 0.9 * height)], 9
        )
    else:
        lumps = int(random.integers(5, 8))
        middles = random.normal(0, 1, (lumps, 3)) * [0.13, 0.13, 0.1] * height + [0, 0, height * 0.66]
        radii = height * random.uniform(0.14, 0.22, lumps)
        for middle, radius in zip(middles, radii, strict=True):
            _lump(builder, random, middle, radius * 0.8)
        for middle in middles[:4]:
            builder.quads("bark", _branch(np.array([0, 0, height * 0.35]), middle, height * 0.02))
        way = random.normal(0, 1, (cards, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        owner = random.integers(0, lumps, cards)
        points = middles[owner] + way * (radii[owner] * random.uniform(0.78, 1.06, cards))[:, None]
    builder.quads("leaf", _cards(random, points, way, min(0.026 * height + 0.07, 0.3) * (0.75 if conifer else 1.0)))
    return builder.build({**_fixed(), "leaf": leaves or foliage(random)})


def _lump(builder: Builder, random: np.random.Generator, middle: np.ndarray, radius: float) -> None:
    """An uneven ball of foliage."""
    up, turn = np.linspace(-np.pi / 2, np.pi / 2, 6)[:, None], np.linspace(0, 2 * np.pi, 9)[None]
    bump = radius * random.uniform(0.82, 1.1, (6, 9))
    bump[:, -1] = bump[:, 0]
    ball = np.stack(np.broadcast_arrays(np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up)), -1)
    builder.quads("leaf", grid_quads(middle + ball * bump[..., None]))


def _branch(start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Two crossed strips from trunk to crown."""
    sides = [np.array([radius, 0, 0]), np.array([0, radius, 0])]
    return np.array([[start - side, start + side, end + side * 0.4, end - side * 0.4] for side in sides])


def _cards(random: np.random.Generator, points: np.ndarray, outward: np.ndarray, size: float) -> np.ndarray:
    """Return (n, 4, 3) leaf quads of about `size` metres at points (n, 3), facing roughly outward (n, 3)."""
    facing = outward / (np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9) + random.normal(0, 0.45, points.shape)
    first = np.cross(facing, random.normal(0, 1, points.shape))
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(facing, first)
    second /= np.linalg.norm(second, axis=1, keepdims=True) + 1e-9
    first = first * size * random.uniform(0.6, 1.3, (len(points), 1))
    second = second * size * random.uniform(0.3, 0.7, (len(points), 1))
    return np.stack([points - first, points - second, points + first, points + second], 1)


def lamp(random: np.random.Generator) -> Mesh:
    """Build a street lamp 4 to 7 m tall: a lantern on a post, or a lamp on a bent arm."""
    builder = Builder()
    height = random.uniform(4, 7)
    builder.lathe("iron", (0, 0), [(0.16, 0), (0.16, 0.5), (0.08, 0.7), (0.055, height)], 8)
    if random.random() < 0.6:
        builder.lathe("lamp", (0, 0), [(0.1, height), (0.24, height + 0.45)], 8)
        builder.lathe("iron", (0, 0), [(0.28, height + 0.45), (0.05, height + 0.7), (0.02, height + 0.85)], 8)
    else:
        builder.boxes("iron", (-0.04, -1.3, height - 0.08), (0.04, 0, height))
        builder.boxes("iron", (-0.12, -1.5, height - 0.1), (0.12, -0.8, height + 0.04))
        builder.boxes("lamp", (-0.1, -1.45, height - 0.15), (0.1, -0.85, height - 0.1))
    return builder.build(_fixed())


def pole(random: np.random.Generator) -> Mesh:
    """Build a sign post or mast: a bare pole with one or two plates, 2.6 to 9 m tall."""
    builder = Builder()
    height = random.uniform(2.6, 9)
    builder.lathe("steel", (0, 0), [(0.07, 0), (0.06, height)], 8)
    signs = int(random.integers(0, 3)) if height > 5 else int(random.integers(1, 3))
    colours = {
        f"sign{number}": flat(hsv(*pick(random, (0.6, 0.8, 0.6), (0.0, 0.8, 0.7), (0.14, 0.8, 0.85))))
        for number in range(2)
    }
    for number in range(signs):
        level = 2.3 - 0.75 * number
        if random.random() < 0.5:
            builder.disc("lamp", (0, -0.085, level), RIGHT, UP, 0.34, 16)
            builder.disc(f"sign{number}", (0, -0.09, level), RIGHT, UP, 0.28, 16)
        else:
            builder.boxes(f"sign{number}", (-0.45, -0.1, level - 0.25), (0.45, -0.07, level + 0.25))
    return builder.build({**_fixed(), **colours})


def bench() -> Mesh:
    """Build a park bench along x, its sitter facing -y."""
    builder = Builder()
    seat = np.array([(-0.8, y, 0.42) for y in (-0.42, -0.24, -0.06)])
    builder.boxes("wood", seat, np.add(seat, (1.6, 0.15, 0.05)))
    builder.boxes("wood", [(-0.8, 0.08, 0.62), (-0.8, 0.1, 0.8)], [(0.8, 0.12, 0.74), (0.8, 0.14, 0.92)])
    for side in (-0.62, 0.62):
        builder.boxes(
            "iron",
            [(side - 0.04, -0.4, 0), (side - 0.04, 0.05, 0)],
            [(side + 0.04, -0.34, 0.42), (side + 0.04, 0.11, 0.92)],
        )
    return builder.build(_fixed())


def planter(random: np.random.Generator, leaves: Material) -> Mesh:
    """Build a stone trough with a clipped shrub."""
    builder = Builder()
    builder.boxes("stone", [(-0.7, -0.7, 0), (-0.78, -0.78, 0.42)], [(0.7, 0.7, 0.5), (0.78, 0.78, 0.55)])
    _lump(builder, random, np.array([0, 0, 0.95]), 0.52)
    way = random.normal(0, 1, (130, 3))
    points = np.array([0, 0, 0.95]) + 0.6 * way / np.linalg.norm(way, axis=1, keepdims=True)
    builder.quads("leaf", _cards(random, points, way, 0.12))
    return builder.build({**_fixed(), "leaf": leaves})
