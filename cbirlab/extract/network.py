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
        mean, std = (torch.tensor(values, device=backbone.device) for values in (backbone.mean, backbone.std))
        self._gain, self._offset = 1 / (255 * std), -mean / std

    def maps(self, pixels: np.ndarray, taps: Sequence[str]) -> dict[str, Tensor]:
        """Maps (B, C, H, W) of `taps` for uint8 pixels (B, H, W, 3): one forward pass."""
        import torch

        from cbirlab.backbones.taps import forward

        width = pixels.shape[2]
        with torch.no_grad():
            # Row by row rather than channel by channel: torch is slow at innermost axes of three.
            rows = torch.from_numpy(pixels).to(self.backbone.device).float().flatten(2)
            rows.mul_(self._gain.repeat(width)).add_(self._offset.repeat(width))
            batch = rows.unflatten(2, (width, 3)).permute(0, 3, 1, 2)  # a channels-last view
            return forward(self.backbone, batch, taps)
