"""GIST: which spatial frequencies run in which directions, and roughly where in the picture."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

import numpy as np

from cbirlab.base.params import Choice
from cbirlab.handcrafted.base import descriptor, grey, squeeze

SCALES = 4
ORIENTATIONS = 8
BLOCKS = 4
_FINEST = 0.3  # cycles per pixel, the centre of the finest scale
_STEP = 1.85  # between the centres of neighbouring scales
_CUT_OFF = 4.0  # cycles per picture, of the low pass that the contrast is measured with
_NOISE = 0.2  # log contrast below which differences are not amplified


@descriptor("gist", title="GIST", reference="Oliva and Torralba, IJCV 2001", channels=512)
def gist(image: np.ndarray, *, side: Annotated[int, Choice((32, 64, 128, 256))] = 128) -> np.ndarray:
    """Mean magnitude of 32 Gabor filters in each of 4 x 4 blocks; (512,) float32, >= 0.

    The grey picture is squeezed into a square and its local contrast evened out (`_prefiltered`). The filters are
    Gaussians over frequency f and direction φ, at f_s = 0.3 / 1.85^s cycles per pixel and φ_o = πo / 8::

        G(f, φ) = exp(-3.5 (f / f_s - 1)² - 2π (φ - φ_o)²)

    The vector has the axes scale (fine to coarse), orientation, block row, block column. A picture of one colour gives
    zeros.

    Parameters
    ----------
    side : of the square, in pixels; frequencies are relative to it.
    """
    margin = side // 8
    tones = _prefiltered(grey(squeeze(image, side)), margin)
    bank = _bank(len(tones))
    strength = np.abs(np.fft.ifft2(np.fft.fft2(tones) * bank))[:, margin:-margin, margin:-margin]
    blocks = strength.reshape(len(bank), BLOCKS, side // BLOCKS, BLOCKS, side // BLOCKS)
    return blocks.mean(axis=(2, 4)).ravel()


def _prefiltered(tones: np.ndarray, margin: int) -> np.ndarray:
    """Local contrast of log intensities, mirrored `margin` pixels beyond the border; float32.

    With g a Gaussian low pass of half amplitude at 4 cycles per picture: h = t - t * g, then h / (0.2 + sqrt(h² * g)),
    so that lighting cancels out and no strong edge outweighs the rest (the paper's normalisation of variance).
    """
    low = 2.0 ** -((_frequencies(len(tones) + 2 * margin)[0] * len(tones) / _CUT_OFF) ** 2)

    def smoothed(values: np.ndarray) -> np.ndarray:
        return np.fft.ifft2(np.fft.fft2(values) * low).real

    logs = np.log1p(np.pad(tones, margin, mode="symmetric").astype(np.float32))
    logs = logs - logs.mean(dtype=np.float64)  # exactly zero for a picture of one colour
    high = logs - smoothed(logs)
    return (high / (_NOISE + np.sqrt(np.maximum(smoothed(high**2), 0)))).astype(np.float32)


def _frequencies(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per pixel and direction in radians of every coefficient of the transform; (side, side) each."""
    down, right = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    return np.hypot(down, right), np.arctan2(down, right)


@lru_cache(maxsize=4)
def _bank(side: int) -> np.ndarray:
    """Transfer functions of the filters; float32 (32, side, side)."""
    frequency, direction = _frequencies(side)
    filters = []
    for scale in range(SCALES):
        distance = frequency / (_FINEST / _STEP**scale) - 1
        for orientation in range(ORIENTATIONS):
            turn = direction - math.pi * orientation / ORIENTATIONS
            turn = (turn + math.pi) % (2 * math.pi) - math.pi
            filters.append(np.exp(-3.5 * distance**2 - 2 * math.pi * turn**2))
    bank = np.stack(filters).astype(np.float32)
    bank[:, 0, 0] = 0  # the mean of a picture has no direction
    bank.setflags(write=False)
    return bank
