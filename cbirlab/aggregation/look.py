"""What a pooling looked at: regions, weights of positions and of channels, masks; to be drawn over the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbirlab.attention.base import check_maps

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation.spec import Aggregation

Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in cells of the map; bottom and right are the first cells outside."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What a pooling looked at in each image of a batch; a field is None if the method has nothing of the kind.

    Attributes
    ----------
    regions : boxes of each image.
    spatial : (B, H, W), >= 0, how much each position counts; only ratios within an image have a meaning.
    channels : (B, C), >= 0, how much each channel counts.
    masks : (B, H, W) bool, the positions that count at all.
    """

    regions: tuple[tuple[Box, ...], ...] | None = None
    spatial: Tensor | None = None
    channels: Tensor | None = None
    masks: Tensor | None = None


def looked(aggregation: str | Aggregation, maps: Tensor, state: Mapping[str, Tensor] | None = None) -> Looked:
    """What `aggregation` looks at in `maps`; if attention comes before it, that weights the maps first.

    A method says so with its fact `look`, a function of maps, `state` and its parameters. Without that fact, all fields
    are None.

    Parameters
    ----------
    aggregation : as `Aggregation.parse` reads it.
    maps : (B, C, H, W).
    state : what the method has learned, if anything.

    Raises
    ------
    ValueError, TypeError, UnknownName : as the method itself does.
    """
    from cbirlab.aggregation.spec import Aggregation

    spec = Aggregation.parse(aggregation)
    maps = check_maps(spec.name, maps)
    look = spec.fact("look")
    if look is None:
        return Looked()
    for one in spec.attentions:
        maps = one.weigh(maps)
    return look(maps, state=state, **spec.parameters)
