"""What stands around a landmark: ground, neighbours, skyline, trees, lamps, benches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import props
from .builder import Builder
from .ground import ground_palette, lay_ground
from .mesh import Material, Mesh
from .noise import hsv
from .parts import block
from .roofs import roof
from .seeds import rng
from .style import Style, draw_palette, draw_style, pick
from .textures import material

CITIES = 6  # neighbours of one city share a taste
SKYLINE = 46
HOUSES = 3  # different ones in a scene
TREE_CARDS = 520


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Everything but the landmark, and the round footprints (x, y, radius) a camera must keep out of, metres."""

    mesh: Mesh
    obstacles: list[tuple[float, float, float]]


def surroundings(
    namespace: str,
    index: int,
    context: int,
    centre_xy: tuple[float, float] | None = None,
    radius: float | None = None,
) -> Surroundings:
    """Build the surroundings of a landmark, or a scene of ordinary houses without any.

    Parameters
    ----------
    context : number of the surroundings; the same landmark can stand in several.
    centre_xy, radius : middle of the landmark and radius of its footprint, metres; both or neither.

    Raises
    ------
    ValueError
        If only one of `centre_xy` and `radius` is given.
    """
    if (centre_xy is None) != (radius is None):
        raise ValueError("surroundings: give both centre_xy and radius for a landmark, or neither for a plain street.")
    random = rng(namespace, "surroundings", index, context)
    city = int(random.integers(CITIES))
    middle = (0.0, 0.0) if centre_xy is None else (float(centre_xy[0]), float(centre_xy[1]))
    reach = 7.0 if radius is None else float(radius)
    floor = Builder()
    street = lay_ground(floor, random, middle, reach)
    _skyline(floor, random, middle)
    placed = [
        (floor.build({**ground_palette(random), **_bed_palette(random), **_skyline_palette(random)}), 0.0, (0, 0, 0))
    ]
    taken: list[tuple[float, float, float]] = []
    if radius is not None:
        taken.append((*middle, reach))
    placed += _neighbours(random, (namespace, city), middle, reach, street, taken, frontal=radius is None)
    placed += _greenery(random, middle, reach, street, taken)
    placed += _furniture(random, middle, reach, street, taken)
    return Surroundings(Mesh.join(placed), taken[0 if radius is None else 1 :])


def _house(random: np.random.Generator, key: tuple[str, int], number: int) -> tuple[Mesh, float]:
    """Build an ordinary house in the city's taste; return it, its back wall at y = 0, and its radius."""
    namespace, city = key
    style = _plain_taste(random, draw_style(random, rng(namespace, "city style", city)))
    builder = Builder()
    rows, width, depth = int(random.integers(2, 6)), random.uniform(9, 17), random.uniform(8, 11)
    bays, top = max(2, int(width / 3)), pick(random, "gable_x", "hip", "mansard", "flat", "hip", "gable_y")
    size, door = (width, depth, rows * 3.2), int(random.integers(bays))
    block(builder, style, (0, 0), 0, size, rows, (bays, 2), doors=(door,), top=top, blind=(2,))
    if random.random() < 0.5:  # a shop front
        builder.panel(
            "decal1", (0, -depth / 2 - 0.2, 3.3), np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), width * 0.5, 0.7
        )
        low, high = (-width * 0.3, -depth / 2 - 1.3, 2.7), (width * 0.3, -depth / 2, 2.85)
        builder.boxes("shutter", low, high)
    if random.random() < 0.4:  # a lower wing
        roofed = (width * 0.5 + 2, depth * 0.1)
        top = pick(random, "flat", "hip")
        block(builder, style, roofed, 0, (4, depth * 0.8, 3.4), 1, (1, 2), top=top, blind=(2, 3))
    palette = draw_palette(random, rng(namespace, "city", city, number), "house", builder.slots)
    return builder.build(palette), float(np.hypot(width, depth) / 2)


