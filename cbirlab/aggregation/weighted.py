"""Weighted sums of the columns of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def weighted_sums(maps: Tensor, weights: Tensor) -> Tensor:
    """Sums of maps over positions, by weights: one matrix product per image, whatever the memory layout.

    Parameters
    ----------
    maps : (B, C, H, W).
    weights : (B, H, W), or (B, N, H, W) for N sums of each map.

    Returns
    -------
    (B, C) or (B, N, C).
    """
    sums = weights.flatten(-2).reshape(len(maps), -1, maps[0, 0].numel()) @ maps.flatten(2).transpose(1, 2)
    return sums if weights.ndim == 4 else sums[:, 0]
