"""The registry of hand-crafted descriptors, the decorator that fills it, and the first steps that they share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from cbirlab.base.params import check_parameters
from cbirlab.base.registry import Registry

DESCRIPTORS: Registry[Callable[..., np.ndarray]] = Registry("descriptor")


def descriptor(
    name: str, *, title: str, reference: str, channels: int, kind: str = "vector"
) -> Callable[[Callable[..., np.ndarray]], Callable[..., np.ndarray]]:
    """Register a function of a picture, its picture and parameters checked at every call.

    Parameters
    ----------
    channels : length of the vector at the default parameters, or of each local descriptor.
    kind : "vector" for a function that returns (channels,), "local" for one that returns (T, channels).
    """

    def decorate(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        @wraps(function)
        def describe(image: np.ndarray, **parameters: Any) -> np.ndarray:
            given = check_parameters(function, parameters, owner=name)
            return function(_checked_image(name, image), **given)

        DESCRIPTORS.add(name, describe, title=title, reference=reference, channels=channels, kind=kind)
        return describe

    return decorate


def grey(image: np.ndarray) -> np.ndarray:
    """Luminance, uint8 (H, W), with the weights of ITU-R BT.601."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def squeeze(image: np.ndarray, side: int) -> np.ndarray:
    """The whole picture as a square of `side` pixels; the aspect ratio is not kept, nothing is cut off."""
    import cv2

    shrinks = min(image.shape[:2]) >= side
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _checked_image(owner: str, image: np.ndarray) -> np.ndarray:
    shape, kind = getattr(image, "shape", ()), getattr(image, "dtype", type(image).__name__)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or kind != np.uint8:
        raise ValueError(f"{owner}: image must be uint8 RGB (H, W, 3) and not empty, got {kind} {tuple(shape)}.")
    return np.ascontiguousarray(image)
