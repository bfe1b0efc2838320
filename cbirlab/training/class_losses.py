"""Losses with class weights (C, D), parameters of the loss: each row is held against every class at once.

Random class weights need hundreds of steps before rows learn from them; `start_at` begins at the means of the classes.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot

from cbirlab.base.params import Range
from cbirlab.training.matches import Mined, refuse

_SHORTEST = 1e-6
"""The sum of opposite rows has no direction."""


class CrossEntropy(nn.Module):
    """Cross-entropy of a linear classifier with logits ``16 w_c · f + b_c``.

    On unit rows logits between -1 and 1 could never tell classes apart for sure; hence the factor.

    References
    ----------
    Babenko et al., "Neural codes for image retrieval", ECCV 2014.
    """

    FACTOR = 16.0

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        refuse(self, mined)
        return cross_entropy(self.linear(self.FACTOR * rows), labels)

    def start_at(self, rows: Tensor, labels: Tensor) -> None:
        """Set the weights to the unit means of the classes of rows (N, D), and the biases to 0."""
        to_means(self.linear.weight, rows, labels)
        nn.init.zeros_(self.linear.bias)


class ArcFace(nn.Module):
    """Cross-entropy of ``scale cos(θ_c + margin [c = y])``, with θ_c the angle between the row and class weight c.

    Where ``θ + margin`` would pass 180°, ``cos θ - margin sin(margin)`` takes its place, so that a smaller angle always
    costs less. The formula needs no arccosine, whose gradient is infinite for a row that lies on its class weight, as
    the only row of a class does when weights start at the means.

    Parameters
    ----------
    margin : the angle, in degrees, by which the own class must lead.
    scale : the larger, the more only the nearest classes count.

    References
    ----------
    Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.
    """

    def __init__(
        self,
        classes: int,
        width: int,
        *,
        margin: Annotated[float, Range(0.0, 60.0, step=0.1)] = 28.6,
        scale: Annotated[float, Range(1.0, 128.0, step=1.0)] = 64.0,
    ) -> None:
        super().__init__()
        self.margin, self.scale = math.radians(margin), scale
        self.weights = nn.Parameter(torch.randn(classes, width))

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        refuse(self, mined)
        cosines = rows @ normalize(self.weights).T
        own = one_hot(labels, len(self.weights)).bool()
        return cross_entropy(self.scale * torch.where(own, self._turned(cosines), cosines), labels)

    def _turned(self, cosines: Tensor) -> Tensor:
        """``cos(θ + margin)`` and what takes its place beyond 180°."""
        sines = (1 - cosines.square()).clamp(min=1e-7).sqrt()
        turned = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        return torch.where(cosines >= -math.cos(self.margin), turned, cosines - self.margin * math.sin(self.margin))

    def start_at(self, rows: Tensor, labels: Tensor) -> None:
        """Set the weights to the unit means of the classes of rows (N, D)."""
        to_means(self.weights, rows, labels)


class ProxyNCA(nn.Module):
    """Mean of ``-log(exp(-scale D_y) / Σ_{z≠y} exp(-scale D_z))``, D_z the squared distance to unit class weight z.

    The sum leaves out the own class y, as in the paper, so that the loss falls below 0. With the paper's scale of 1 it
    is almost flat on unit rows.

    Parameters
    ----------
    scale : of squared distances: the larger, the more only the nearest classes count.

    References
    ----------
    Movshovitz-Attias et al., "No fuss distance metric learning using proxies", ICCV 2017.
    """

    def __init__(self, classes: int, width: int, *, scale: Annotated[float, Range(1.0, 64.0, step=1.0)] = 9.0) -> None:
        super().__init__()
        self.scale = scale
        self.weights = nn.Parameter(torch.randn(classes, width))

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        refuse(self, mined)
        nearness = 2 * self.scale * rows @ normalize(self.weights).T  # -scale D, but for what all classes share
        own = one_hot(labels, len(self.weights)).bool()
        return (nearness.masked_fill(own, -torch.inf).logsumexp(dim=1) - nearness[own]).mean()

    def start_at(self, rows: Tensor, labels: Tensor) -> None:
        """Set the weights to the unit means of the classes of rows (N, D)."""
        to_means(self.weights, rows, labels)


@torch.no_grad()
def to_means(weights: Tensor, rows: Tensor, labels: Tensor) -> None:
    """Set class weights (C, D) to the unit means of the classes of rows (N, D) with labels (N,) in 0 .. C - 1.

    A class without rows, or whose rows cancel out, keeps its weights.
    """
    sums = torch.zeros_like(weights).index_add(0, labels, rows.to(weights))
    known = sums.norm(dim=1) > _SHORTEST
    weights[known] = normalize(sums[known])
