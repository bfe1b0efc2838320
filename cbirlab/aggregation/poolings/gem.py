"""GeM: a value between the mean and the maximum of each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from cbirlab.aggregation.base import AGGREGATIONS, pooling
from cbirlab.aggregation.division import Division, columns_of, whole
from cbirlab.aggregation.fused import FLOOR, Fused, Shared
from cbirlab.aggregation.look import Looked
from cbirlab.attention.base import check_maps
from cbirlab.attention.weights import relative
from cbirlab.base.params import Range, check_parameters

if TYPE_CHECKING:
    from torch import Tensor

GEM_FLOOR = FLOOR
"""In GeM, smaller activations count as this."""

CHUNK = 2**17
"""Elements that GeM works on at a time: 512 KiB of float32 stay in the processor's cache, which is faster."""

POWERS = (2.0, 3.0)
"""Exponents for which torch needs only one pass."""

SAFE = 1e9
"""The cube of any smaller value is far below the largest float32."""


def _look(maps: Tensor, *, p: float, **_: Any) -> Looked:
    """The share of each position in the sum of x^p of a channel, the mean over the channels that are not zero."""
    powers = relative(maps).pow(p)
    sums = powers.sum(dim=(-2, -1), keepdim=True)
    alive = (sums > 0).sum(dim=1).clamp(min=1)
    return Looked(spatial=(powers / sums.masked_fill(sums == 0, 1)).sum(dim=1) / alive)


def _parts(maps: Tensor, *, p: float, **_: Any) -> Division:
    """Divide each channel by the shares of the places in its sum of x^p: value times slope; these add up because GeM
    grows in proportion to the map (Euler)."""
    positive = np.maximum(columns_of(maps), GEM_FLOOR)
    top = positive.max(axis=0)
    powers = (positive / top) ** p
    means = powers.mean(axis=0) ** (1 / p) * top
    return [whole(powers / powers.sum(axis=0) * means)], False


def _fused(*, p: float) -> Fused | None:
    """Take powers of the values as they are, if that neither overflows nor takes more than one pass."""
    if p not in POWERS:
        return None

    def finish(shared: Shared, sums: Any, *_: Any) -> Tensor:
        if not float(shared.top.amax()) < SAFE:  # what is not a number is none afterwards either
            return gem(shared.maps, p=p)
        return (sums / shared.positions).pow(1 / p)

    return Fused(needs=("top",), power=p, finish=finish)


def _sweep(maps: Tensor, settings: Sequence[Mapping[str, Any]]) -> Tensor:
    return gem_sweep(maps, [one["p"] for one in settings])


@pooling(
    "gem",
    title="GeM",
    reference="Radenović, Tolias and Chum, TPAMI 2019",
    positive=True,
    sweep=_sweep,
    look=_look,
    parts=_parts,
    fused=_fused,
)
def gem(maps: Tensor, *, p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0) -> Tensor:
    """Generalised mean of each channel, (mean of x^p)^(1/p): the mean for p = 1, towards the maximum for large p.

    Parameters
    ----------
    maps : (B, C, H, W); activations below 1e-6 count as 1e-6.
    p : the exponent; 1 gives the mean of a channel, and the larger it is, the more its highest activations count.

    Returns
    -------
    (B, C), not normalised.
    """
    return _generalised_means(maps, (p,))[0]


def gem_sweep(maps: Tensor, ps: Sequence[float]) -> Tensor:
    """GeM for many exponents at once: the nineteen from 1, 1.5, ... to 10 take about eight times as long as one.

    Multiplication gives multiples of one half from each other; any other exponent takes a power of its own.

    Parameters
    ----------
    maps : (B, C, H, W).
    ps : the exponents, in any order, each within the range of `gem`.

    Returns
    -------
    (len(ps), B, C): row i equals ``gem(maps, p=ps[i])`` to float precision.

    Raises
    ------
    TypeError, ValueError : as `gem` does.
    """
    exponents = tuple(check_parameters(AGGREGATIONS["gem"], {"p": p}, owner="gem")["p"] for p in ps)
    if not exponents:
        raise ValueError("gem_sweep: ps must hold at least one exponent, got none.")
    return _generalised_means(check_maps("gem", maps), exponents)


def gem_per_channel(maps: Tensor, p: Tensor | Sequence[float]) -> Tensor:
    """GeM with an exponent of its own for each channel, as fine-tuning may learn them.

    Parameters
    ----------
    maps : (B, C, H, W); activations below 1e-6 count as 1e-6.
    p : (C,), each > 0; gradients flow into it.

    Returns
    -------
    (B, C), not normalised.

    Raises
    ------
    ValueError : `p` is not one positive number per channel.
    """
    import torch

    maps = check_maps("gem_per_channel", maps)
    exponents = torch.as_tensor(p, dtype=maps.dtype, device=maps.device)
    if exponents.shape != maps.shape[1:2]:
        raise ValueError(
            f"gem_per_channel: p must be ({maps.shape[1]},), one for each channel, got {tuple(exponents.shape)}."
        )
    if not bool((exponents.detach() > 0).all()):
        raise ValueError("gem_per_channel: p must be > 0 in every channel; clamp it first.")
    positive = maps.clamp(min=GEM_FLOOR)
    top = positive.amax(dim=(-2, -1), keepdim=True)
    means = (positive / top).pow(exponents[:, None, None]).mean(dim=(-2, -1))
    return means.pow(1 / exponents) * top.flatten(1)


def _generalised_means(maps: Tensor, ps: tuple[float, ...]) -> Tensor:
    import torch

    images = max(1, CHUNK // maps[0].numel())
    return torch.cat([_chunk_means(chunk, ps) for chunk in maps.split(images)], dim=1)


def _chunk_means(maps: Tensor, ps: tuple[float, ...]) -> Tensor:
    """Divide each channel by its maximum first: powers then lie in [0, 1] and cannot overflow, whatever p is."""
    import torch

    positive = maps.clamp(min=GEM_FLOOR)
    top = positive.amax(dim=(-2, -1), keepdim=True)
    powers = {1.0: positive / top}
    del positive
    means = {}
    for p in sorted({*ps}):
        means[p] = _power(powers, p).mean(dim=(-2, -1)).pow(1 / p)
        # A sweep multiplies only its last two steps further: dropping the others leaves the cache to these.
        powers = {q: power for q, power in powers.items() if q == 1.0 or q > p - 1}
    return torch.stack([means[p] for p in ps]) * top.flatten(1)


def _power(powers: dict[float, Tensor], p: float) -> Tensor:
    """``powers[1.0] ** p``, multiplied together from the powers known so far if 2p is whole."""
    unit = powers[1.0]
    if p in powers:
        return powers[p]
    if p - 1 in powers:
        power = powers[p - 1] * unit
    elif p in (2.0, 3.0) or p * 2 != int(p * 2):
        power = unit.pow(p)  # one pass over memory for 2 and 3, slow for others
    elif p == 1.5:
        power = unit * unit.sqrt()
    else:
        half = float(int(p) // 2)
        power = _power(powers, half) * _power(powers, p - half)
    powers[p] = power
    return power
