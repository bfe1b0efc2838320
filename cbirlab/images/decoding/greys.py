"""Greys: reduces grey values of more than eight bits to eight, by the range that the file states."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from cbirlab.images.decoding.formats import ImageError
from cbirlab.images.decoding.metadata import Facts

Range = tuple[float, float]

_BAND_PIXELS = 1 << 20  # pixels converted at once; whole pictures of 64-bit floats took gigabytes
_DIM = 4  # a picture whose brightest value is at most this part of white is dim


def bands(image: Image.Image) -> Iterator[tuple[int, int]]:
    """First row and stop of each band, since pictures are converted band by band."""
    step = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, step):
        yield top, min(top + step, image.height)


def eight_bits(image: Image.Image, facts: Facts) -> tuple[Callable[[Image.Image], Image.Image], str]:
    """A function that turns a band of a grey picture of wide integers or floats into eight bits; a remark if it is dim.

    The file states which values are black and white. If it states none, or a range that its values exceed, they are 0
    and 65535, or 0 and 1 for floats.

    Raises
    ------
    ImageError : values beyond black or white.
    """
    low, high, used = _extent(image)
    black, white = _range(image, facts, low, high, used)
    if not (low >= black and high <= white):
        raise ImageError(
            f"grey values of an image in mode {image.mode} must lie in [{black:g}, {white:g}], got "
            f"[{low:g}, {high:g}]; save it with 8 bits."
        )

    def converted(band: Image.Image) -> Image.Image:
        values = np.asarray(band).astype(np.float64)
        if black:
            values -= black
        values *= 255.0 / (white - black)
        return Image.fromarray(np.rint(values, out=values).astype(np.uint8))

    usual = (black, white) == _usual(image)
    return converted, dim(high, white) if usual else ""


def dim(high: float, white: float) -> str:
    """A remark if the brightest value is far below white; empty for a picture that is black all over."""
    if not 0 < high <= white / _DIM:
        return ""
    return (
        f"values of more than 8 bits, none brighter than a quarter of white ({white:g}), and is read as nearly black: "
        "where its values were meant to end at 1023, 4095 or 16383, save it with 8 bits."
    )


def _usual(image: Image.Image) -> Range:
    return (0.0, 1.0) if image.mode.startswith("F") else (0.0, 65535.0)


def _extent(image: Image.Image) -> tuple[float, float, int]:
    """Least and greatest value, and for integers the bits that are set in any value."""
    low, high, used = np.inf, -np.inf, 0
    for top, stop in bands(image):
        values = np.asarray(image.crop((0, top, image.width, stop)))
        low, high = np.minimum(low, values.min()), np.maximum(high, values.max())  # both pass NaN on
        if values.dtype.kind != "f":
            used |= int(np.bitwise_or.reduce(values, axis=None))
    return float(low), float(high), used


def _range(image: Image.Image, facts: Facts, low: float, high: float, used: int) -> Range:
    if facts.stated is not None and facts.stated[0] <= low and high <= facts.stated[1]:
        return facts.stated
    unused = 16 - facts.significant
    if 8 < facts.significant < 16 and high < 1 << facts.significant and used & ((1 << unused) - 1):
        return 0.0, float((1 << facts.significant) - 1)  # PNG keeps them at the upper end; these stand at the lower
    return _usual(image)