def _plain_taste(random: np.random.Generator, style: Style) -> Style:
    """Return the style without what would make a neighbour as rich (and as heavy) as a landmark."""
    panes = pick(random, (2, 1), (1, 2), (2, 2))
    surround, shutters = pick(random, 0.0, 0.12), random.random() < 0.35
    windows = tuple(
        replace(window, head="flat", panes=panes, surround_m=surround, hood="none", balcony=False, shutters=shutters)
        for window in style.windows
    )
    plain = {
        "pilasters": False,
        "quoins": False,
        "dentils": False,
        "dormers": False,
        "chimneys": min(style.chimneys, 2),
    }
    return style.but(windows=windows, **plain)


def _neighbours(
    random: np.random.Generator, key: tuple[str, int], middle: tuple[float, float], reach: float, street: float,
    taken: list[tuple[float, float, float]], frontal: bool,
) -> list[tuple[Mesh, float, tuple[float, float, float]]]:  # fmt: skip
    """Stand houses round the precinct, facing it, leaving the front open; `frontal` closes that side too."""
    placed = []
    count = int(random.integers(6, 9)) if frontal else int(random.integers(4, 7))
    models = [_house(random, key, number) for number in range(HOUSES)]
    for number in range(count):
        house, size = models[number % len(models)]
        opened = 0.0 if frontal else random.uniform(0.75, 0.9)
        angle = -np.pi / 2 + opened + (2 * np.pi - 2 * opened) * (number + random.uniform(0.1, 0.9)) / count
        distance = reach + random.uniform(9, 26) + size
        x, y = middle[0] + distance * np.cos(angle), middle[1] + distance * np.sin(angle)
        if _is_free(x, y, size, taken) and abs(y - street) > size + 5:
            placed.append((house, angle - np.pi / 2 + random.normal(0, 0.12), (x, y, 0.0)))
            taken.append((float(x), float(y), size))
    across = street - random.uniform(10, 14)
    for x in np.arange(-60.0, 61.0, 20.0):  # the row beyond the street, behind the camera mostly
        house, size = models[int(random.integers(len(models)))]
        if abs(x - middle[0]) > reach + 22 and random.random() < 0.45 and _is_free(x, across, size, taken):
            placed.append((house, np.pi, (float(x), across, 0.0)))
            taken.append((float(x), float(across), size))
    return placed


def _is_free(x: float, y: float, radius: float, taken: list[tuple[float, float, float]], gap: float = 1.0) -> bool:
    return all(np.hypot(x - other_x, y - other_y) > radius + other + gap for other_x, other_y, other in taken)


def _greenery(
    random: np.random.Generator, middle: tuple[float, float], reach: float, street: float,
    taken: list[tuple[float, float, float]],
) -> list[tuple[Mesh, float, tuple[float, float, float]]]:  # fmt: skip
    """Plant trees: a row along the street or a loose group, and planters by the path."""
    placed = []
    leaves = [props.foliage(random) for _ in range(2)]
    models = [props.tree(random, random.uniform(5, 11), pick(random, *leaves), TREE_CARDS) for _ in range(3)]
    spots = []
    if random.random() < 0.5:
        gap = random.uniform(7, 11)
        spots = [(middle[0] + side * (13 + gap * step), street + 5.5) for side in (-1, 1) for step in range(3)]
    for _ in range(int(random.integers(2, 6))):
        angle, distance = -np.pi / 2 + random.uniform(0.5, 2 * np.pi - 0.5), reach + random.uniform(4, 24)
        spots.append((middle[0] + distance * np.cos(angle), middle[1] + distance * np.sin(angle)))
    for x, y in spots[:6]:
        model = models[int(random.integers(len(models)))]
        crown = float(np.abs(model.corners[..., :2]).max())
        if _is_free(x, y, crown, taken, -0.5) and abs(y - street) > 4.5:
            placed.append((model, random.uniform(0, 2 * np.pi), (float(x), float(y), 0.0)))
            taken.append((float(x), float(y), crown))
    if random.random() < 0.5:
        trough = props.planter(random, leaves[0])
        for side in (-1, 1):
            for y in np.linspace(street + 6, middle[1] - reach - 1, 3)[: int(random.integers(1, 4))]:
                placed.append((trough, 0.0, (middle[0] + side * 5.6, float(y), 0.05)))
    return placed


