"""MAC: the maximum of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbirlab.aggregation.base import pooling

if TYPE_CHECKING:
    from torch import Tensor


@pooling(
    "mac",
    title="MAC",
    reference="Razavian et al. 2016; Tolias et al., ICLR 2016",
    look="cbirlab.aggregation.look:of_mac",
)
def mac(maps: Tensor) -> Tensor:
    """Maximum activation of each channel.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, C), not normalised.
    """
    return maps.amax(dim=(-2, -1))
