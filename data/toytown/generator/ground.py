"""The ground: base, paved precinct with border, paths, lawns with kerbs, a street with pavement and markings."""

from __future__ import annotations

import numpy as np

from .builder import Builder
from .mesh import Material
from .noise import hsv
from .style import pick
from .textures import material

FAR = 400.0  # half the side of the ground, metres
COLOURS = {
    "asphalt": (0.6, 0.03, 0.34),
    "slabs": (0.1, 0.12, 0.55),
    "cobble": (0.08, 0.1, 0.44),
    "gravel": (0.11, 0.2, 0.6),
    "grass": (0.25, 0.45, 0.38),
}
LIFT = {"base": 0.0, "lawn": 0.03, "plaza": 0.05, "path": 0.07, "border": 0.09, "street": 0.04, "mark": 0.06}


def ground_palette(random: np.random.Generator) -> dict[str, Material]:
    """Paint the materials of the ground."""

    def floor(kind: str) -> Material:
        hue, saturation, value = COLOURS[kind]
        return material(
            random, kind, hsv(hue + random.normal(0, 0.015), saturation, value * random.uniform(0.85, 1.15))
        )

    plaza = pick(random, "slabs", "slabs", "cobble", "gravel", "asphalt")
    base = pick(random, "grass", "grass", "slabs", "gravel", "asphalt")
    return {
        "base": floor(base),
        "plaza": floor(plaza),
        "path": floor(pick(random, "slabs", "cobble", "gravel")),
        "border": material(random, "plain", hsv(0.1, 0.1, random.uniform(0.35, 0.7))),
        "lawn": floor("grass"),
        "street": floor("asphalt"),
        "mark": material(random, "plain", hsv(0.12, 0.03, 0.8)),
        "kerb": material(random, "concrete", hsv(0.1, 0.05, 0.58)),
    }


def slab(builder: Builder, slot: str, x0: float, y0: float, x1: float, y1: float, z: float | None = None) -> None:
    """Lay one level rectangle at the slot's usual height."""
    z = LIFT[slot] if z is None else z
    builder.quads(slot, [[(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]])


def kerb(builder: Builder, x0: float, y0: float, x1: float, y1: float, high: float = 0.14, thick: float = 0.18) -> None:
    """Set a kerb round a rectangle."""
    low = [(x0, y0, 0), (x0, y1 - thick, 0), (x0, y0, 0), (x1 - thick, y0, 0)]
    top = [(x1, y0 + thick, high), (x1, y1, high), (x0 + thick, y1, high), (x1, y1, high)]
    builder.boxes("kerb", low, top)


def disc_band(
    builder: Builder, slot: str, middle: tuple[float, float], inner: float, outer: float, z: float, sides: int = 40
) -> None:
    """Lay a level ring (or a disc, inner = 0)."""
    turn = np.arange(sides + 1) / sides * 2 * np.pi
    way = np.stack([np.cos(turn), np.sin(turn)], 1)
    ends = [np.column_stack([np.array(middle) + way * radius, np.full(sides + 1, z)]) for radius in (inner, outer)]
    builder.quads(slot, np.stack([ends[0][:-1], ends[1][:-1], ends[1][1:], ends[0][1:]], 1))


def lay_ground(builder: Builder, random: np.random.Generator, middle: tuple[float, float], radius: float) -> float:
    """Lay everything round a landmark of `radius` metres at `middle`.

    Returns
    -------
    y of the street's centre line, in front of the precinct.
    """
    x, y = middle
    builder.quads("base", _tiled(FAR))
    reach = radius + random.uniform(5, 11)
    if random.random() < 0.5:
        _round_precinct(builder, random, middle, reach)
    else:
        _square_precinct(builder, random, middle, reach)
    wide = random.uniform(2.0, 4.5)
    street = y - reach - random.uniform(6, 12)
    slab(builder, "path", x - wide, street, x + wide, y - radius * 0.4)
    for side in (-1, 1):
        slab(builder, "border", x + side * wide - 0.25, street, x + side * wide + 0.25, y - radius * 0.4)
    if random.random() < 0.7:  # a path round the back, and across
        slab(builder, "path", x - 1.6, y + radius * 0.4, x + 1.6, y + reach + 60, LIFT["path"] - 0.01)
        slab(builder, "path", x - reach - 60, y - 1.6, x + reach + 60, y + 1.6, LIFT["path"] - 0.012)
    _lawns(builder, random, middle, reach, street)
    _street(builder, random, street)
    return street


def _tiled(half: float) -> np.ndarray:
    """Return the base as 8 by 8 quads: small ones keep texture coordinates precise."""
    edge = np.linspace(-half, half, 9)
    grid = np.stack([*np.meshgrid(edge, edge, indexing="xy"), np.zeros((9, 9))], -1)
    return np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2).reshape(-1, 4, 3)


