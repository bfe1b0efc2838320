"""MAC: the maximum of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.division import Division, at_maxima, columns_of, whole
from cbirlab.aggregation.fused import Fused
from cbirlab.aggregation.look import Looked

if TYPE_CHECKING:
    from torch import Tensor


def _look(maps: Tensor, **_: Any) -> Looked:
    """How many channels have their maximum at each position; channels that are zero everywhere have none."""
    import torch

    top, where = maps.flatten(2).max(dim=2)
    counts = torch.zeros_like(maps[:, 0].flatten(1)).scatter_add_(1, where, (top > 0).to(maps.dtype))
    return Looked(spatial=counts.unflatten(1, maps.shape[2:]))


def _parts(maps: Tensor, **_: Any) -> Division:
    """Each channel belongs to the place of its maximum, the first one if there are several."""
    return [whole(at_maxima(columns_of(maps)))], False


def _fused() -> Fused:
    return Fused(needs=("top",), finish=lambda shared, *_: shared.top)


@pooling(
    "mac",
    title="MAC",
    reference="Razavian et al. 2016; Tolias et al., ICLR 2016",
    look=_look,
    parts=_parts,
    fused=_fused,
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
