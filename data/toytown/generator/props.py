"""Things that stand about: cars, people, trees, lamps, poles."""

from __future__ import annotations

import numpy as np

from .builder import Builder
from .mesh import Material, Mesh


def _block(random: np.random.Generator, size: tuple[float, float, float], kind: str = "matte") -> Mesh:
    builder = Builder()
    x, y, z = size
    builder.boxes("body", (-x / 2, -y / 2, 0), (x / 2, y / 2, z))
    colour = random.integers(20, 220, 3).astype(np.uint8)
    return builder.build({"body": Material(np.broadcast_to(colour, (2, 2, 3)), kind, 1.0)})


def car(random: np.random.Generator) -> Mesh:
    return _block(random, (4.4, 1.8, 1.5))


def person(random: np.random.Generator) -> Mesh:
    return _block(random, (0.5, 0.3, 1.75))


def tree(random: np.random.Generator, height: float) -> Mesh:
    return _block(random, (height / 2, height / 2, height), "leaf")


def lamp(random: np.random.Generator) -> Mesh:
    return _block(random, (0.2, 0.2, 5.0))


def pole(random: np.random.Generator) -> Mesh:
    return _block(random, (0.2, 0.2, 9.0))
