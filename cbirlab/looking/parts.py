"""Parts: a pooled vector as a sum over the places of its map.

Of a linear pooling (SPoC, CroW, PWA, CAM) the parts are what the formula adds up, given its weights: there is one such
division. A maximum or a generalised mean has no parts of its own; it is divided by the places that decide it, which
adds up too, but another division would be as good: `Parts.exact` tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.attention.base import checked_maps

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor] | None

Block = tuple[np.ndarray, np.ndarray]
"""Columns (P, C) and weights (P,): a stretch of C dimensions that is the weighted sum of the columns."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A vector (D,) as the sum of one vector per place.

    Attributes
    ----------
    blocks : stretches of the vector, one after the other.
    shape : (h, w) of the map.
    exact : whether the pooling is a weighted sum, which the parts then are the summands of.
    """

    blocks: tuple[Block, ...]
    shape: tuple[int, int]
    exact: bool

    @property
    def total(self) -> np.ndarray:
        """The pooled vector (D,), float64."""
        return np.concatenate([weights @ columns for columns, weights in self.blocks])

    def at(self, place: int) -> np.ndarray:
        """The part (D,) of one place, counted row by row."""
        return np.concatenate([weights[place] * columns[place] for columns, weights in self.blocks])

    def against(self, vector: np.ndarray) -> np.ndarray:
        """Inner products (h, w) of every part with `vector` (D,)."""
        pieces = np.split(vector, np.cumsum([columns.shape[1] for columns, _ in self.blocks])[:-1])
        products = [weights * (columns @ piece) for (columns, weights), piece in zip(self.blocks, pieces, strict=True)]
        return np.sum(products, axis=0).reshape(self.shape)


Division = Callable[..., tuple[list[Block], bool]]
"""A function of maps (1, C, H, W) in float64, `state` and the pooling's parameters: blocks, and whether it is exact."""

DIVISIONS: dict[str, Division] = {}
"""How the vector of a pooling is divided, by its name; a pooling of one's own can be added."""


def parts(aggregation: str | Aggregation, maps: Tensor, state: State = None) -> Parts:
    """The vector of one image, place by place; attention before the pooling has weighed the map.

    Parameters
    ----------
    aggregation : as `Aggregation.parse` reads it, of a name in `DIVISIONS`.
    maps : (1, C, H, W).
    state : what the method has learned, or needs of the network.

    Raises
    ------
    ValueError : maps of several images, or a pooling whose vector is not known to be a sum over places.
    """
    spec = Aggregation.parse(aggregation)
    maps = checked_maps(spec.name, maps)
    if len(maps) != 1:
        raise ValueError(f"parts: maps must be those of one image, (1, C, H, W), got {tuple(maps.shape)}.")
    learns = spec.learns and spec.name != "pwa"  # PWA learns which channels to take: its sums stay sums
    if spec.name not in DIVISIONS or learns:
        raise ValueError(
            f"parts: {spec.key!r} is not known as a sum over places; choose one of {', '.join(DIVISIONS)}"
            f"{', without learned=True' if learns and not spec.encoding else ''}."
        )
    maps = maps.double().cpu()
    for one in spec.attentions:
        maps = one.weigh(maps)
    blocks, exact = DIVISIONS[spec.name](maps, state=state, **spec.parameters)
    return Parts(tuple(blocks), (maps.shape[2], maps.shape[3]), exact)


def _division(name: str) -> Callable[[Division], Division]:
    def add(function: Division) -> Division:
        DIVISIONS[name] = function
        return function

    return add


def _columns(maps: Tensor) -> np.ndarray:
    """(P, C) float64."""
    return maps[0].flatten(1).T.numpy()


def _flat(weights: Tensor) -> np.ndarray:
    """(P,) of (1, H, W)."""
    return weights[0].flatten().numpy()


@_division("spoc")
def _spoc(maps: Tensor, *, centre_prior: bool, **_: Any) -> tuple[list[Block], bool]:
    from cbirlab.attention import gaussian

    places = maps[0, 0].numel()
    weights = _flat(gaussian(maps)) if centre_prior else np.full(places, 1 / places)
    return [(_columns(maps), weights)], True


