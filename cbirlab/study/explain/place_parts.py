"""Parts: a pooled vector as a sum over the places of its map.

For a linear pooling (SPoC, CroW, PWA, CAM), given its weights, the parts are the terms that its formula adds up: there
is only one such division. A maximum or a generalised mean has no parts of its own. It is divided among the places
that decide it, which adds up too, but another division would be as good; `Parts.exact` tells the two cases apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.aggregation.division import Block
from cbirlab.attention.base import check_maps

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor] | None


@dataclass(frozen=True, eq=False)
class Parts:
    """A vector (D,) as the sum of one vector per place.

    Attributes
    ----------
    blocks : stretches of the vector, one after the other.
    shape : (h, w) of the map.
    exact : whether the pooling is a weighted sum, and the parts are its terms.
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


def parts(aggregation: str | Aggregation, maps: Tensor, state: State = None) -> Parts:
    """Divide the vector of one image among the places; an attention before the pooling has already weighed the map.

    Parameters
    ----------
    aggregation : as `Aggregation.parse` reads it, with a pooling that says how its vector is divided.
    maps : (1, C, H, W).
    state : what the method has learned, or needs from the network.

    Raises
    ------
    ValueError : maps of several images, or a pooling whose vector is not known to be a sum over places.
    """
    spec = Aggregation.parse(aggregation)
    maps = check_maps(spec.name, maps)
    if len(maps) != 1:
        raise ValueError(f"parts: maps must be those of one image, (1, C, H, W), got {tuple(maps.shape)}.")
    divide = spec.fact("parts")
    maps = maps.double().cpu()
    for one in spec.attentions:
        maps = one.weigh(maps)
    found = divide(maps, state=state, **spec.parameters) if divide else None
    if found is None:
        known = ", ".join(name for name in AGGREGATIONS if AGGREGATIONS.info(name).facts.get("parts"))
        raise ValueError(
            f"parts: {spec.key!r} is not known as a sum over places; choose one of {known}"
            f"{', without learned=True' if divide and spec.learns else ''}."
        )
    blocks, exact = found
    return Parts(tuple(blocks), (maps.shape[2], maps.shape[3]), exact)
