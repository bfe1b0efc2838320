"""SPoC: the mean of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.fused import Fused, Shared, Weights
from cbirlab.aggregation.weighted import WeightedSums
from cbirlab.attention import gaussian
from cbirlab.base.params import Choice

if TYPE_CHECKING:
    from torch import Tensor


def _weights(shared: Shared, *, centre_prior: bool, **_: Any) -> Weights:
    return Weights(gaussian(shared.maps) if centre_prior else None)


_SUMS = WeightedSums(_weights)


def _fused(*, centre_prior: bool) -> Fused:
    """Without the prior, a sum that other poolings may share takes less time than a row of the matrix product."""
    if centre_prior:
        return _SUMS.fused(centre_prior=True)
    return Fused(needs=("total",), finish=lambda shared, *_: shared.total / shared.positions)


@pooling(
    "spoc",
    title="SPoC",
    reference="Babenko and Lempitsky, ICCV 2015",
    look=_SUMS.look,
    parts=_SUMS.parts,
    fused=_fused,
)
def spoc(maps: Tensor, *, centre_prior: Annotated[bool, Choice((False, True))] = False) -> Tensor:
    """Mean activation of each channel, with more weight at the centre if asked for.

    Parameters
    ----------
    maps : (B, C, H, W).
    centre_prior : weigh position (i, j) by exp(-d² / 2σ²), d its distance from the centre of the map and σ a third of
        the distance from the centre to the nearest border. The weights sum to one.

    Returns
    -------
    (B, C), not normalised.
    """
    return _SUMS.pool(maps, centre_prior=centre_prior)
