"""Network: uint8 pixels to the maps of the wanted taps, at a precision, in the memory layout that is fast on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.backbones import Backbone


class Network:
    """A backbone made ready for extraction; the backbone itself stays as it is.

    Parameters
    ----------
    backbone : from `cbirlab.backbones.load_backbone`, on the device where it is to run.
    precision : "float32" or "bfloat16", of weights and maps.
    channels_last : memory layout (B, H, W, C), which is how images come and in which convolutions are faster.
    """

    def __init__(self, backbone: Backbone, *, precision: str = "float32", channels_last: bool = True) -> None:
        import torch

        self.backbone = backbone.with_numerics(precision=precision, channels_last=channels_last)
        mean, std = (
            torch.tensor(values, device=backbone.device).view(1, 3, 1, 1) for values in (backbone.mean, backbone.std)
        )
        self._gain, self._offset = 1 / (255 * std), -mean / std

    def maps(self, pixels: np.ndarray, taps: Sequence[str]) -> dict[str, Tensor]:
        """Maps (B, C, H, W) of `taps` for uint8 pixels (B, H, W, 3): one forward pass."""
        import torch

        from cbirlab.taps import forward

        with torch.no_grad():
            batch = torch.from_numpy(pixels).to(self.backbone.device).permute(0, 3, 1, 2)  # a channels-last view
            return forward(self.backbone, batch.float().mul_(self._gain).add_(self._offset), taps)
