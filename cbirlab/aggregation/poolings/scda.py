"""SCDA: mean and maximum over the main object, which it finds on the map itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.division import Division, at_maxima, columns_of, lengths, whole
from cbirlab.aggregation.fused import Fused, Shared, Weights, largest, rows
from cbirlab.aggregation.look import Box, Looked
from cbirlab.aggregation.weighted import weighted_sums
from cbirlab.attention import scda_mask

if TYPE_CHECKING:
    from torch import Tensor


def _twice(channels: int, **parameters: Any) -> int:
    return 2 * channels


def _look(maps: Tensor, **_: Any) -> Looked:
    """The mask, the box around it, and the sum over channels that it comes from."""
    masks = scda_mask(maps).bool()
    return Looked(regions=tuple((_box(mask),) for mask in masks), spatial=maps.sum(dim=1).clamp(min=0), masks=masks)


def _box(mask: Tensor) -> Box:
    down, across = (mask.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
    return down[0], across[0], down[-1] + 1, across[-1] + 1


def _parts(maps: Tensor, **_: Any) -> Division:
    """Half of the vector is a mean over the mask, half the maxima there: divided like those of SPoC and MAC."""
    columns, mask = columns_of(maps), scda_mask(maps)[0].flatten().numpy() > 0
    mean, maxima = mask / mask.sum(), np.zeros_like(columns)
    maxima[mask] = at_maxima(columns[mask])
    first = (columns, mean / lengths(mean @ columns))
    return [first, whole(maxima / lengths(maxima.sum(axis=0)))], False


def _fused() -> Fused:
    return Fused(needs=("across",), weights=lambda shared: Weights(scda_mask(shared.across)), finish=_finish)


def _finish(shared: Shared, sums: Any, weights: Any) -> Tensor:
    """Means and maxima over the mask, whose positions differ from image to image."""
    import torch
    from torch.nn.functional import normalize

    inside = weights.positions.flatten(1) > 0
    maxima = torch.stack(
        [
            largest(image.index_select(0, kept.nonzero()[:, 0])[None])[0]
            for image, kept in zip(rows(shared.maps), inside, strict=True)
        ]
    )
    mean = sums[:, 0] / inside.sum(1, keepdim=True)
    return torch.cat([normalize(mean, dim=1), normalize(maxima, dim=1)], dim=1)


@pooling(
    "scda",
    title="SCDA",
    reference="Wei et al., TIP 2017",
    width=_twice,
    look=_look,
    parts=_parts,
    fused=_fused,
)
def scda(maps: Tensor) -> Tensor:
    """The mean and the maximum over the positions of `cbirlab.attention.scda_mask`, each L2-normalised, side by side.

    Published on pool5 of VGG-16. SCDA+ adds relu5_2 with weight 0.5: here the concatenation of two taps,
    ``pool5+0.5*relu5_2``. It differs in one point: on relu5_2 the authors keep the positions above its mean that lie
    inside the object found on pool5; here each tap finds its own object.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, 2C): the halves have length one, or zero if the map is zero.
    """
    import torch
    from torch.nn.functional import normalize

    mask = scda_mask(maps)
    # Adding -inf outside is one pass; torch.where with a number takes three times as long.
    outside = torch.zeros_like(mask).masked_fill(mask == 0, -torch.inf)
    maxima = (maps + outside[:, None]).amax(dim=(-2, -1))
    mean = weighted_sums(maps, mask / mask.sum(dim=(-2, -1), keepdim=True))
    return torch.cat([normalize(mean, dim=1), normalize(maxima, dim=1)], dim=1)
