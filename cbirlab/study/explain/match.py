"""Match: which places of two images make their similarity.

A descriptor is ``y = (f / ‖f‖ - μ) W``, and the score of two images is the cosine of theirs. If the pooled vector is
a sum over places, ``f = Σ_p φ_p`` (see `place_parts`), the cosine is a sum over the places of either image::

    cos(y_a, y_b) = Σ_p  (φ_p W · y_b) / (‖f_a‖ ‖y_a‖ ‖y_b‖)   -   (μ W · y_b) / (‖y_a‖ ‖y_b‖)

The last term is what the whitening's mean takes off; it belongs to no place. But it can be shared out: each place
then loses the part of μ that equals its share in f, ``s_p = φ_p · f / ‖f‖²``. These shares add up to one, and a place
is compared with the average image rather than with nothing. Without whitening, W is the identity and μ is zero.
The lengths are those of the two images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.study.explain.place_parts import Parts, parts
from cbirlab.whitening import NORM_FLOOR

if TYPE_CHECKING:
    from torch import Tensor

APART = 0.15
"""Least distance between numbered places, as a share of the map's longer side."""


class Pair(NamedTuple):
    """Two places (row, column) of the maps, and what the pair adds to the score."""

    a: tuple[int, int]
    b: tuple[int, int]
    value: float


@dataclass(frozen=True, eq=False)
class Match:
    """The score of two images, place by place.

    Attributes
    ----------
    score : cosine of the two descriptors.
    heat_a, heat_b : (h, w) float64 of each image: what each place adds to the score with the whole other image.
    mean_a, mean_b : what the whitening's mean adds, 0 if it is shared out; ``heat_a.sum() + mean_a == score``, and the
        same for b.
    exact : whether the pooling is a weighted sum; if not, this is one of several divisions that add up.
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

        The sum over all places of both images is the score, except for the mean if that is not shared out.

        Raises
        ------
        IndexError : no such place.
        """
        height, width = self.heat_a.shape
        if not (0 <= row < height and 0 <= column < width):
            raise IndexError(f"partners: place must lie in the map of {height} x {width}, got ({row}, {column}).")
        return self._b.against(self._a.part(row * width + column))

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
    """One image: its parts, and what makes their sum a unit vector after whitening.

    Attributes
    ----------
    unit : (d,), the descriptor, or zeros.
    matrix : (D, d) of the whitening, divided by the lengths before and after it.
    shift : (d,), the whitening's mean after whitening, divided by the length after it.
    shares : (h, w), the share of each place in `shift`: they add up to one, or are zeros if it belongs to no place.
    """

    parts: Parts
    unit: np.ndarray
    matrix: np.ndarray
    shift: np.ndarray
    shares: np.ndarray

    def part(self, place: int) -> np.ndarray:
        """What a place adds to `unit`."""
        return self.parts.at(place) @ self.matrix - self.shares.flat[place] * self.shift

    def against(self, vector: np.ndarray) -> np.ndarray:
        """Inner products (h, w) of `vector` (d,) with what each place adds."""
        return self.parts.against(self.matrix @ vector) - self.shares * (self.shift @ vector)

    def mean(self, vector: np.ndarray) -> float:
        """Inner product of `vector` (d,) with what belongs to no place."""
        return 0.0 if self.shares.any() else float(-self.shift @ vector) + 0.0


def similarity_map(
    maps_a: Tensor,
    maps_b: Tensor,
    aggregation: str | Aggregation = "spoc",
    *,
    state: Mapping[str, Tensor] | None = None,
    whitening: Any = None,
    dimensions: int | None = None,
    share_mean: bool = False,
) -> Match:
    """Which places of two images make their similarity.

    Parameters
    ----------
    maps_a, maps_b : (1, C, H, W) of each image at one tap; sizes may differ.
    aggregation : a pooling that `parts` divides, with attention before it if need be.
    state : what the pooling has learned, or needs from the network.
    whitening : a fitted linear whitening; None for none.
    dimensions : leading whitened dimensions that are kept, all by default.
    share_mean : share out over the places what the whitening's mean takes off.

    Raises
    ------
    ValueError : a pooling that is not known as a sum over places, a whitening that is not linear, or `dimensions`
        without a whitening.
    """
    both = [parts(aggregation, maps, state) for maps in (maps_a, maps_b)]
    mean, matrix = _affine(whitening, dimensions, len(both[0].total))
    a, b = (_side(one, mean, matrix, share_mean) for one in both)
    return Match(
        score=float(a.unit @ b.unit),
        heat_a=a.against(b.unit),
        heat_b=b.against(a.unit),
        mean_a=a.mean(b.unit),
        mean_b=b.mean(a.unit),
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


def _side(divided: Parts, mean: np.ndarray, matrix: np.ndarray, share_mean: bool) -> _Side:
    total = divided.total
    before = float(np.linalg.norm(total))
    whitened = (total / before - mean) @ matrix if np.abs(total).max() > NORM_FLOOR else np.zeros(matrix.shape[1])
    after = float(np.linalg.norm(whitened))
    if not after:  # a row of zeros scores 0 with everything
        nothing = np.zeros(len(whitened))
        return _Side(divided, nothing, np.zeros_like(matrix), nothing, np.zeros(divided.shape))
    shares = divided.against(total) / before**2 if share_mean else np.zeros(divided.shape)
    return _Side(divided, whitened / after, matrix / before / after, mean @ matrix / after, shares)
