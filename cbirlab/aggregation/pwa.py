"""PWA: some channels serve as proposals of parts, and all channels are summed by the weights of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.weighted import weighted_sums
from cbirlab.attention.weights import root_of_share
from cbirlab.params import Choice, Range

if TYPE_CHECKING:
    from torch import Tensor


def _width(channels: int, *, proposals: int, **parameters: Any) -> int:
    return min(proposals, channels) * channels


@pooling(
    "pwa",
    title="PWA",
    reference="Xu et al., AAAI 2018",
    width=_width,
    positive=True,
    samples="cbirlab.aggregation.pwa:channel_sums",
    learn="cbirlab.aggregation.pwa:most_varied",
    look="cbirlab.aggregation.look:of_pwa",
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
    proposals : N, channels that are taken as proposals; all of them where the map has fewer.
    a, b : norm and root, as in CroW.
    learned : take the N channels whose sums vary most over a train set, as published. Else N channels evenly spread
        over all, which needs no training.
    state : from `most_varied`.

    Returns
    -------
    (B, N * C), not normalised; the sums of the first proposal first.

    Raises
    ------
    ValueError : learned, and `state` is missing or of a map with more channels.
    """
    return weighted_sums(maps, proposal_weights(maps, proposals, a, b, learned, state)).flatten(1)


def proposal_weights(
    maps: Tensor, proposals: int, a: float, b: float, learned: bool, state: Mapping[str, Tensor] | None
) -> Tensor:
    """Weights S_n (B, N, H, W) of the proposals."""
    return root_of_share(maps[:, proposal_channels(maps, proposals, learned, state)], a, b)


def proposal_channels(maps: Tensor, proposals: int, learned: bool, state: Mapping[str, Tensor] | None) -> Tensor:
    """The channels (N,) that serve as proposals.

    Raises
    ------
    ValueError : as `pwa`.
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
    "channels" : (N,); of equal variances the earlier channel.
    """
    variances = np.asarray(samples, dtype=np.float64).var(axis=0)
    return {"channels": np.sort(np.argsort(-variances, kind="stable")[:proposals])}
