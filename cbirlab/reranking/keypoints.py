"""Keypoints: the places of a picture that are found again in others, and which of two pictures look alike."""

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


def match_by_ratio(queries: np.ndarray, rows: np.ndarray, ratio: float) -> np.ndarray:
    """Pair each row (n, D) with its nearest of the others (m, D), if it is nearer than `ratio` times the second.

    Lowe, IJCV 2004, section 7.1; rows are of unit L2 norm or zero. Without a second row there is no pair.

    Returns
    -------
    pairs (k, 2): row of `queries`, row of `rows`, in the order of the queries.
    """
    if not len(queries) or len(rows) < 2:
        return np.zeros((0, 2), np.int64)
    products, each = queries @ rows.T, np.arange(len(queries))
    nearest = products.argmax(axis=1)
    first = products[each, nearest]
    products[each, nearest] = -np.inf
    second = products.max(axis=1)
    # |a - b|² = 2 - 2ab, and rounding must not make it negative
    kept = np.flatnonzero(np.maximum(1 - first, 0) < ratio**2 * np.maximum(1 - second, 0))
    return np.stack([kept, nearest[kept]], axis=1)


def match_mutually(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pair the rows (n, D) and (m, D) to which no other is nearer by inner product; a row has one partner, the first.

    Returns
    -------
    pairs (k, 2): row of `queries`, row of `rows`, in the order of the queries.
    """
    if not len(queries) or not len(rows):
        return np.zeros((0, 2), np.int64)
    products = queries @ rows.T
    nearest = products.argmax(axis=1)
    # the largest product of each column, not its place: numpy finds that several times as fast
    kept = np.flatnonzero(products[np.arange(len(queries)), nearest] == products.max(axis=0)[nearest])
    kept = kept[np.sort(np.unique(nearest[kept], return_index=True)[1])]
    return np.stack([kept, nearest[kept]], axis=1)
