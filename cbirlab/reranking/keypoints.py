"""Keypoints: the places of a picture that are found again in others, with their descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from cbirlab.handcrafted.sift import detect, rooted


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of a picture with their SIFT descriptors.

    Attributes
    ----------
    places : (T, 4) float32: x and y in pixels of the picture as it was described, size in pixels, angle in radians.
    descriptors : (T, 128) uint8, as `cbirlab.handcrafted.sift.detect` gives them.
    size : (height, width) of the picture in pixels; (0, 0) without one.
    """

    places: np.ndarray
    descriptors: np.ndarray
    size: tuple[int, int]

    @classmethod
    def found_in(cls, picture: np.ndarray) -> Self:
        """Those of a picture, uint8 RGB (H, W, 3)."""
        height, width = picture.shape[:2]
        return cls(*detect(picture), (height, width))

    @classmethod
    def of_no_picture(cls) -> Self:
        """None at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8), (0, 0))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def rows(self) -> np.ndarray:
        """RootSIFT, (T, 128) float32 of unit L2 norm; made anew from the bytes at every call."""
        return rooted(self.descriptors)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.places.nbytes + self.descriptors.nbytes
