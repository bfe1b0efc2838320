"""Pictures changed on purpose: rotated, scaled, cropped, covered, blurred, noisy, darker, less colourful."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageStat

from cbirlab.base.params import Range, check_parameters, parameters


@dataclass(frozen=True)
class Kind:
    """A way to perturb a picture.

    Attributes
    ----------
    title, unit : as shown on an axis.
    amounts : the steps that `probe` tries, one of which changes nothing.
    """

    title: str
    unit: str
    amounts: tuple[float, ...]


_SHARES = tuple(tenth / 10 for tenth in range(10))
KINDS = {
    "rotate": Kind(
        "rotated", "degrees", (-180, -135, -90, -60, -45, -30, -20, -10, 0, 10, 20, 30, 45, 60, 90, 135, 180)
    ),
    "scale": Kind("scaled", "times", (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3, 4)),
    "crop": Kind("cut off width and height", "share", _SHARES),
    "occlude": Kind("covered", "share", _SHARES),
    "blur": Kind("blurred", "sigma, pixels", (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12)),
    "noise": Kind("noise added", "sigma, grey values", (0, 10, 20, 30, 40, 60, 80, 100)),
    "brightness": Kind("brightness", "times", (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.3, 1.6, 2, 2.5, 3)),
    "colour": Kind("saturation", "times", (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3)),
}


def perturb_image(
    image: Image.Image,
    *,
    rotate: Annotated[float, Range(-180.0, 180.0, step=5.0)] = 0.0,
    scale: Annotated[float, Range(0.1, 4.0, step=0.1)] = 1.0,
    crop: Annotated[float, Range(0.0, 0.9, step=0.05)] = 0.0,
    occlude: Annotated[float, Range(0.0, 0.9, step=0.05)] = 0.0,
    blur: Annotated[float, Range(0.0, 12.0, step=0.5)] = 0.0,
    noise: Annotated[float, Range(0.0, 100.0, step=5.0)] = 0.0,
    brightness: Annotated[float, Range(0.1, 3.0, step=0.1)] = 1.0,
    colour: Annotated[float, Range(0.0, 3.0, step=0.25)] = 1.0,
) -> Image.Image:
    """Change a picture in one or several ways, in the order of the parameters; the result is the same each time.

    Areas beyond the picture's edge, and whatever covers it, have the picture's mean colour.

    Parameters
    ----------
    image : RGB.
    rotate : degrees counter-clockwise; the whole picture stays inside, so the canvas grows.
    scale : below 1 the picture gets smaller; above 1 its middle is enlarged to the size of the whole.
    crop : share of width and of height that is cut away; the middle stays, at its scale.
    occlude : share of the area that is covered, in the middle.
    blur : standard deviation of the Gaussian, in pixels.
    noise : standard deviation of the Gaussian noise, in grey values of 255.
    brightness, colour : factors; 0 of colour is grey.

    Raises
    ------
    TypeError, ValueError : an amount outside the declared range.
    """
    amounts = {name: amount for name, amount in locals().items() if name != "image"}
    for name, amount in check_parameters(perturb_image, amounts, owner="perturb_image").items():
        if amount != unchanged(name):
            image = _STEPS[name](image, amount)
    return image


def unchanged(kind: str) -> float:
    """The amount of a kind that leaves the picture as it is.

    Raises
    ------
    ValueError : no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"probe: kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    return parameters(perturb_image)[kind].default


def _mean_colour(image: Image.Image) -> tuple[int, ...]:
    return tuple(round(value) for value in ImageStat.Stat(image).mean)


def _rotated(image: Image.Image, angle: float) -> Image.Image:
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_mean_colour(image))


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    if factor > 1:
        return _cropped(image, 1 - 1 / factor).resize(image.size, Image.Resampling.LANCZOS)
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _middle(image: Image.Image, share: float) -> tuple[int, int, int, int]:
    """The box in the middle with this share of width and height, at least one pixel."""
    width, height = (max(1, round(side * share)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return left, top, left + width, top + height


def _cropped(image: Image.Image, share: float) -> Image.Image:
    return image.crop(_middle(image, 1 - share))


def _occluded(image: Image.Image, share: float) -> Image.Image:
    covered = image.copy()
    covered.paste(_mean_colour(image), _middle(image, math.sqrt(share)))
    return covered


def _noisy(image: Image.Image, deviation: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(0).standard_normal(pixels.shape, np.float32)
    return Image.fromarray(np.rint(pixels + deviation * noise).clip(0, 255).astype(np.uint8))


_STEPS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "rotate": _rotated,
    "scale": _scaled,
    "crop": _cropped,
    "occlude": _occluded,
    "blur": lambda image, deviation: image.filter(ImageFilter.GaussianBlur(deviation)),
    "noise": _noisy,
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "colour": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
}
