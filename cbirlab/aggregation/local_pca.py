"""PCA whitening of the local vectors that a pooling adds up: learned once from a train set, applied before the sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 4096
"""How many samples are held in float64 at a time."""

CLIP = 1e-9
"""Axes whose variance is at most this fraction of the largest are left out: dividing by them amplifies rounding."""


def learn_whitening(owner: str, samples: np.ndarray) -> dict[str, np.ndarray]:
    """PCA of local vectors, as the arrays that whitening needs.

    Parameters
    ----------
    owner : the method, for the message.
    samples : (n, C).

    Returns
    -------
    "mean" : (C,).
    "projection" : (C, C), in each row a principal axis divided by its standard deviation, the largest first. Axes that
        the samples do not determine (n of them determine at most n - 1) are rows of zeros, so that the width stays.

    Raises
    ------
    ValueError : fewer than two samples that differ.
    """
    count, width = samples.shape
    mean = samples.mean(axis=0, dtype=np.float64) if count else np.zeros(width)
    variance, axes = _principal_axes(samples, mean)
    floor = max(CLIP * variance.max(initial=0), np.finfo(np.float32).eps ** 2)
    rank = int(np.sum(variance > floor))
    if rank == 0:
        raise ValueError(f"{owner}: learning needs local vectors that differ, got {count}; give more train images.")
    projection = np.zeros((width, width))
    projection[:rank] = axes[:rank] / np.sqrt(variance[:rank, None])
    return {"mean": mean.astype(np.float32), "projection": projection.astype(np.float32)}


def _principal_axes(samples: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances (C,), the largest first, and axes as rows (C, C); only a block of the samples is held in float64."""
    scatter = np.zeros((len(mean), len(mean)))
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK] - mean
        scatter += block.T @ block
    values, vectors = np.linalg.eigh(scatter / max(1, len(samples) - 1))
    return values[::-1], vectors.T[::-1]


def whiten(owner: str, vectors: Tensor, state: Mapping[str, Tensor] | None) -> Tensor:
    """Whitened `vectors` (..., C); vectors of zeros stay zero.

    Raises
    ------
    ValueError : `state` lacks the arrays of `learn_whitening`, or has another number of channels.
    """
    if state is None or not {"mean", "projection"} <= set(state):
        raise ValueError(
            f"{owner}: learned=True needs state with 'mean' and 'projection'; fit it on a train split first."
        )
    mean, projection = (state[name].to(vectors) for name in ("mean", "projection"))
    if len(mean) != vectors.shape[-1]:
        raise ValueError(
            f"{owner}: state was learned on maps of {len(mean)} channels, got {vectors.shape[-1]}; fit it on this tap."
        )
    empty = (vectors == 0).all(dim=-1, keepdim=True)
    return ((vectors - mean) @ projection.T).masked_fill(empty, 0)
