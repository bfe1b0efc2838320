"""What stands around a landmark: ground, neighbours, skyline, trees, lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .builder import Builder
from .mesh import Material, Mesh
from .seeds import rng


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Everything but the landmark, and the round footprints (x, y, radius) a camera must keep out of."""

    mesh: Mesh
    obstacles: list[tuple[float, float, float]]


def surroundings(
    namespace: str,
    index: int,
    context: int,
    centre_xy: tuple[float, float] | None = None,
    radius: float | None = None,
) -> Surroundings:
    """Build the surroundings of a landmark, or without `centre_xy` and `radius` a street with no landmark."""
    random = rng(namespace, "surroundings", index, context)
    x, y = centre_xy or (0.0, 0.0)
    reach = radius or 8.0
    builder = Builder()
    builder.quads("ground", [[(-400, -400, 0), (400, -400, 0), (400, 400, 0), (-400, 400, 0)]])
    obstacles = []
    for angle in np.linspace(0, np.pi, 6):
        px, py = x + (reach + 20) * np.cos(angle), y + (reach + 20) * np.sin(angle)
        builder.boxes("wall", (px - 5, py - 5, 0), (px + 5, py + 5, random.uniform(6, 14)))
        obstacles.append((float(px), float(py), 7.5))
    texture = random.integers(60, 200, (64, 64, 3)).astype(np.uint8)
    palette = {slot: Material(texture, "matte", 8.0) for slot in ("ground", "wall")}
    return Surroundings(builder.build(palette), obstacles)
