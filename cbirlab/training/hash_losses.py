"""Losses of outputs (B, K) whose signs become bits: what each paper asks of pairs, triplets, classes or rows.

`same` (B, B) says which rows belong together; a loss reads each pair i < j once, so that the diagonal never counts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot, softplus


def pairs_of(matrix: Tensor) -> Tensor:
    """The entries i < j of a matrix (B, B), in one row."""
    return matrix[*torch.triu_indices(*matrix.shape, offset=1, device=matrix.device)]


def squared_distances(u: Tensor) -> Tensor:
    """``|u_i - u_j|^2`` (B, B); computed from products, so never quite 0 for equal rows."""
    lengths = u.square().sum(dim=1)
    return (lengths[:, None] + lengths - 2 * u @ u.T).clamp(min=0)


def dsh(u: Tensor, same: Tensor, *, quantisation: float = 0.01) -> Tensor:
    """Mean over pairs of ``s D / 2 + (1 - s) max(0, 2 K - D) / 2``, and how far outputs are from -1 and 1.

    D is the squared distance, and 2 K half of the largest that two codes can have. `quantisation` times the mean of
    ``||u| - 1|`` is added.

    References
    ----------
    Liu et al., "Deep supervised hashing for fast image retrieval", CVPR 2016.
    """
    distance, together = pairs_of(squared_distances(u)), pairs_of(same)
    each = torch.where(together, distance, (2 * u.shape[1] - distance).clamp(min=0)) / 2
    return each.mean() + quantisation * (u.abs() - 1).abs().mean()


def likelihood(products: Tensor, same: Tensor, *, balanced: bool) -> Tensor:
    """Negative logarithm of how likely pairs are, if t tells with probability ``1 / (1 + exp(-t))`` that they match.

    A pair costs ``log(1 + exp(t)) - s t``.

    Parameters
    ----------
    products : (B, B), t of each pair.
    balanced : matching pairs, which are rare, count as much as all others together; else the mean over pairs is taken.

    References
    ----------
    Li et al., "Feature learning based deep supervised hashing with pairwise labels", IJCAI 2016 (DPSH, not balanced,
    t half the product of the outputs); Cao et al., "HashNet: deep learning to hash by continuation", ICCV 2017.
    """
    t, together = pairs_of(products), pairs_of(same)
    each = softplus(t) - together * t
    if not balanced:
        return each.mean()
    matching = together.sum().clamp(min=1)
    others = (~together).sum().clamp(min=1)
    return (each * together).sum() / matching + (each * ~together).sum() / others


def hashnet(u: Tensor, same: Tensor, *, steepness: float = 1.0, factor: float = 0.1, balanced: bool = True) -> Tensor:
    """`likelihood` of pairs with t = `factor` times the product of ``tanh(steepness u)``.

    The steeper, the nearer to signs; training begins at 1, where gradients reach far, and goes on to steeper ones.
    """
    soft = torch.tanh(steepness * u)
    return likelihood(factor * soft @ soft.T, same, balanced=balanced)


def triplet(u: Tensor, same: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean of ``max(0, margin + D_ap - D_an)``: each row with its farthest match and its nearest other row.

    D is the squared distance of ``tanh(u)``, divided by K: 0 for equal codes, 4 for opposite ones. Rows without a match
    or without another row are left out.

    References
    ----------
    Hermans, Beyer and Leibe, "In defense of the triplet loss for person re-identification", 2017 (batch hard).
    """
    distance = squared_distances(torch.tanh(u)) / u.shape[1]
    itself = torch.eye(len(u), dtype=torch.bool, device=u.device)
    match, other = same & ~itself, ~same & ~itself
    usable = match.any(dim=1) & other.any(dim=1)
    farthest = distance.masked_fill(~match, -torch.inf).amax(dim=1)[usable]
    nearest = distance.masked_fill(~other, torch.inf).amin(dim=1)[usable]
    return (margin + farthest - nearest).clamp(min=0).sum() / usable.sum().clamp(min=1)


def orthohash(u: Tensor, classes: Tensor, targets: Tensor, *, scale: float = 8.0, margin: float = 0.2) -> Tensor:
    """Cross-entropy of `scale` times the cosines of outputs and `targets`, that of the own class less `margin`.

    Parameters
    ----------
    classes : (B,), row of `targets` for each row; -1 for a row without one, which is left out.
    targets : (C, K) of -1 and 1.

    References
    ----------
    Hoe et al., "One loss for all: deep hashing with a single cosine similarity based learning objective", NeurIPS 2021.
    """
    known = classes >= 0
    cosines = normalize(u[known]) @ normalize(targets).T
    own = one_hot(classes[known], len(targets))
    return cross_entropy(scale * (cosines - margin * own), classes[known], reduction="sum") / known.sum().clamp(min=1)


def bae(x: Tensor, u: Tensor, decoder: Tensor, *, balance: float = 0.1) -> Tensor:
    """Mean square of ``x - b decoder``, with b the signs of u, plus `balance` times the mean square of each bit's mean.

    Backwards the sign counts as ``max(-1, min(u, 1))`` (straight-through): outputs beyond that stay where they are.

    Parameters
    ----------
    x : (B, D), what the codes shall give back.
    decoder : (K, D).

    References
    ----------
    Carreira-Perpiñán and Raziperchikolaei, "Hashing with binary autoencoders", CVPR 2015 (trained there in turns);
    Courbariaux et al., "Binarized neural networks", 2016, for the gradient.
    """
    soft = u.clamp(-1, 1)
    bits = soft + (torch.where(u >= 0, 1.0, -1.0).to(u) - soft).detach()
    error = (x - bits @ decoder).square().mean()
    return error + balance * bits.mean(dim=0).square().mean()
