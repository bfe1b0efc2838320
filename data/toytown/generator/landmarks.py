"""Landmarks: one building each, from (namespace, index, template, family) alone."""

from __future__ import annotations

import numpy as np

from .builder import Builder
from .mesh import Material, Mesh
from .seeds import rng

TEMPLATES = (
    "church", "townhall", "gate", "palace", "castle", "temple",
    "monument", "modern", "towerhouse", "pagoda", "mosque", "station",
)  # fmt: skip
SIBLINGS = 4


def family_of(index: int, namespace: str) -> tuple[str, int]:
    """Return (template, family) of a landmark: benchmark has 12 families of 4, others a new family per round."""
    if namespace == "benchmark":
        return TEMPLATES[index // SIBLINGS], index // SIBLINGS
    return TEMPLATES[index % len(TEMPLATES)], index // len(TEMPLATES)


def landmark(namespace: str, index: int, template: str, family: int) -> Mesh:
    """Build a landmark standing around x = 0, front wall near y = 0."""
    random = rng(namespace, "landmark", index)
    builder = Builder()
    builder.boxes("wall", (-9, 0, 0), (9, 10, random.uniform(8, 16)))
    texture = random.integers(60, 200, (64, 64, 3)).astype(np.uint8)
    return builder.build({"wall": Material(texture, "matte", 8.0)})
