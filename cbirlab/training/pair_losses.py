"""Losses of pairs: matching rows come nearer, others leave a margin. D is the squared distance of two rows, d its root.

Each pair i < j counts once, and the mean over pairs is taken; the papers sum over the pairs of a tuple. Mined pairs
count in either direction.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from cbirlab.base.params import Range
from cbirlab.training.hash_losses import pairs_of
from cbirlab.training.matches import Mined, chosen_pairs, nothing


class Siamese(nn.Module):
    """Mean over pairs of ``S D / 2 + (1 - S) max(0, margin - D) / 2``; S is 1 for a match and else 0.

    The hinge is linear in D, so that its pull does not fade as a pair reaches the margin.

    Parameters
    ----------
    margin : of squared distances: others that are farther cost nothing.

    References
    ----------
    Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006, squares the
    hinge; this is Eq. 13 of Chen et al., "Deep learning for instance retrieval: a survey", TPAMI 2022.
    """

    def __init__(self, *, margin: Annotated[float, Range(0.05, 4.0, step=0.05)] = 0.7) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        squared = distances(rows).square()
        return _mean(rows, squared / 2, (self.margin - squared).relu() / 2, labels, mined)


class SiameseCirtorch(nn.Module):
    """Mean over pairs of ``S d² / 2 + (1 - S) max(0, margin - d)² / 2``; S is 1 for a match and else 0.

    Parameters
    ----------
    margin : of distances, not squared: others that are farther cost nothing.

    References
    ----------
    Radenović, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2019, who sum over the
    pairs of a tuple.
    """

    def __init__(self, *, margin: Annotated[float, Range(0.05, 2.0, step=0.05)] = 0.7) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        d = distances(rows)
        return _mean(rows, d.square() / 2, (self.margin - d).relu().square() / 2, labels, mined)


class DoubleMargin(nn.Module):
    """Mean over pairs of ``S max(0, D - m1) / 2 + (1 - S) max(0, m2 - D) / 2``: matches need not be equal.

    Parameters
    ----------
    m1 : squared distance up to which matches cost nothing.
    m2 : squared distance from which on others cost nothing.

    References
    ----------
    Eq. 16 of Chen et al., "Deep learning for instance retrieval: a survey", TPAMI 2022.
    """

    def __init__(
        self,
        *,
        m1: Annotated[float, Range(0.0, 4.0, step=0.02)] = 0.16,
        m2: Annotated[float, Range(0.0, 4.0, step=0.05)] = 0.8,
    ) -> None:
        super().__init__()
        self.m1, self.m2 = m1, m2

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        squared = distances(rows).square()
        return _mean(rows, (squared - self.m1).relu() / 2, (self.m2 - squared).relu() / 2, labels, mined)


def distances(rows: Tensor) -> Tensor:
    """Euclidean distances of rows (B, D): (B, B), from differences, so that equal rows are at exactly 0.

    There the gradient is 0. From products, rounding would put equal rows at about 0.0003, where it is in the thousands.
    """
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _mean(rows: Tensor, match: Tensor, other: Tensor, labels: Tensor, mined: Mined | None) -> Tensor:
    """Mean over the chosen pairs i < j of what each costs: (B, B) for a matching pair, (B, B) for another."""
    matches, others = (pairs_of(chosen | chosen.T) for chosen in chosen_pairs(labels, mined))
    count = matches.sum() + others.sum()
    if not count:
        return nothing(rows)
    return (pairs_of(match)[matches].sum() + pairs_of(other)[others].sum()) / count
