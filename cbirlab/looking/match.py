"""Match: which places of two images make their similarity.

A descriptor is ``y = (f / ‖f‖ - μ) W``, the score of two images the cosine of theirs. With the pooled vector as a sum
over places, ``f = Σ_p φ_p`` (`cbirlab.looking.parts`), the cosine is a sum over the places of either image::

    cos(y_a, y_b) = Σ_p  (φ_p W · y_b) / (‖f_a‖ ‖y_a‖ ‖y_b‖)   -   (μ W · y_b) / (‖y_a‖ ‖y_b‖)

The last term is what the whitening's mean takes off; it belongs to no place. Without whitening W is the identity and μ
zero. Lengths are those of the two images at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.looking.parts import Parts, parts
from cbirlab.whitening import NORM_FLOOR

if TYPE_CHECKING:
    from torch import Tensor

APART = 0.15
"""Numbered places lie at least this far from each other, as a share of the map's longer side."""


class Pair(NamedTuple):
    """Two places (row, column) of the maps and what they add to the score together."""

    a: tuple[int, int]
    b: tuple[int, int]
    value: float


@dataclass(frozen=True, eq=False)
class Match:
    """The score of two images, place by place.

    Attributes
    ----------
    score : cosine of the two descriptors.
    heat_a, heat_b : (h, w) float64 of each image: what each place adds to the score, against the whole other image.
    mean_a, mean_b : what the whitening's mean adds (mostly < 0); ``heat_a.sum() + mean_a == score``, so for b.
    exact : whether the pooling is a weighted sum; if not, the division is one of several that add up.
    """

    score: float
    heat_a: np.ndarray
    heat_b: np.ndarray
    mean_a: float
    mean_b: float
    exact: bool
    _a: _Side
    _b: _Side

    def partners(self, row: int, column: int) -> np.ndarray:
        """What place (row, column) of the first image adds to the score with each place of the second, (h, w).

        Summed over all places of both images this is the score but for what has to do with the mean.

        Raises
        ------
        IndexError : no such place.
        """
        height, width = self.heat_a.shape
        if not (0 <= row < height and 0 <= column < width):
            raise IndexError(f"partners: place must lie in the map of {height} x {width}, got ({row}, {column}).")
        part = self._a.parts.at(row * width + column) @ self._a.matrix * self._a.scale
        return self._b.parts.against(self._b.matrix @ part * self._b.scale)

    def pairs(self, count: int = 5) -> list[Pair]:
        """The places of the first image that add most, not next to each other, and the best partner of each."""
        found: list[Pair] = []
        apart = APART * max(self.heat_a.shape)
        for place in np.argsort(-self.heat_a, axis=None, kind="stable"):
            row, column = (int(one) for one in np.unravel_index(place, self.heat_a.shape))
            if len(found) == count or self.heat_a[row, column] <= 0:
                break
            if all((row - other.a[0]) ** 2 + (column - other.a[1]) ** 2 >= apart**2 for other in found):
                together = self.partners(row, column)
                best = tuple(int(one) for one in np.unravel_index(together.argmax(), together.shape))
                found.append(Pair((row, column), (best[0], best[1]), float(together.max())))
        return found


@dataclass(frozen=True, eq=False)
class _Side:
    """One image: its parts, and what brings their sum to length one after whitening.

    Attributes
    ----------
    whitened : (d,) before the last normalisation.
    matrix : (D, d) of the whitening.
    scale : what a part is multiplied by besides: over the lengths before and after whitening.
    length : of `whitened`; 0 for a zero row.
    """

    parts: Parts
    whitened: np.ndarray
    matrix: np.ndarray
    scale: float
    length: float


def similarity_map(
    maps_a: Tensor,
    maps_b: Tensor,
    aggregation: str | Aggregation = "spoc",
    *,
    state: Mapping[str, Tensor] | None = None,
    whitening: Any = None,
    dimensions: int | None = None,
) -> Match:
    """Which places of two images make their similarity.

    Parameters
    ----------
    maps_a, maps_b : (1, C, H, W) of each image at one tap; sizes may differ.
    aggregation : a pooling in `DIVISIONS`, with attention before it if need be.
    state : what the pooling has learned, or needs of the network.
    whitening : a fitted linear whitening; None for none.
    dimensions : leading whitened dimensions that are kept, all by default.

    Raises
    ------
    ValueError : a pooling that is not known as a sum over places, a whitening that is not linear, or dimensions to be
        kept where there is none.
    """
    both = [parts(aggregation, maps, state) for maps in (maps_a, maps_b)]
    mean, matrix = _affine(whitening, dimensions, len(both[0].total))
    a, b = (_side(one, mean, matrix) for one in both)
    if not a.length or not b.length:  # a row of zeros scores 0 with everything
        nothing = [np.zeros(one.shape) for one in both]
        return Match(0.0, nothing[0], nothing[1], 0.0, 0.0, both[0].exact, a, b)
    unit_a, unit_b = a.whitened / a.length, b.whitened / b.length
    shift = mean @ matrix
    return Match(
        score=float(unit_a @ unit_b),
        heat_a=a.parts.against(matrix @ unit_b * a.scale),
        heat_b=b.parts.against(matrix @ unit_a * b.scale),
        mean_a=float(-shift @ unit_b / a.length),
        mean_b=float(-shift @ unit_a / b.length),
        exact=both[0].exact,
        _a=a,
        _b=b,
    )


def _affine(whitening: Any, dimensions: int | None, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and matrix (D, d) of a whitening, in float64."""
    from cbirlab.whitening.base import LinearWhitening

    if whitening is None:
        if dimensions not in (None, width):
            raise ValueError(f"similarity_map: dimensions must be None without whitening, got {dimensions!r}.")
        return np.zeros(width), np.eye(width)
    if not isinstance(whitening, LinearWhitening):
        raise ValueError(f"similarity_map: whitening must be linear, got {type(whitening).__name__}; use 'pca'.")
    return whitening.mean_, whitening._matrix()[:, :dimensions]


def _side(divided: Parts, mean: np.ndarray, matrix: np.ndarray) -> _Side:
    total = divided.total
    if np.abs(total).max() <= NORM_FLOOR:
        return _Side(divided, np.zeros(matrix.shape[1]), matrix, 0.0, 0.0)
    before = float(np.linalg.norm(total))
    whitened = (total / before - mean) @ matrix
    length = float(np.linalg.norm(whitened))
    return _Side(divided, whitened, matrix, 1 / before / length if length else 0.0, length)
