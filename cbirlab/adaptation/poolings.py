"""Poolings that move: what learns is a pooling over the maps of a tap, and the network stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from cbirlab.adaptation.network import Moving
from cbirlab.adaptation.training import POOLING, Training
from cbirlab.backbones import taps

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

COLUMNS = 1 << 15
"""Local descriptors from which a pooling starts, at most."""


class MovingPooling(nn.Module):
    """A pooling that learns over the maps of a network, which `Loop` trains as it does a `Moving`.

    Parameters
    ----------
    backbone : gives the maps; it is not changed.
    training : resolved.

    Attributes
    ----------
    entrance : the tap whose maps it pools.
    layer : the pooling.

    Raises
    ------
    ValueError : the tap has no positions.
    """

    def __init__(self, backbone: Backbone, training: Training) -> None:
        super().__init__()
        self.backbone, self.tap = backbone, str(training.tap)
        entry = backbone.taps[self.tap]
        if entry.kind != "map":
            raise ValueError(f"Training: moves 'pooling' needs a tap with maps, got {self.tap!r}, a {entry.kind}.")
        self.entrance, self.seed = self.tap, training.seed
        self.layer = training.pooling.make(entry.channels, seed=training.seed).to(backbone.device).eval()
        self.moving = {name: one for name, one in self.layer.named_parameters() if name != "p"}

    @property
    def module(self) -> nn.Module:
        """The network, of which nothing learns."""
        return self.backbone.module

    @property
    def p(self) -> nn.Parameter | None:
        """The exponent of GeM, if that is what learns."""
        return self.layer.p

    @property
    def width(self) -> int:
        """D of its descriptors."""
        return self.layer.width

    def enter(self, pictures: Tensor) -> Tensor:
        """Maps (B, C, H, W) in bfloat16 of pictures (B, 3, H, W)."""
        with torch.no_grad(), torch.autocast(self.backbone.device.type, torch.bfloat16):
            return taps.forward(self.backbone, pictures, [self.tap])[self.tap].bfloat16()

    def start(self, maps: Sequence[Tensor]) -> None:
        """Let the pooling begin from the columns of maps (C, H, W) in float32 or less, some of many."""
        each = max(1, COLUMNS // max(1, len(maps)))
        random = np.random.default_rng(self.seed)
        columns = [one.float().flatten(1).T.cpu().numpy() for one in maps]
        some = [one[random.permutation(len(one))[:each]] for one in columns]
        self.layer.start(np.concatenate(some))

    def forward(self, entering: Tensor) -> Tensor:
        """Descriptors (B, D) of what `enter` gave, L2-normalised."""
        return normalize(self.layer(entering.float()))

    def learned(self) -> dict[str, Tensor]:
        """The parameters that learn, by name."""
        return dict(self.layer.named_parameters())

    def weights(self) -> dict[str, Tensor]:
        """The tensors of the pooling."""
        return {name: one.detach().cpu().clone().contiguous() for name, one in self.layer.state_dict().items()}


def network_of(backbone: Backbone, training: Training) -> Moving | MovingPooling:
    """What a training moves."""
    return MovingPooling(backbone, training) if training.moves == POOLING else Moving(backbone, training)


def begin(network: Moving | MovingPooling, maps: Mapping[tuple[int, int], Tensor], rows: np.ndarray) -> None:
    """Let a pooling begin from the maps that it learns on; a network begins as it is.

    Parameters
    ----------
    maps : by picture and view.
    rows : pictures that it learns on; others choose the step.
    """
    if isinstance(network, MovingPooling):
        learns = {int(row) for row in rows}
        network.start([one for (row, _), one in maps.items() if row in learns])
