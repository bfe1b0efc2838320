"""What a pooling looked at: regions, weights of positions and of channels, masks; to be drawn over the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cbirlab.attention.base import checked_maps

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation.spec import Aggregation

Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in cells of the map; bottom and right are the first cells outside."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What a pooling looked at in each image of a batch; None where the method has nothing of the kind.

    Attributes
    ----------
    regions : boxes of each image.
    spatial : (B, H, W), >= 0, how much each position counts; only ratios within an image mean something.
    channels : (B, C), >= 0, how much each channel counts.
    masks : (B, H, W) bool, the positions that count at all.
    """

    regions: tuple[tuple[Box, ...], ...] | None = None
    spatial: Tensor | None = None
    channels: Tensor | None = None
    masks: Tensor | None = None


def looked(aggregation: str | Aggregation, maps: Tensor, state: Mapping[str, Tensor] | None = None) -> Looked:
    """What `aggregation` looks at in `maps`; attention before it weighs the maps first.

    A method says how by the fact `look`, ``"module:function"`` with a function of maps, its parameters and `state`. Of
    a method that does not, nothing is known.

    Parameters
    ----------
    aggregation : as `Aggregation.parse` reads it.
    maps : (B, C, H, W).
    state : what the method has learned, if it has.

    Raises
    ------
    ValueError, TypeError, UnknownName : as the method itself does.
    """
    from cbirlab.aggregation.spec import Aggregation

    spec = Aggregation.parse(aggregation)
    maps = checked_maps(spec.name, maps)
    fact = spec.fact("look")
    if not fact:
        return Looked()
    for one in spec.attentions:
        maps = one.weigh(maps)
    module, name = fact.split(":")
    return getattr(import_module(module), name)(maps, state=state, **spec.parameters)


def of_mac(maps: Tensor, **_: Any) -> Looked:
    """How many channels have their maximum at each position; channels that are zero everywhere have none."""
    import torch

    top, where = maps.flatten(2).max(dim=2)
    counts = torch.zeros_like(maps[:, 0].flatten(1)).scatter_add_(1, where, (top > 0).to(maps.dtype))
    return Looked(spatial=counts.unflatten(1, maps.shape[2:]))


def of_spoc(maps: Tensor, *, centre_prior: bool, **_: Any) -> Looked:
    """The centre prior, if it is asked for."""
    from cbirlab.attention import gaussian

    return Looked(spatial=gaussian(maps)) if centre_prior else Looked()


def of_gem(maps: Tensor, *, p: float, **_: Any) -> Looked:
    """The share of each position in the sum of x^p of a channel, the mean over the channels that are not zero."""
    from cbirlab.attention.weights import relative

    powers = relative(maps).pow(p)
    sums = powers.sum(dim=(-2, -1), keepdim=True)
    alive = (sums > 0).sum(dim=1).clamp(min=1)
    return Looked(spatial=(powers / sums.masked_fill(sums == 0, 1)).sum(dim=1) / alive)


def of_rmac(maps: Tensor, *, levels: int, **_: Any) -> Looked:
    """The regions, and how many of them each position lies in."""
    from cbirlab.aggregation.rmac import grid

    height, width = maps.shape[-2:]
    boxes = tuple((top, left, top + side, left + side) for top, left, side in grid(height, width, levels))
    counts = maps.new_zeros(height, width)
    for top, left, bottom, right in boxes:
        counts[top:bottom, left:right] += 1
    return Looked(regions=(boxes,) * len(maps), spatial=counts.expand(len(maps), -1, -1))


def of_crow(maps: Tensor, *, a: float, b: float, **_: Any) -> Looked:
    """Both its weights."""
    from cbirlab.attention import crow_channel, crow_spatial

    return Looked(spatial=crow_spatial(maps, a=a, b=b), channels=crow_channel(maps))


def of_scda(maps: Tensor, **_: Any) -> Looked:
    """The mask, the box around it, and the sum over channels that it comes from."""
    from cbirlab.attention import scda_mask

    masks = scda_mask(maps).bool()
    return Looked(regions=tuple((_box(mask),) for mask in masks), spatial=maps.sum(dim=1).clamp(min=0), masks=masks)


def _box(mask: Tensor) -> Box:
    rows, columns = (mask.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def of_pwa(
    maps: Tensor, *, proposals: int, a: float, b: float, learned: bool, state: Mapping[str, Tensor] | None
) -> Looked:
    """The mean of the proposals' weights, and which channels they are."""
    from cbirlab.aggregation.pwa import proposal_channels, proposal_weights

    channels = maps.new_zeros(maps.shape[1])
    channels[proposal_channels(maps, proposals, learned, state)] = 1
    weights = proposal_weights(maps, proposals, a, b, learned, state)
    return Looked(spatial=weights.mean(dim=1), channels=channels.expand(len(maps), -1))


def of_cam(maps: Tensor, *, classes: int, state: Mapping[str, Tensor] | None, **_: Any) -> Looked:
    """The mean of the class activation maps, and CroW's channel weights."""
    from cbirlab.aggregation.cam import class_maps
    from cbirlab.attention import crow_channel

    return Looked(spatial=class_maps(maps, classes, state).mean(dim=1), channels=crow_channel(maps))
