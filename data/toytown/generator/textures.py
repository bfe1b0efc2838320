"""Materials by name: a procedural texture, its size in metres, its kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import masonry, surfaces
from .mesh import Material
from .noise import noise, to_bytes

Painter = Callable[[np.random.Generator, np.ndarray], np.ndarray]
# name -> (painter, metres per repeat, strength of weathering)
PAINTERS: dict[str, tuple[Painter, float, float]] = {
    "brick": (masonry.brick, 5.0, 0.06),
    "ashlar": (masonry.ashlar, 7.0, 0.07),
    "rubble": (masonry.rubble, 7.0, 0.06),
    "stripes": (masonry.stripes, 8.0, 0.05),
    "concrete": (masonry.concrete, 9.0, 0.09),
    "slabs": (masonry.slabs, 12.0, 0.07),
    "cobble": (masonry.cobble, 8.0, 0.07),
    "stucco": (surfaces.stucco, 11.0, 0.08),
    "marble": (surfaces.marble, 8.0, 0.04),
    "halftimber": (surfaces.halftimber, 6.0, 0.05),
    "mosaic": (surfaces.mosaic, 5.0, 0.04),
    "panels": (surfaces.panels, 10.0, 0.04),
    "rooftile": (surfaces.rooftile, 7.0, 0.08),
    "seam": (surfaces.seam, 6.0, 0.09),
    "planks": (surfaces.planks, 2.4, 0.06),
    "glass": (surfaces.glass, 1.0, 0.0),
    "asphalt": (surfaces.asphalt, 16.0, 0.06),
    "grass": (surfaces.grass, 14.0, 0.06),
    "gravel": (surfaces.gravel, 9.0, 0.05),
    "leaf": (surfaces.leaf, 3.0, 0.0),
    "plain": (surfaces.plain, 4.0, 0.04),
    "windows": (surfaces.window_grid, 26.0, 0.04),
}
KIND = {"glass": "glass", "leaf": "leaf"}


def material(random: np.random.Generator, name: str, colour: np.ndarray) -> Material:
    """Paint a material.

    Parameters
    ----------
    name : a key of PAINTERS.
    colour : (3,) sRGB in 0..1, the main colour.
    """
    paint, tile_m, weathering = PAINTERS[name]
    image = paint(random, np.asarray(colour, np.float32))
    if weathering:
        image = weather(random, image, weathering)
    return Material(to_bytes(image), KIND.get(name, "matte"), tile_m)


def weather(random: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """Lay broad stains, rain streaks and fine grain over an image (256, 256, 3)."""
    dirt = noise(random, "stain") + 0.6 * noise(random, "streak") + 0.5 * noise(random, "grain")
    tint = np.array([0.9, 1.0, 1.15], np.float32)  # dirt is warm: blue fades most
    return image * (1 + strength * 0.8 * dirt[..., None] * tint)
