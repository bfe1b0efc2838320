"""Fused: how a pooling joins a walk over a map in which several poolings share intermediate results.

The walk is `cbirlab.extract.fused_pooling`. A pooling that does not join it runs its own function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

SHARED = ("top", "total", "used", "across")
"""The results in `Shared` that a pooling may need."""

FLOOR = 1e-6
"""Smaller values count as this in a sum of powers: a power of zero has no gradient, that of a negative number no value.
"""

LANES = 32
"""Number of channels over which torch takes maxima at once."""


class Shared:
    """Maps (B, C, H, W), and results that several poolings need, each computed once, when a pooling first asks for it.

    Parameters
    ----------
    known : those of `SHARED` that a walk has already computed.
    """

    def __init__(self, maps: Tensor, **known: Tensor) -> None:
        self.maps = maps
        vars(self).update(known)  # `cached_property` looks here first

    @cached_property
    def positions(self) -> int:
        """H * W."""
        return self.maps[0, 0].numel()

    @cached_property
    def top(self) -> Tensor:
        """The maximum of each channel, (B, C)."""
        return self.maps.amax(dim=(-2, -1))

    @cached_property
    def total(self) -> Tensor:
        """The sum of each channel, (B, C)."""
        return self.maps.sum(dim=(-2, -1))

    @cached_property
    def used(self) -> Tensor:
        """At how many positions each channel is not zero, (B, C): a share here, a count in a walk; only ratios within
        an image have a meaning."""
        from cbirlab.attention.weights import used_share

        return used_share(self.maps)

    @cached_property
    def across(self) -> Tensor:
        """The sum over the channels at each position, (B, 1, H, W)."""
        return self.maps.sum(dim=1, keepdim=True)


class Weights(NamedTuple):
    """How much each position and each channel counts in a pooling.

    Attributes
    ----------
    positions : (B, H, W), or (B, N, H, W) for N sums of each map; None if all count alike, as in a mean.
    channels : (B, C); None if all count alike.
    """

    positions: Tensor | None
    channels: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Fused:
    """How a pooling, with its parameters given, joins a walk over some maps.

    Attributes
    ----------
    finish : function of `Shared`, the pooling's own sums and the result of `weights` that gives the vectors (b, D); the
        sums are (b, N, C) with `weights`, (b, C) with `power`, otherwise None.
    needs : names of `SHARED` that the walk has to compute.
    weights : function of `Shared` that gives `Weights`; one matrix product computes all weighted sums of a walk, as
        rows.
    power : sum this power of the values over the positions; values below `FLOOR` count as that.
    whole : in place of all of these, for a pooling that reads maps (b, C, H, W) in its own way: function that gives its
        vectors (b, D), and those of `SHARED` that it computes on the way.

    Raises
    ------
    ValueError : `needs` names something else, or there is neither `finish` nor `whole`.
    """

    finish: Callable[[Shared, Tensor | None, Weights | None], Tensor] | None = None
    needs: tuple[str, ...] = ()
    weights: Callable[[Shared], Weights] | None = None
    power: float | None = None
    whole: Callable[[Tensor], tuple[Tensor, Mapping[str, Tensor]]] | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.needs if name not in SHARED]:
            raise ValueError(f"Fused: needs must be names of {', '.join(SHARED)}, got {', '.join(map(repr, unknown))}.")
        if (self.finish is None) == (self.whole is None):
            raise ValueError("Fused: give `finish` or `whole`, one of the two.")

    @property
    def reduces(self) -> bool:
        """Whether maxima, sums and sums of powers of each channel are all that it needs of the maps."""
        return self.finish is not None and self.weights is None and {*self.needs} <= {"top", "total"}


def rows(maps: Tensor) -> Tensor:
    """Maps (B, C, H, W) as (B, HW, C), without a copy in channels-last order."""
    return maps.flatten(2).transpose(1, 2)


def largest(rows: Tensor) -> Tensor:
    """Maxima (B, C) over the positions of rows (B, P, C).

    Torch takes `LANES` channels at a time and any remaining ones one by one, so positions are laid side by side until
    no channel remains.
    """
    import torch

    batch, positions, channels = rows.shape
    beside = math.lcm(LANES, channels) // channels
    if beside == 1 or positions < 4 * beside or rows.stride()[1:] != (channels, 1):
        return rows.amax(1)
    whole = positions // beside * beside
    wide = rows[:, :whole].view(batch, whole // beside, beside * channels).amax(1)
    top = wide.view(batch, beside, channels).amax(1)
    return torch.maximum(top, rows[:, whole:].amax(1)) if whole < positions else top
