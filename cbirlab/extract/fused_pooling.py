"""Fused pooling: compute what several poolings need from the same maps while these are in the processor's cache.

The map of one image at the first tap of MobileNetV2 takes 7 MB. Fetching it anew for every pooling costs more than
the pooling itself, so images are taken a few at a time, and what poolings share is computed once:

    over positions    the maximum (MAC), the sum (SPoC), the sum of powers (GeM), how many are not zero (CroW, CAM)
    over channels     S, by which CroW, SCDA and CAM weigh positions

All weighted sums (SPoC with its prior, CroW, SCDA's mean, PWA, CAM) are rows of one matrix product, weights (n, HW)
times map (HW, C). The file of each pooling says what it takes from these and what it makes of them
(`cbirlab.aggregation.fused`); the values equal those of its function to float precision (tested).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from cbirlab.aggregation.fused import FLOOR, Fused, Shared, Weights, largest, rows

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 2**22  # elements of the images that are processed together
BLOCK = 2**18  # elements that are summed at a time: with a copy they fit into a core's own cache
PARTS = 4  # parts into which a single image is divided for the matrix product

Reduction = Callable[["Tensor", "Tensor"], "Tensor"]
"""Reduces a block of rows (b, P, C); may write to the second tensor, which has the same shape."""

REDUCTIONS: Mapping[str, Reduction] = {
    "top": lambda block, desk: largest(block),
    "total": lambda block, desk: block.sum(1),
    # Compare into floats, since sums of booleans are slow.
    "used": lambda block, desk: torch.ne(block, 0, out=desk).sum(1),
    "across": lambda block, desk: block.sum(2),
}
"""How the walk computes what `Shared` holds."""


def _powers(block: Tensor, desk: Tensor, *, power: float) -> Tensor:
    return torch.clamp(block, min=FLOOR, out=desk).pow_(power).sum(1)


def walk(maps: Tensor, forms: Sequence[Fused]) -> list[Tensor]:
    """Values (B, D) of each of `forms`."""
    images = max(1, CHUNK // maps[0].numel()) if maps.device.type == "cpu" else len(maps)
    chunks = [_chunk(chunk.float(), forms) for chunk in maps.split(images)]
    return [values[0] if len(values) == 1 else torch.cat(values) for values in zip(*chunks, strict=True)]


def _chunk(maps: Tensor, forms: Sequence[Fused]) -> list[Tensor]:
    values: dict[Fused, Tensor] = {}
    known: dict[str, Tensor] = {}
    for form in forms:
        if form.whole:
            values[form], found = form.whole(maps)
            known |= found
    needed = {name: REDUCTIONS[name] for form in forms for name in form.needs if name not in known}
    powers = {form.power: partial(_powers, power=form.power) for form in forms if form.power is not None}
    found = _sums(maps, {**needed, **powers})
    shared = Shared(maps, **known, **{name: found[name] for name in needed})
    weights = {form: form.weights(shared) for form in forms if form.weights}
    sums = {form: found[form.power] for form in forms if form.power is not None} | _weighted_sums(maps, weights)
    for form in forms:
        if form.finish:
            values[form] = form.finish(shared, sums.get(form), weights.get(form))
    return [values[form] for form in forms]


def _sums(maps: Tensor, reductions: Mapping[str | float, Reduction]) -> dict[str | float, Tensor]:
    """Sum block by block over positions, so that a block is still in the cache when it is read again.

    Values that must be written before they are summed go into one `desk` for all blocks: touching the pages of new
    memory costs more than the arithmetic.
    """
    all_rows = rows(maps)
    per_block = max(1, BLOCK * all_rows.shape[1] // all_rows.numel())
    length = per_block if maps.device.type == "cpu" else all_rows.shape[1]
    blocks = all_rows.split(length, 1) if reductions else ()
    parts: dict[str | float, list[Tensor]] = {name: [] for name in reductions}
    written = any(name == "used" or not isinstance(name, str) for name in reductions)
    desk = all_rows.new_empty(len(maps), length, all_rows.shape[2]) if written else all_rows
    for block in blocks:
        for name, reduction in reductions.items():
            parts[name].append(reduction(block, desk[:, : block.shape[1]]))
    return {name: _joined(name, found, maps) for name, found in parts.items()}


def _joined(name: str | float, blocks: list[Tensor], maps: Tensor) -> Tensor:
    if name == "across":
        return torch.cat(blocks, 1).view(len(maps), 1, *maps.shape[2:])
    if len(blocks) == 1:
        return blocks[0]
    return torch.stack(blocks).amax(0) if name == "top" else torch.stack(blocks).sum(0)


def _weighted_sums(maps: Tensor, weights: Mapping[Fused, Weights]) -> dict[Fused, Tensor]:
    """Sums (b, N, C) by the weights of each form, in one matrix product for all of them."""
    if not weights:
        return {}
    columns = [_columns(one.positions) for one in weights.values()]
    product = _product(torch.cat(columns, 2), rows(maps))
    return dict(zip(weights, product.split([one.shape[2] for one in columns], 1), strict=True))


def _columns(positions: Tensor | None) -> Tensor:
    """Weights (b, H, W) or (b, N, H, W) as (b, HW, N).

    Raises
    ------
    ValueError : there are no weights, because all positions count alike.
    """
    if positions is None:
        raise ValueError("walk: weights of positions are None; a mean needs 'total', not weights.")
    return rows(positions) if positions.ndim == 4 else positions.flatten(1)[..., None]


def _product(weights: Tensor, rows: Tensor) -> Tensor:
    """Sums over positions (b, n, C) of weights (b, HW, n) times rows (b, HW, C).

    A single image is multiplied in several parts side by side: with two threads torch is then ten times as fast.
    """
    positions = rows.shape[1] // PARTS * PARTS
    if len(rows) > 1 or positions == 0:
        return weights.transpose(1, 2) @ rows
    parts = [one[0, :positions].reshape(PARTS, -1, one.shape[2]) for one in (weights, rows)]
    product = (parts[0].transpose(1, 2) @ parts[1]).sum(0, keepdim=True)
    return product + weights[:, positions:].transpose(1, 2) @ rows[:, positions:]
