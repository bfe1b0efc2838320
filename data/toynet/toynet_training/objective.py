"""What toynet is trained for: to tell landmarks apart by angle."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Losses:
    """Terms of the loss, each a scalar."""

    labels: Tensor
    head: Tensor

    def total(self) -> Tensor:
        """Sum of the terms."""
        return self.labels + self.head


class Objective(nn.Module):
    """Normalised softmax with a margin on GeM descriptors behind a batch normalisation, and a plain head.

    The batch normalisation centres the descriptor first: GeM descriptors of ReLU maps all lie in one orthant, where
    cosines to the class weights hardly differ (Luo et al., "Bag of tricks", CVPRW 2019).

    Parameters
    ----------
    channels : of the deepest map.
    n_classes : classes told apart.
    scale : of the cosines before the softmax (Wang et al., "CosFace", CVPR 2018, equation 4).
    """

    def __init__(self, channels: int, n_classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.scale = scale
        self.neck = nn.BatchNorm1d(channels)
        self.centres = nn.Parameter(torch.randn(n_classes, channels) * 0.05)

    def forward(self, maps: Tensor, labels: Tensor, head: nn.Linear, margin: float) -> tuple[Losses, Tensor]:
        """Losses and the accuracy of one batch.

        Parameters
        ----------
        maps : (B, C, H, W), the deepest maps.
        labels : (B,) int64.
        head : learns on the average of the maps without changing them, so that class activation maps are exact.
        margin : subtracted from the cosine of the right class.
        """
        unit = functional.normalize(self.neck(gem(maps)), dim=1)
        cosines = unit @ functional.normalize(self.centres, dim=1).T
        with_margin = self.scale * (cosines - margin * functional.one_hot(labels, cosines.shape[1]))
        losses = Losses(
            functional.cross_entropy(with_margin, labels, label_smoothing=0.05),
            functional.cross_entropy(head(maps.detach().mean((2, 3))), labels),
        )
        return losses, (cosines.detach().argmax(1) == labels).float().mean()


def gem(maps: Tensor, p: int = 3) -> Tensor:
    """Generalised mean of (B, C, H, W) over positions, (B, C); Radenović et al., TPAMI 2019, equation 3."""
    return maps.clamp(min=1e-4).pow(p).mean((2, 3)).pow(1 / p)
