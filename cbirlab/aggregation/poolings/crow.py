"""CroW: weights of positions and of channels that come from the map itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.fused import Shared, Weights
from cbirlab.aggregation.weighted import WeightedSums
from cbirlab.attention import crow_spatial
from cbirlab.attention.weights import rarity
from cbirlab.base.params import Range

if TYPE_CHECKING:
    from torch import Tensor


def _weights(shared: Shared, *, a: float, b: float, **_: Any) -> Weights:
    return Weights(crow_spatial(shared.across, a=a, b=b), rarity(shared.used))


_SUMS = WeightedSums(_weights, needs=("across", "used"))


@pooling(
    "crow",
    title="CroW",
    reference="Kalantidis et al., ECCVW 2016, eq. 1-3",
    positive=True,
    look=_SUMS.look,
    parts=_SUMS.parts,
    fused=_SUMS.fused,
)
def crow(
    maps: Tensor,
    *,
    a: Annotated[float, Range(1.0, 4.0, step=1.0)] = 2.0,
    b: Annotated[float, Range(1.0, 4.0, step=1.0)] = 2.0,
) -> Tensor:
    """f_c = β_c Σ_ij α_ij x_ijc: bright positions and rare channels count more.

    α and β are `cbirlab.attention.crow_spatial` and `crow_channel`. Published on pool5 of VGG-16.

    Parameters
    ----------
    maps : (B, C, H, W), >= 0.
    a : order of the norm by which the sums over channels are divided.
    b : order of the root that is then taken: the larger, the more evenly positions count.

    Returns
    -------
    (B, C), not normalised.
    """
    return _SUMS.pool(maps, a=a, b=b)
