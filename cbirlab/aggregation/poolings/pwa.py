"""PWA: some channels serve as proposals of parts, and all channels are summed by the weights of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.fused import Fused, Shared, Weights, rows
from cbirlab.aggregation.look import Looked
from cbirlab.aggregation.weighted import WeightedSums
from cbirlab.attention.weights import TINY, root_of_share
from cbirlab.base.params import Choice, Range

if TYPE_CHECKING:
    from torch import Tensor


def _width(channels: int, *, proposals: int, **parameters: Any) -> int:
    return min(proposals, channels) * channels


def proposal_channels(maps: Tensor, proposals: int, learned: bool, state: Mapping[str, Tensor] | None) -> Tensor:
    """The channels (N,) that serve as proposals.

    Raises
    ------
    ValueError : as for `pwa`.
    """
    import torch

    channels = maps.shape[1]
    count = min(proposals, channels)
    if not learned:
        return torch.arange(count, device=maps.device) * channels // count
    if state is None or "channels" not in state:
        raise ValueError("pwa: learned=True needs state with 'channels', from most_varied(channel_sums(maps)).")
    chosen = state["channels"].to(maps.device).long()
    if len(chosen) != count or int(chosen.max()) >= channels:
        raise ValueError(
            f"pwa: state must be learned on maps of {channels} channels with proposals={proposals}, "
            f"got {len(chosen)} proposals, the last one channel {int(chosen.max())}."
        )
    return chosen


def channel_sums(maps: Tensor, **parameters: Any) -> Tensor:
    """The sum of each channel, (B, 1, C): what `most_varied` compares."""
    return maps.float().sum(dim=(-2, -1))[:, None]


def most_varied(samples: np.ndarray, *, proposals: int = 25, **parameters: Any) -> dict[str, np.ndarray]:
    """The channels whose sums vary most, in order of the channels.

    Parameters
    ----------
    samples : (n, C), sums of each channel, a row for each image of the train set.

    Returns
    -------
    "channels" : (N,); if variances are equal, the earlier channel.
    """
    variances = np.asarray(samples, dtype=np.float64).var(axis=0)
    return {"channels": np.sort(np.argsort(-variances, kind="stable")[:proposals])}


def _weights(
    shared: Shared, *, proposals: int, a: float, b: float, learned: bool, state: Mapping[str, Tensor] | None
) -> Weights:
    """S_n of all proposals, (B, N, H, W)."""
    chosen = proposal_channels(shared.maps, proposals, learned, state)
    return Weights(root_of_share(shared.maps[:, chosen], a, b))


_SUMS = WeightedSums(_weights)


def _look(
    maps: Tensor, *, proposals: int, learned: bool, state: Mapping[str, Tensor] | None, **parameters: Any
) -> Looked:
    """The mean of the proposals' weights, and which channels they are."""
    channels = maps.new_zeros(maps.shape[1])
    channels[proposal_channels(maps, proposals, learned, state)] = 1
    seen = _SUMS.look(maps, proposals=proposals, learned=learned, state=state, **parameters)
    return replace(seen, channels=channels.expand(len(maps), -1))


def _fused(*, proposals: int, a: float, b: float, **_: Any) -> Fused:
    """Leave the norm out of the weights and divide the sums by it: there are fewer of them."""

    def shares(shared: Shared) -> Weights:
        import torch

        chosen = proposal_channels(shared.maps, proposals, learned=False, state=None)
        columns = rows(shared.maps)
        found = torch.gather(columns, 2, chosen.expand(*columns.shape[:2], -1)).clamp_(min=0)
        top = shared.top[:, None, chosen]
        found /= top.masked_fill(top <= 0, 1)
        # The root as a power times the share, which keeps zeros: taking a root of zero takes ten times as long as
        # others.
        found = found.clamp(min=TINY).pow_(1 / b - 1).mul_(found)
        return Weights(found.transpose(1, 2).unflatten(2, shared.maps.shape[2:]))

    def finish(shared: Shared, sums: Any, weights: Any) -> Tensor:
        norm = rows(weights.positions).pow(b).pow_(a).sum(1)[..., None]
        return (sums * norm.masked_fill(norm == 0, 1).pow(-1 / (a * b))).flatten(1)

    return Fused(needs=("top",), weights=shares, finish=finish)


@pooling(
    "pwa",
    title="PWA",
    reference="Xu et al., AAAI 2018",
    width=_width,
    positive=True,
    samples=channel_sums,
    learn=most_varied,
    look=_look,
    parts=_SUMS.parts,
    fused=_fused,
)
def pwa(
    maps: Tensor,
    *,
    proposals: Annotated[int, Range(1, 100, integer=True)] = 25,
    a: Annotated[float, Range(1.0, 4.0, step=1.0)] = 2.0,
    b: Annotated[float, Range(1.0, 4.0, step=1.0)] = 2.0,
    learned: Annotated[bool, Choice((False, True))] = False,
    state: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """For each proposal n, Σ_ij S_n x with S_n = (x_n / ‖x_n‖_a)^(1/b), one after the other.

    Parameters
    ----------
    maps : (B, C, H, W), >= 0.
    proposals : N, the number of channels taken as proposals; all of them if the map has fewer.
    a, b : see `cbirlab.aggregation.poolings.crow.crow`.
    learned : take the N channels whose sums vary most over a train set, as published. Otherwise take N channels evenly
        spread over all, which needs no training.
    state : from `most_varied`.

    Returns
    -------
    (B, N * C), not normalised; the sums of the first proposal first.

    Raises
    ------
    ValueError : `learned` is set, and `state` is missing or comes from a map with more channels.
    """
    return _SUMS.pool(maps, proposals=proposals, a=a, b=b, learned=learned, state=state)
