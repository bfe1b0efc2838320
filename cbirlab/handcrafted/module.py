"""The hand-crafted descriptors together, as a backbone whose taps they are."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from cbirlab.handcrafted.base import DESCRIPTORS

_TOLERANCE = 1e-4  # of RGB in 0..1, far less than a grey level


class HandCrafted(nn.Module):
    """One part per entry of `DESCRIPTORS`, without anything to train.

    Its text, which names the libraries and their versions, stands in for weights: another release may give other
    numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        for name in DESCRIPTORS:
            self.add_module(name, Description(name))

    def read(self, batch: Tensor, taps: Sequence[str]) -> dict[str, Tensor]:
        """The outputs at `taps`, and at no others: vectors (B, D, 1, 1), local descriptors (B, D, 1, T).

        T is the number of the image with the most local descriptors, at least 1; zero columns fill up the others.

        Parameters
        ----------
        batch : RGB in 0..1, (B, 3, H, W): bytes over 255, neither centred nor scaled.

        Raises
        ------
        ValueError : values outside 0..1.
        """
        images = _bytes(batch)
        return {tap: self.get_submodule(tap)(images).to(batch.device) for tap in taps}

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        """`read` at all taps."""
        return self.read(batch, list(DESCRIPTORS))

    def extra_repr(self) -> str:
        """The libraries, with their versions."""
        return f"OpenCV {cv2.__version__}, scikit-image {version('scikit-image')}"


class Description(nn.Module):
    """One descriptor of every image of a batch."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, images: np.ndarray) -> Tensor:
        """Map uint8 (B, H, W, 3) to (B, D, 1, T), T = 1 for vectors."""
        describe = DESCRIPTORS[self.name]
        found = [np.atleast_2d(describe(image)) for image in images]
        longest = max(1, *(len(one) for one in found))
        columns = np.zeros((len(found), DESCRIPTORS.info(self.name).facts["channels"], 1, longest), np.float32)
        for row, one in enumerate(found):
            columns[row, :, 0, : len(one)] = one.T
        return torch.from_numpy(columns)


def _bytes(batch: Tensor) -> np.ndarray:
    low, high = (float(value) for value in batch.aminmax())
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise ValueError(
            f"handcrafted: batch must hold RGB in 0..1, got {low:.3g} to {high:.3g}; prepare it with mean 0 and std 1."
        )
    return (batch.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