def _round_precinct(builder: Builder, random: np.random.Generator, middle: tuple[float, float], reach: float) -> None:
    disc_band(builder, "plaza", middle, 0, reach, LIFT["plaza"])
    for share in np.linspace(0.62, 1.0, int(random.integers(2, 5))):
        disc_band(builder, "border", middle, reach * share - 0.5, reach * share, LIFT["border"])
    for turn in np.arange(8) * np.pi / 4 + np.pi / 8:
        way, aside = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)]) * 0.22
        ends = np.array(middle) + way * reach * 0.5, np.array(middle) + way * reach
        corners = [ends[0] - aside, ends[1] - aside, ends[1] + aside, ends[0] + aside]
        builder.quads("border", [[(*corner, LIFT["border"] + 0.004) for corner in corners]])


def _square_precinct(builder: Builder, random: np.random.Generator, middle: tuple[float, float], reach: float) -> None:
    x, y = middle
    slab(builder, "plaza", x - reach, y - reach, x + reach, y + reach)
    step = random.uniform(3.5, 7)
    for at in np.arange(-reach + step, reach - 0.1, step):
        slab(builder, "border", x + at - 0.15, y - reach, x + at + 0.15, y + reach, LIFT["border"] - 0.01)
        slab(builder, "border", x - reach, y + at - 0.15, x + reach, y + at + 0.15, LIFT["border"] - 0.006)
    for side in (-1, 1):
        slab(builder, "border", x + side * reach - 0.4, y - reach, x + side * reach + 0.4, y + reach)
        slab(
            builder,
            "border",
            x - reach,
            y + side * reach - 0.4,
            x + reach,
            y + side * reach + 0.4,
            LIFT["border"] + 0.004,
        )


def _lawns(
    builder: Builder, random: np.random.Generator, middle: tuple[float, float], reach: float, street: float
) -> None:
    """Rectangles of grass with kerbs and beds, beside the path and beyond the precinct."""
    x, y = middle
    for side in (-1, 1):
        if random.random() < 0.75:
            near, far = x + side * random.uniform(6, 8), x + side * (reach + random.uniform(4, 14))
            low, high = sorted((near, far))
            _lawn(builder, random, low, street + 4.2, high, y - reach - 0.8)
        if random.random() < 0.6:
            low, high = sorted((x + side * (reach + 1.2), x + side * (reach + random.uniform(8, 22))))
            _lawn(builder, random, low, y + 3, high, y + reach)
    if random.random() < 0.5:
        _lawn(builder, random, x - reach, y + reach + 2, x - 3, y + reach + random.uniform(8, 20))
        _lawn(builder, random, x + 3, y + reach + 2, x + reach, y + reach + random.uniform(8, 20))


def _lawn(builder: Builder, random: np.random.Generator, x0: float, y0: float, x1: float, y1: float) -> None:
    if x1 - x0 < 2 or y1 - y0 < 1.5:
        return
    slab(builder, "lawn", x0, y0, x1, y1, 0.1)
    kerb(builder, x0, y0, x1, y1)
    if random.random() < 0.5:  # a bed of flowers in the middle
        x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, min(x1 - x0, y1 - y0) * 0.25
        slab(builder, "bed", x - half * 1.5, y - half, x + half * 1.5, y + half, 0.13)
        count = 90
        at = random.uniform(-1, 1, (count, 2)) * [half * 1.4, half * 0.9] + [x, y]
        size = random.uniform(0.05, 0.11, (count, 1))
        low = np.column_stack([at - size, np.full(count, 0.12)])
        builder.boxes("flower", low, low + np.column_stack([2 * size, 2 * size, random.uniform(0.1, 0.26, count)]))


def _street(builder: Builder, random: np.random.Generator, y: float) -> None:
    """A road along x with two pavements and a broken centre line."""
    half, walk = random.uniform(3.0, 4.5), random.uniform(1.8, 3)
    slab(builder, "street", -FAR, y - half, FAR, y + half)
    for side in (-1, 1):
        low, high = sorted((y + side * half, y + side * (half + walk)))
        slab(builder, "path", -FAR, low, FAR, high, 0.13)
        edge = y + side * half
        builder.boxes("kerb", (-FAR, min(edge, edge + side * 0.2), 0), (FAR, max(edge, edge + side * 0.2), 0.15))
    at = np.arange(-99.0, 100.0, 6.0)
    corners = np.array([(0, -0.07), (3, -0.07), (3, 0.07), (0, 0.07)])
    marks = np.concatenate(
        [corners[None] + np.stack([at, np.full_like(at, y)], 1)[:, None], np.full((len(at), 4, 1), LIFT["mark"])], 2
    )
    builder.quads("mark", marks)
    crossing = np.arange(y - half + 0.3, y + half - 0.4, 1.0)
    bars = np.array([(-2, 0), (2, 0), (2, 0.5), (-2, 0.5)])
    zebra = np.concatenate(
        [
            bars[None] + np.stack([np.zeros_like(crossing), crossing], 1)[:, None],
            np.full((len(crossing), 4, 1), LIFT["mark"]),
        ],
        2,
    )
    builder.quads("mark", zebra)
