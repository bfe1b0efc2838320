"""Pooling: all aggregations of a tap's maps in one walk over them, chunk by chunk in the processor's cache.

MAC, SPoC and GeM share their passes here and work in the memory layout that the maps come in: one by one they cost
about three times as much, a third of a small network. Their values are those of `cbirlab.aggregation` to float
precision (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cbirlab import aggregation

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation import Aggregation

_CHUNK = 2**20  # elements at a time: they stay in the last cache, and are enough to share between cores
_SAFE = 1e9  # its cube is far from the largest float32
_WIDE = 96  # channels from which on torch reduces over positions at full speed
_ORIGINALS = {name: aggregation.AGGREGATIONS[name] for name in ("mac", "spoc", "gem")}


def pool(maps: Tensor, aggregations: Sequence[Aggregation]) -> dict[str, np.ndarray]:
    """Every aggregation of `maps` (B, C, H, W): its key to float32 (B, D).

    Raises
    ------
    FloatingPointError : a value is not finite, as happens where reduced precision overflows.
    """
    exponents = [spec.parameters["p"] for spec in aggregations if spec.name == "gem" and _original(spec)]
    together = [spec for spec in aggregations if _shared(spec, exponents)]
    pooled = {}
    if together:
        pooled |= dict(zip([spec.key for spec in together], _walk(maps, together), strict=True))
    if len(exponents) > 1:
        keys = [spec.key for spec in aggregations if spec.name == "gem"]
        pooled |= dict(zip(keys, aggregation.gem_sweep(maps, exponents), strict=True))
    pooled |= {spec.key: spec.apply(maps) for spec in aggregations if spec.key not in pooled}
    found = {spec.key: pooled[spec.key].float().cpu().numpy() for spec in aggregations}
    for key, values in found.items():
        if not np.isfinite(values).all():
            raise FloatingPointError(f"{key}: a pooled value is not finite; use precision='float32'.")
    return found


def _original(spec: Aggregation) -> bool:
    """Whether the registry still holds our own function of that name, and not one defined in a notebook."""
    return _ORIGINALS.get(spec.name) is aggregation.AGGREGATIONS[spec.name]


def _shared(spec: Aggregation, exponents: Sequence[float]) -> bool:
    """Whether `_walk` does it: powers other than 2 and 3 are faster where they are multiplied together."""
    if not _original(spec):
        return False
    shared = {"mac": True, "spoc": not spec.parameters.get("centre_prior"), "gem": exponents in ([2.0], [3.0])}
    return shared[spec.name]


def _walk(maps: Tensor, specs: Sequence[Aggregation]) -> list[Tensor]:
    """Values (B, C) of each of `specs`; positions are the axis that is summed over, wherever the layout has them."""
    import torch

    last = maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()
    rows, axis = (maps.permute(0, 2, 3, 1).flatten(1, 2), 1) if last else (maps.flatten(2), 2)
    images = max(1, _CHUNK // maps[0].numel()) if maps.device.type == "cpu" else len(maps)
    chunks = [_pool_chunk(chunk, axis, specs) for chunk in rows.split(images)]
    return [torch.cat(values) for values in zip(*chunks, strict=True)]


def _pool_chunk(rows: Tensor, axis: int, specs: Sequence[Aggregation]) -> list[Tensor]:
    """Values (b, C) of a few images, or of one that is itself walked over in blocks of positions."""
    p = next((spec.parameters["p"] for spec in specs if spec.name == "gem"), None)
    positions = rows.shape[axis]
    block = positions if rows.device.type != "cpu" else max(1, _CHUNK * positions // rows.numel())
    parts = [_block_sums(part.float(), axis, p) for part in rows.split(block, axis)]
    top, total, powers = (_joined(values) for values in zip(*parts, strict=True))
    top = top[0] if len(parts) == 1 else top.amax(0)
    if p is not None and float(top.amax()) >= _SAFE:
        return [spec.apply(_as_maps(rows, axis)) for spec in specs]
    values = {"mac": top, "spoc": total.sum(0) / positions}
    if p is not None:
        values["gem"] = (powers.sum(0) / positions).pow(1 / p)
    return [values[spec.name] for spec in specs]


def _joined(values: Sequence[Tensor]) -> Tensor:
    import torch

    return values[0][None] if len(values) == 1 else torch.stack(list(values))


def _block_sums(rows: Tensor, axis: int, p: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Maximum, sum and sum of powers over positions."""
    total = rows.sum(axis)
    return _largest(rows, axis), total, total if p is None else rows.clamp(min=aggregation.GEM_FLOOR).pow_(p).sum(axis)


def _as_maps(rows: Tensor, axis: int) -> Tensor:
    return (rows if axis == 2 else rows.transpose(1, 2)).unsqueeze(-1)


def _largest(rows: Tensor, axis: int) -> Tensor:
    """Maximum over positions; of few channels, several positions are laid side by side, which torch is faster at."""
    import torch

    batch, positions, channels = rows.shape
    if axis == 2 or channels >= _WIDE or positions < 2 * _WIDE:
        return rows.amax(axis)
    beside = -(-_WIDE // channels)
    whole = positions // beside * beside
    wide = rows[:, :whole].reshape(batch, whole // beside, beside * channels).amax(1)
    top = wide.view(batch, beside, channels).amax(1)
    return torch.maximum(top, rows[:, whole:].amax(1)) if whole < positions else top
