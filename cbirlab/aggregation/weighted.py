"""Weighted sums: poolings that are defined by how much each position and each channel counts.

Such a pooling is a function that gives `Weights`, and if needed another that finishes the sums. These two determine its
vectors, what it looked at, the parts of its vectors, and how it joins a walk over maps::

    def _weights(shared, *, power, **_):
        return Weights(shared.across[:, 0].clamp(min=0).pow(power))


    _SUMS = WeightedSums(_weights, needs=("across",))


    @pooling("bright", title="Bright positions", look=_SUMS.look, parts=_SUMS.parts, fused=_SUMS.fused)
    def bright(maps, *, power: Annotated[float, Range(0.5, 2.0)] = 1.0):
        return _SUMS.pool(maps, power=power)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation.division import Block, Division, columns_of
from cbirlab.aggregation.fused import Fused, Shared, Weights
from cbirlab.aggregation.look import Looked

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor] | None


def weighted_sums(maps: Tensor, weights: Tensor) -> Tensor:
    """Sums of maps over positions, by weights: one matrix product per image, whatever the memory layout.

    Parameters
    ----------
    maps : (B, C, H, W).
    weights : (B, H, W), or (B, N, H, W) for N sums of each map.

    Returns
    -------
    (B, C) or (B, N, C).
    """
    sums = weights.flatten(-2).reshape(len(maps), -1, maps[0, 0].numel()) @ maps.flatten(2).transpose(1, 2)
    return sums if weights.ndim == 4 else sums[:, 0]


@dataclass(frozen=True, eq=False)
class WeightedSums:
    """A pooling that adds up the columns of a map by weights, once or N times: β_c Σ_ij α_ij x_ijc.

    Attributes
    ----------
    weights : function of `Shared`, `state` and the parameters that gives `Weights`: α of positions and β of channels.
    needs : the results in `Shared` that `weights` uses, apart from the maps.
    finish : function of the sums (B, N, C), `state` and the parameters that gives the vectors (B, D). By default the
        sums stand side by side.
    """

    weights: Callable[..., Weights]
    needs: tuple[str, ...] = ()
    finish: Callable[..., Tensor] | None = None

    def sums(self, maps: Tensor, *, state: State = None, **parameters: Any) -> Tensor:
        """The sums (B, N, C) of maps (B, C, H, W)."""
        positions, channels = self.weights(Shared(maps), state=state, **parameters)
        if positions is None:
            found = maps.mean(dim=(-2, -1))[:, None]
        else:
            found = weighted_sums(maps, positions)
            found = found if positions.ndim == 4 else found[:, None]
        return found if channels is None else found * channels[:, None]

    def pool(self, maps: Tensor, *, state: State = None, **parameters: Any) -> Tensor:
        """The vectors (B, D) of maps (B, C, H, W)."""
        return self._finished(self.sums(maps, state=state, **parameters), state=state, **parameters)

    def look(self, maps: Tensor, *, state: State = None, **parameters: Any) -> Looked:
        """Its weights; if each position has N weights, their mean."""
        positions, channels = self.weights(Shared(maps), state=state, **parameters)
        spatial = positions.mean(dim=1) if positions is not None and positions.ndim == 4 else positions
        return Looked(spatial=spatial, channels=channels)

    def blocks(self, maps: Tensor, *, state: State = None, **parameters: Any) -> list[Block]:
        """The N sums of one image, each divided into its summands."""
        positions, channels = self.weights(Shared(maps), state=state, **parameters)
        columns = columns_of(maps)
        if channels is not None:
            columns = columns * channels[0].numpy()
        if positions is None:
            return [(columns, np.full(len(columns), 1 / len(columns)))]
        return [(columns, one) for one in positions[0].reshape(-1, len(columns)).numpy()]

    def parts(self, maps: Tensor, *, state: State = None, **parameters: Any) -> Division:
        """The exact parts of the vector of one image; None where `finish` changes the sums."""
        return None if self.finish else (self.blocks(maps, state=state, **parameters), True)

    def fused(self, **parameters: Any) -> Fused:
        """How the pooling joins a walk, if it has not learned anything."""

        def finish(shared: Shared, sums: Any, weights: Any) -> Tensor:
            found = sums if weights.channels is None else sums * weights.channels[:, None]
            return self._finished(found, state=None, **parameters)

        return Fused(
            needs=self.needs, weights=lambda shared: self.weights(shared, state=None, **parameters), finish=finish
        )

    def _finished(self, sums: Tensor, **given: Any) -> Tensor:
        return self.finish(sums, **given) if self.finish else sums.flatten(1)
