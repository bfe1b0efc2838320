"""Views: pictures as a training sees them, in one of three shapes, and cut, turned and lit in other ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cbirlab import images

KEPT_VIEWS = 3
"""Views of each picture whose maps are kept."""

SHRINK = 0.75
"""Side of pictures that go through the whole network at each step, over that of those that are judged."""

GROUP = 8
"""Pictures that go through the whole network with their graph at once: memory is that of one group."""

_KEPT_BYTES = 1 << 29


def shape_for(height: int, width: int, side: int) -> tuple[int, int]:
    """The nearest of three shapes, which are few enough for batches: square, upright and level, of nearly one area.

    The long side of the latter two is `side`, and 4 to 3 their aspect.
    """
    if 0.87 < height / width < 1.15:
        square = max(1, round(side * 6 / 7))
        return square, square
    short = max(1, round(side * 3 / 4))
    return (side, short) if height > width else (short, side)


class Pictures:
    """Decoded pictures (3, H, W) uint8 in one of three shapes; decoded again where they would take too much memory.

    Parameters
    ----------
    paths : of the files.
    side : long side in pixels.
    """

    def __init__(self, paths: Sequence[Path], side: int) -> None:
        self.paths, self.side = paths, side
        self._kept: dict[int, Tensor] = {}
        self._keeps = len(paths) * 3 * side * side <= _KEPT_BYTES

    def __getitem__(self, row: int) -> Tensor:
        if row in self._kept:
            return self._kept[row]
        pixels = torch.from_numpy(images.decode(self.paths[row], image_size=self.side)[0].copy()).permute(2, 0, 1)
        wanted = shape_for(pixels.shape[1], pixels.shape[2], self.side)
        if tuple(pixels.shape[1:]) != wanted:
            pixels = functional.interpolate(pixels[None].float(), wanted, mode="area")[0].round().byte()
        if self._keeps:
            self._kept[row] = pixels.contiguous()
        return pixels


def change(pictures: Tensor, seeds: Sequence[tuple[int, ...]]) -> Tensor:
    """Another view of each picture (B, 3, H, W) in 0..1: 40 to 100 % of its area, slightly turned, in other light.

    Parameters
    ----------
    seeds : one for each picture. What is done to it follows from its seed alone, whatever its batch.
    """
    drawn = np.array([_draw(seed) for seed in seeds], dtype=np.float32)
    scale, angle, across, down, gain, gamma = (torch.from_numpy(drawn[:, place]) for place in range(6))
    cast = torch.from_numpy(drawn[:, 6:])[:, :, None, None]
    height, width = pictures.shape[2:]
    turn = torch.stack(
        [
            torch.stack([scale * angle.cos(), -scale * angle.sin() * height / width, across * (1 - scale)], 1),
            torch.stack([scale * angle.sin() * width / height, scale * angle.cos(), down * (1 - scale)], 1),
        ],
        1,
    ).to(pictures.device)
    grid = functional.affine_grid(turn, list(pictures.shape), align_corners=False)
    seen = functional.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    light = [one.view(-1, 1, 1, 1).to(pictures.device) for one in (gamma, gain)]
    return (seen.clamp(1e-3, 1) ** light[0] * light[1] * cast.to(pictures.device)).clamp(0, 1)


def _draw(seed: Sequence[int]) -> list[float]:
    """Scale, angle, place across and down, gain, gamma, and a factor for each colour."""
    random = np.random.default_rng(list(seed))
    return [
        float(np.sqrt(random.uniform(0.4, 1))),
        float(0.1 * random.standard_normal()),
        *random.uniform(-1, 1, 2),
        float(random.uniform(0.7, 1.3)),
        float(np.exp(random.uniform(-0.3, 0.3))),
        *np.exp(0.06 * random.standard_normal(3)),
    ]


def by_shape(entering: Sequence[Tensor], most: int) -> list[list[int]]:
    """Places of tensors in groups of one shape, each of at most `most`."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, one in enumerate(entering):
        groups.setdefault(tuple(one.shape), []).append(place)
    return [places[at : at + most] for places in groups.values() for at in range(0, len(places), most)]
