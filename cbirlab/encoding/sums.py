"""Sums over an image's columns, per word of a codebook: what VLAD, NetVLAD and ASMK have in common."""

from __future__ import annotations

import torch
from torch import Tensor

NORM_FLOOR = 1e-12
"""A vector shorter than this is zero."""

ROUNDING = 1e-5
"""A residual is a difference of two sums; below this fraction of them it is mere rounding, and counts as zero."""


def lengths(vectors: Tensor) -> Tensor:
    """L2 norms along the last axis, which is kept with length one."""
    return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def unit(vectors: Tensor) -> Tensor:
    """Vectors along the last axis divided by their L2 norm; zero stays zero."""
    return vectors / lengths(vectors).clamp(min=NORM_FLOOR)


def signed_root(vectors: Tensor) -> Tensor:
    """sign(x) √|x| of each number."""
    return vectors.sign() * vectors.abs().sqrt()


def nearest(local: Tensor, centres: Tensor, weights: Tensor, count: int = 1) -> Tensor:
    """Hard assignment: (b, t, K), the column's weight at its `count` nearest centres and zero elsewhere.

    Parameters
    ----------
    local : (b, t, d).
    centres : (K, d).
    weights : (b, t).
    """
    # |x - c|² = |x|² - 2 x.c + |c|², and |x|² is the same for all centres.
    closeness = (local @ (2 * centres).T).sub_(centres.square().sum(dim=1))
    words = closeness.topk(min(count, len(centres)), dim=-1).indices if count > 1 else closeness.argmax(-1, True)
    return closeness.zero_().scatter_(-1, words, weights[..., None].expand(words.shape))


def gather(shares: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
    """Per word: the total share (b, K) and the columns added up by share (b, K, d), of shares (b, t, K)."""
    return shares.sum(dim=1), shares.transpose(1, 2) @ local


def residuals(counts: Tensor, sums: Tensor, centres: Tensor) -> Tensor:
    """For each word c, the sum of x - c over its columns x: (b, K, d), from the results of `gathered`.

    If columns lie on their centre, only rounding is left. It is set to zero: normalised word by word, it would become
    as long as a true residual.
    """
    difference = sums - counts[..., None] * centres
    terms = lengths(sums) + counts[..., None] * lengths(centres)
    return difference * (lengths(difference) > ROUNDING * terms)