@_division("crow")
def _crow(maps: Tensor, *, a: float, b: float, **_: Any) -> tuple[list[Block], bool]:
    from cbirlab.attention import crow_channel, crow_spatial

    weighed = _columns(maps) * crow_channel(maps)[0].numpy()
    return [(weighed, _flat(crow_spatial(maps, a=a, b=b)))], True


@_division("pwa")
def _pwa(maps: Tensor, *, proposals: int, a: float, b: float, learned: bool, state: State) -> tuple[list[Block], bool]:
    from cbirlab.aggregation.pwa import proposal_weights

    weights = proposal_weights(maps, proposals, a, b, learned, state)[0].flatten(1).numpy()
    columns = _columns(maps)
    return [(columns, one) for one in weights], True


@_division("cam")
def _cam(maps: Tensor, *, classes: int, state: State, **_: Any) -> tuple[list[Block], bool]:
    """Σ_k v_k / ‖v_k‖ with v_k = Σ_p CAM^k_p β x_p: the lengths, as the weights, are those of this image."""
    from cbirlab.aggregation.cam import class_maps
    from cbirlab.attention import crow_channel

    weighed = _columns(maps) * crow_channel(maps)[0].numpy()
    activations = class_maps(maps, classes, state)[0].flatten(1).numpy()
    shares = activations / _lengths(activations @ weighed)
    weights = shares.sum(axis=0)
    return [(weighed, weights / _lengths(weights @ weighed))], True


@_division("mac")
def _mac(maps: Tensor, **_: Any) -> tuple[list[Block], bool]:
    """Each channel belongs to the place of its maximum, the first one of several."""
    return [_whole(_at_maxima(_columns(maps)))], False


@_division("gem")
def _gem(maps: Tensor, *, p: float, **_: Any) -> tuple[list[Block], bool]:
    """Each channel by the shares of the places in its sum of x^p: value times slope, which add up as GeM grows in
    proportion to the map (Euler)."""
    from cbirlab.aggregation import GEM_FLOOR

    positive = np.maximum(_columns(maps), GEM_FLOOR)
    top = positive.max(axis=0)
    powers = (positive / top) ** p
    means = powers.mean(axis=0) ** (1 / p) * top
    return [_whole(powers / powers.sum(axis=0) * means)], False


@_division("rmac")
def _rmac(maps: Tensor, *, levels: int, **_: Any) -> tuple[list[Block], bool]:
    """Each region's channel belongs to the place of its maximum there; lengths are those of this image."""
    from cbirlab.aggregation.rmac import grid

    values = maps[0].permute(1, 2, 0).numpy()
    height, width, channels = values.shape
    found = np.zeros_like(values)
    for top, left, side in grid(height, width, levels):
        region = values[top : top + side, left : left + side]
        kept = _at_maxima(region.reshape(-1, channels))
        found[top : top + side, left : left + side] += (kept / _lengths(kept.sum(axis=0))).reshape(region.shape)
    flat = found.reshape(-1, channels)
    return [_whole(flat / _lengths(flat.sum(axis=0)))], False


@_division("scda")
def _scda(maps: Tensor, **_: Any) -> tuple[list[Block], bool]:
    """Half of it is a mean over the mask, half the maxima there: divided as those of SPoC and MAC."""
    from cbirlab.attention import scda_mask

    columns, mask = _columns(maps), _flat(scda_mask(maps)) > 0
    mean, largest = mask / mask.sum(), np.zeros_like(columns)
    largest[mask] = _at_maxima(columns[mask])
    first = (columns, mean / _lengths(mean @ columns))
    return [first, _whole(largest / _lengths(largest.sum(axis=0)))], False


def _at_maxima(columns: np.ndarray) -> np.ndarray:
    """`columns` (P, C) with all but the first maximum of each channel set to zero."""
    kept = np.zeros_like(columns)
    where, channels = columns.argmax(axis=0), np.arange(columns.shape[1])
    kept[where, channels] = columns[where, channels]
    return kept


def _whole(columns: np.ndarray) -> Block:
    return columns, np.ones(len(columns))


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """L2 norms (..., 1), one for a vector of zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(lengths == 0, 1, lengths)
