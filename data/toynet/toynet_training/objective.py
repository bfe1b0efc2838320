"""What toynet is trained for: to tell landmarks apart by angle and, with a teacher, to agree with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Losses:
    """Terms of the loss, each a scalar; those without a teacher are zero."""

    labels: Tensor
    head: Tensor
    pooled: Tensor
    local: Tensor
    relations: Tensor

    def total(self, weight: float) -> Tensor:
        """Sum of the terms, the teacher's multiplied by `weight`."""
        return self.labels + self.head + weight * (self.pooled + self.local + self.relations)


class Objective(nn.Module):
    """Normalised softmax with a margin on GeM descriptors behind a batch normalisation, a plain head, and distillation.

    The batch normalisation centres the descriptor first: GeM descriptors of ReLU maps all lie in one orthant, where
    cosines to the class weights hardly differ (Luo et al., "Bag of tricks", CVPRW 2019).

    Parameters
    ----------
    channels : of the deepest map.
    n_classes : classes told apart.
    lesson_sizes : dimensions (pooled, local) of the teacher's features, or None without a teacher.
    scale : of the cosines before the softmax (Wang et al., "CosFace", CVPR 2018, equation 4).
    """

    def __init__(
        self, channels: int, n_classes: int, lesson_sizes: tuple[int, int] | None = None, scale: float = 16.0
    ) -> None:
        super().__init__()
        self.scale = scale
        self.neck = nn.BatchNorm1d(channels)
        self.centres = nn.Parameter(torch.randn(n_classes, channels) * 0.05)
        if lesson_sizes is not None:
            self.pooled = nn.Linear(channels, lesson_sizes[0])
            self.local = nn.Conv2d(channels, lesson_sizes[1], 1)

    def forward(
        self,
        maps: Tensor,
        labels: Tensor,
        head: nn.Linear,
        margin: float,
        lesson: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Losses, Tensor]:
        """Losses and the accuracy of one batch.

        Parameters
        ----------
        maps : (B, C, H, W), the deepest maps.
        labels : (B,) int64.
        head : learns on the average of the maps without changing them, so that class activation maps are exact.
        margin : subtracted from the cosine of the right class.
        lesson : pooled (A, P) and local (A, L, h, w) features of the first A images of the batch, unit vectors.
        """
        descriptor = self.neck(gem(maps))
        unit = functional.normalize(descriptor, dim=1)
        cosines = unit @ functional.normalize(self.centres, dim=1).T
        with_margin = self.scale * (cosines - margin * functional.one_hot(labels, cosines.shape[1]))
        zero = maps.new_zeros(())
        losses = Losses(
            functional.cross_entropy(with_margin, labels, label_smoothing=0.05),
            functional.cross_entropy(head(maps.detach().mean((2, 3))), labels),
            *((zero, zero, zero) if lesson is None else self._follow(maps, descriptor, unit, *lesson)),
        )
        return losses, (cosines.detach().argmax(1) == labels).float().mean()

    def _follow(
        self, maps: Tensor, descriptor: Tensor, unit: Tensor, pooled: Tensor, local: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Distance to the teacher: of the descriptor, of each cell, and of the cosines between the images.

        The last is relational distillation (Park et al., CVPR 2019), on the matrix of cosines.
        """
        taught = len(pooled)
        pooled_loss = 1 - functional.cosine_similarity(self.pooled(descriptor[:taught]), pooled).mean()
        wanted = functional.interpolate(local, size=maps.shape[2:], mode="bilinear", align_corners=False)
        local_loss = 1 - functional.cosine_similarity(self.local(maps[:taught]), wanted).mean()
        difference = unit[:taught] @ unit[:taught].T - pooled @ pooled.T
        return pooled_loss, local_loss, difference.square().sum() / (taught * (taught - 1))


def gem(maps: Tensor, p: int = 3) -> Tensor:
    """Generalised mean of (B, C, H, W) over positions, (B, C); Radenović et al., TPAMI 2019, equation 3."""
    return maps.clamp(min=1e-4).pow(p).mean((2, 3)).pow(1 / p)
