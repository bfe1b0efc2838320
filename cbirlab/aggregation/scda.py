"""SCDA: mean and maximum over the main object, which the map itself shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.weighted import weighted_sums
from cbirlab.attention import scda_mask

if TYPE_CHECKING:
    from torch import Tensor


def _twice(channels: int, **parameters: Any) -> int:
    return 2 * channels


@pooling(
    "scda",
    title="SCDA",
    reference="Wei et al., TIP 2017",
    width=_twice,
    look="cbirlab.aggregation.look:of_scda",
)
def scda(maps: Tensor) -> Tensor:
    """The mean and the maximum over the positions of `cbirlab.attention.scda_mask`, each L2-normalised, side by side.

    Published on pool5 of VGG-16. SCDA+ adds relu5_2 with weight 0.5: here the concatenation of two taps,
    ``pool5+0.5*relu5_2``. It differs in one point: the authors keep of relu5_2 what lies above its mean and inside the
    object that pool5 shows; here each tap finds its own object.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, 2C): the halves have length one, or zero where the map is zero.
    """
    import torch
    from torch.nn.functional import normalize

    mask = scda_mask(maps)
    # Adding -inf outside is one pass; torch.where with a number takes three times as long.
    outside = torch.zeros_like(mask).masked_fill(mask == 0, -torch.inf)
    largest = (maps + outside[:, None]).amax(dim=(-2, -1))
    mean = weighted_sums(maps, mask / mask.sum(dim=(-2, -1), keepdim=True))
    return torch.cat([normalize(mean, dim=1), normalize(largest, dim=1)], dim=1)
