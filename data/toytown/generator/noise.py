"""Periodic random fields and colours, the raw stuff of textures."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np

from .seeds import rng

SIZE = 256
BANK = 6
# (exponent of the falling spectrum, stretch of the vertical axis): larger exponent = smoother, stretch > 1 = streaks.
FIELDS = {"grain": (0.2, 1.0), "rough": (0.7, 1.0), "cloud": (1.4, 1.0), "stain": (2.0, 1.0), "streak": (1.5, 6.0)}


@lru_cache(maxsize=len(FIELDS) * BANK)
def _field(name: str, number: int) -> np.ndarray:
    exponent, stretch = FIELDS[name]
    frequency = np.fft.fftfreq(SIZE) * SIZE
    radius = np.hypot(frequency[None, :], frequency[:, None] * stretch)
    radius[0, 0] = np.inf
    white = rng("noise", name, number).standard_normal((SIZE, SIZE))
    field = np.fft.ifft2(np.fft.fft2(white) * radius**-exponent).real
    return (field / field.std()).astype(np.float32)


def noise(random: np.random.Generator, name: str) -> np.ndarray:
    """Return a periodic (256, 256) float32 field of mean 0 and deviation 1; `name` is a key of FIELDS."""
    field = np.roll(_field(name, int(random.integers(BANK))), tuple(random.integers(SIZE, size=2)), (0, 1))
    if random.random() < 0.5:
        field = field[:, ::-1]
    if name != "streak" and random.random() < 0.5:
        field = field.T
    return field


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return an sRGB colour, (3,) in 0..1, from hue (turns, wraps), saturation and value (clipped)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32)


def mix(field: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Blend two colours by a field in 0..1, giving (h, w, 3)."""
    weight = np.asarray(field, np.float32)[..., None]
    return low * (1 - weight) + high * weight


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Round an image in 0..1 to uint8."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
