"""Colour, shape and texture of a whole picture, each one vector."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from cbirlab.base.params import Range
from cbirlab.handcrafted.base import descriptor, grey, squeeze

_CELL = 16  # pixels


@descriptor("hsv", title="HSV histogram", reference="Swain and Ballard, IJCV 1991", channels=256)
def hsv_histogram(
    image: np.ndarray,
    *,
    hue: Annotated[int, Range(1, 64, integer=True)] = 16,
    saturation: Annotated[int, Range(1, 16, integer=True)] = 4,
    value: Annotated[int, Range(1, 16, integer=True)] = 4,
) -> np.ndarray:
    """Square roots of the shares of the pixels per colour; (hue * saturation * value,) float32 of unit L2 norm.

    The root makes the inner product of two histograms their Bhattacharyya coefficient (Hellinger kernel).

    Parameters
    ----------
    hue, saturation, value : bins of equal width on each axis; value runs fastest, then saturation.
    """
    import cv2

    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [hue, saturation, value], [0, 180, 0, 256, 0, 256]).ravel()
    return np.sqrt(counts / counts.sum())


@descriptor("hog", title="HOG", reference="Dalal and Triggs, CVPR 2005", channels=1764)
def hog(
    image: np.ndarray,
    *,
    cells: Annotated[int, Range(2, 16, integer=True)] = 8,
    orientations: Annotated[int, Range(2, 18, integer=True)] = 9,
) -> np.ndarray:
    """Histograms of oriented gradients on a square grid; ((cells - 1)² * 4 * orientations,) float32.

    The picture is squeezed into a square of `cells` cells of 16 x 16 pixels a side (128 x 128 pixels by default), so
    that pictures of any shape give vectors of one length. At each pixel the colour channel with the strongest gradient
    votes; blocks of 2 x 2 cells are normalised by L2-Hys, as published; gamma is left as it is.

    Parameters
    ----------
    cells : cells per side of the square.
    orientations : bins over half a turn: a gradient and its opposite are the same.
    """
    from skimage import feature

    found = feature.hog(
        squeeze(image, _CELL * cells),
        orientations=orientations,
        pixels_per_cell=(_CELL, _CELL),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        channel_axis=-1,
    )
    return found.astype(np.float32)


@descriptor("lbp", title="LBP", reference="Ojala, Pietikäinen and Mäenpää, TPAMI 2002", channels=54)
def lbp(image: np.ndarray, *, radii: Annotated[int, Range(1, 4, integer=True)] = 3) -> np.ndarray:
    """Histograms of uniform, rotation-invariant local binary patterns at the radii 1, 2, ... `radii` pixels.

    At radius r, 8r neighbours on a circle are compared with the pixel in the middle; a pattern of at most two changes
    around the circle is identified by its number of ones, all others share one bin: 8r + 2 bins (riu2 of the paper).
    The histograms are rooted shares, as in `hsv_histogram`, one after the other: (10 + 18 + 26 = 54,) float32 by
    default. Beyond the border, the outermost pixels of the picture are repeated.
    """
    from skimage.feature import local_binary_pattern

    tones = grey(image)
    histograms = []
    for radius in range(1, radii + 1):
        points = 8 * radius
        codes = local_binary_pattern(np.pad(tones, radius, mode="edge"), points, radius, method="uniform")
        inside = codes[radius:-radius, radius:-radius].astype(np.intp)
        histograms.append(np.bincount(inside.ravel(), minlength=points + 2) / inside.size)
    return np.sqrt(np.concatenate(histograms)).astype(np.float32)
