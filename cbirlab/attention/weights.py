"""Weights computed from the map itself, with nothing to train: of positions and of channels.

The survey writes them as α = Norm(Σ x) without saying which norm; each function here names the one it divides by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cbirlab.attention.base import attention
from cbirlab.base.params import Range

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TINY = 1e-30
"""Below any activation that counts, as a share of the largest."""

ROUNDING = 1e-5
"""A sum that exceeds the mean by this fraction of it or less differs from it only by rounding."""


@attention("gaussian", title="Centre prior", kind="spatial", reference="Babenko and Lempitsky, ICCV 2015, eq. 4")
def gaussian(maps: Tensor, *, reach: Annotated[float, Range(0.5, 6.0, step=0.5)] = 3.0) -> Tensor:
    """Weight exp(-d² / 2σ²) of a position at distance d from the centre of the map; they sum to one.

    The survey prints (i - W/2) and (j - H/2) for rows i and columns j; the original has them the other way round.

    Parameters
    ----------
    maps : (B, C, H, W); only their size counts.
    reach : σ's from the centre to the nearest border; 3 as published.

    Returns
    -------
    (B, H, W), the same for all images.
    """
    height, width = maps.shape[-2:]
    sigma = min(height, width) / 2 / reach
    rows, columns = (_bell(n, sigma, maps) for n in (height, width))
    return (rows[:, None] * columns).expand(len(maps), -1, -1)


def _bell(n: int, sigma: float, like: Tensor) -> Tensor:
    import torch

    away = torch.arange(n, dtype=like.dtype, device=like.device) - (n - 1) / 2
    bell = torch.exp(-(away**2) / (2 * sigma**2))
    return bell / bell.sum()


@attention(
    "crow_spatial",
    title="CroW, positions",
    kind="spatial",
    positive=True,
    reference="Kalantidis et al., ECCVW 2016, eq. 2",
)
def crow_spatial(
    maps: Tensor,
    *,
    a: Annotated[float, Range(1.0, 4.0, step=1.0)] = 2.0,
    b: Annotated[float, Range(1.0, 4.0, step=1.0)] = 2.0,
) -> Tensor:
    """Weight (S / ‖S‖_a)^(1/b) of a position, S the sum over its channels and ‖S‖_a its a-norm over the map.

    With ``b=1`` it is the survey's α₂ = Norm(Σ_c x), divided by the a-norm.

    Parameters
    ----------
    maps : (B, C, H, W), >= 0; a negative S counts as zero, as a root of it has no value.
    a : order of the norm by which the sums are divided.
    b : order of the root that is then taken: the larger, the more evenly positions count.

    Returns
    -------
    (B, H, W), in [0, 1]; zero for a map that is zero everywhere.
    """
    return root_of_share(maps.sum(dim=1), a, b)


def root_of_share(sums: Tensor, a: float, b: float) -> Tensor:
    """(S / ‖S‖_a)^(1/b) over the last two axes of `sums` (..., H, W), zero where S <= 0."""
    unit = relative(sums)
    norm = unit.pow(a).sum(dim=(-2, -1), keepdim=True)
    # The root of zero has no gradient, and takes ten times as long as others: zeros are put back by their sign.
    roots = unit.clamp(min=TINY).pow(1 / b) * unit.sign()
    return roots / norm.masked_fill(norm == 0, 1).pow(1 / a / b)


def relative(values: Tensor) -> Tensor:
    """`values` (..., H, W) with negative ones set to zero, divided by the largest of each map: in [0, 1]."""
    positive = values.clamp(min=0)
    top = positive.amax(dim=(-2, -1), keepdim=True)
    return positive / top.masked_fill(top == 0, 1)


@attention("l2norm", title="L2 norm of the column", kind="spatial", reference="Noh et al., ICCV 2017, without learning")
def l2norm(maps: Tensor) -> Tensor:
    """The L2 norm of each column: what DELF's attention is compared to before it is trained.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, H, W).
    """
    import torch

    # Its gradient is zero for a column of zeros, where that of a root has no value.
    return torch.linalg.vector_norm(maps, dim=1)


@attention("scda_mask", title="SCDA's mask", kind="spatial", reference="Wei et al., TIP 2017, eq. 1 and algorithm 1")
def scda_mask(maps: Tensor) -> Tensor:
    """One where the position belongs to the main object: the largest component of {S > mean of S}, else zero.

    S is the sum over channels. Components are connected through 8 neighbours, as in the authors' program (PyRetri takes
    4). Among components of equal size, it keeps the first in reading order. A map whose S is the same everywhere, such
    as one of a single position, has no position above the mean: all of it is kept.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, H, W), zeros and ones.
    """
    sums = maps.sum(dim=1)
    mean = sums.mean(dim=(-2, -1), keepdim=True)
    return largest_component(sums - mean > ROUNDING * mean.abs()).to(maps.dtype)


def largest_component(mask: Tensor) -> Tensor:
    """The largest component of each image of `mask` (B, H, W) bool; all of an image without any."""
    import numpy as np
    import torch

    kept = np.stack([_largest(image) for image in mask.to(torch.uint8).cpu().numpy()])
    return torch.from_numpy(kept).to(mask.device)


def _largest(mask: np.ndarray) -> np.ndarray:
    import cv2
    import numpy as np

    labels = np.empty(mask.shape, np.int32)
    cv2.connectedComponents(mask, labels, connectivity=8)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # the background wins only where there is nothing else
    return labels == labels.flat[sizes[labels].argmax()]


@attention("crow_channel", title="CroW, channels", kind="channel", reference="Kalantidis et al., ECCVW 2016, eq. 3")
def crow_channel(maps: Tensor) -> Tensor:
    """Weight log(Σ_k Q_k / Q_c) of a channel, Q the share of positions where it is not exactly zero.

    Rare channels count more, as rare words do in tf-idf. A channel that is zero everywhere has weight zero; PyRetri
    adds 1e-6 inside the logarithm, which gives it the largest.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, C), >= 0.
    """
    return rarity(used_share(maps))


def used_share(maps: Tensor) -> Tensor:
    """The share of positions at which each channel is not exactly zero, (B, C)."""
    import torch

    # Comparing into floats saves a pass: sums of booleans are slow.
    return torch.ne(maps.detach(), 0, out=torch.empty_like(maps)).mean(dim=(-2, -1))


def rarity(used: Tensor) -> Tensor:
    """log(Σ_k Q_k / Q_c) of shares or numbers Q (B, C), zero where Q is."""
    dead = used == 0
    return (used.sum(dim=1, keepdim=True) / used.masked_fill(dead, 1)).log().masked_fill(dead, 0)


@attention("channel_sum", title="Channel sums", kind="channel", positive=True, reference="survey, 3.2.3, Fig. 6 (a)")
def channel_sum(maps: Tensor) -> Tensor:
    """The sum of each channel over the map, divided by the L2 norm of all of them; negative sums count as zero.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, C); zero for a map that is zero everywhere.
    """
    from torch.nn.functional import normalize

    return normalize(maps.sum(dim=(-2, -1)).clamp(min=0), dim=1)