def _furniture(
    random: np.random.Generator, middle: tuple[float, float], reach: float, street: float,
    taken: list[tuple[float, float, float]],
) -> list[tuple[Mesh, float, tuple[float, float, float]]]:  # fmt: skip
    """Stand lamps along the street and round the precinct, benches facing the landmark, a sign post."""
    placed = []
    post = props.lamp(random)
    every = random.uniform(14, 22)
    for step in range(-3, 4):
        x = middle[0] + (step + 0.5) * every
        placed.append((post, np.pi, (x, street + 5.2, 0.0)))
        taken.append((float(x), float(street + 5.2), 0.4))
    seat = props.bench()
    for _ in range(int(random.integers(2, 7))):
        angle, distance = random.uniform(0, 2 * np.pi), reach + random.uniform(2, 4.5)
        x, y = middle[0] + distance * np.cos(angle), middle[1] + distance * np.sin(angle)
        if _is_free(x, y, 1.0, taken) and abs(x - middle[0]) > 3:
            placed.append((seat, angle - np.pi / 2, (x, y, 0.05)))
    placed.append(
        (props.pole(random), random.uniform(-0.5, 0.5), (middle[0] + random.uniform(6, 20), street + 5.0, 0.0))
    )
    return placed


def _skyline(builder: Builder, random: np.random.Generator, middle: tuple[float, float]) -> None:
    """Ring the scene with far buildings: plain blocks whose windows are painted."""
    plain = draw_style(rng("skyline"), rng("skyline")).but(chimneys=0, dormers=False)
    for number in range(SKYLINE):
        angle, distance = 2 * np.pi * (number + random.random()) / SKYLINE, random.uniform(85, 210)
        height = random.uniform(7, 18) * (2.2 if random.random() < 0.08 else 1.0)
        width, depth = random.uniform(9, 22), random.uniform(8, 14)
        far = Builder()
        far.boxes("wall", (-width / 2, -depth / 2, 0), (width / 2, depth / 2, height))
        far.boxes(
            "eaves",
            (-width / 2 - 0.3, -depth / 2 - 0.3, height - 0.1),
            (width / 2 + 0.3, depth / 2 + 0.3, height + 0.4),
        )
        kind = pick(random, "gable_x", "hip", "hip", "none")
        roof(far, plain, kind, (0, 0), height + 0.4, (width, depth), random.uniform(2, 4.5))
        slot = f"skyline{number % 4}"
        position = np.array([middle[0] + distance * np.cos(angle), middle[1] + distance * np.sin(angle), 0.0])
        turn = angle + np.pi / 2 + random.normal(0, 0.2)
        cosine, sine = np.cos(turn), np.sin(turn)
        axes = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        builder.stamp(far, axes, [position], {"wall": slot, "roof": "far_roof"})


def _skyline_palette(random: np.random.Generator) -> dict[str, Material]:
    walls = {
        f"skyline{number}": material(
            random, "windows", hsv(random.uniform(0.02, 0.14), random.uniform(0.05, 0.4), random.uniform(0.45, 0.8))
        )
        for number in range(4)
    }
    return {
        **walls,
        "far_roof": material(random, "rooftile", hsv(0.04, 0.4, 0.42)),
        "eaves": props.flat(np.array([0.5, 0.48, 0.45])),
    }


def _bed_palette(random: np.random.Generator) -> dict[str, Material]:
    flower = hsv(float(random.choice([0.0, 0.95, 0.14, 0.8, 0.6])), random.uniform(0.5, 0.8), random.uniform(0.6, 0.85))
    return {"bed": material(random, "gravel", np.array([0.25, 0.19, 0.14])), "flower": props.flat(flower)}
