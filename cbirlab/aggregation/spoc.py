"""SPoC: the mean of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.weighted import weighted_sums
from cbirlab.attention import gaussian
from cbirlab.params import Choice

if TYPE_CHECKING:
    from torch import Tensor


@pooling("spoc", title="SPoC", reference="Babenko and Lempitsky, ICCV 2015", look="cbirlab.aggregation.look:of_spoc")
def spoc(maps: Tensor, *, centre_prior: Annotated[bool, Choice((False, True))] = False) -> Tensor:
    """Mean activation of each channel, if asked with more weight at the centre.

    Parameters
    ----------
    maps : (B, C, H, W).
    centre_prior : weigh position (i, j) by exp(-d² / 2σ²), d its distance from the centre of the map and σ a third of
        the distance from the centre to the nearest border. The weights sum to one.

    Returns
    -------
    (B, C), not normalised.
    """
    return weighted_sums(maps, gaussian(maps)) if centre_prior else maps.mean(dim=(-2, -1))
