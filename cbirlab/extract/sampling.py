"""Sampling: a few local vectors of every train image, stored like any other column, for what learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation import Aggregation

PER_IMAGE = 64
_AT_MOST = 2**16  # values per image: wide taps keep fewer vectors, so that a sample stays a small part of a store


@dataclass(frozen=True)
class Sampler:
    """Takes the place of an aggregation and gives (B, count * C): the kept vectors of each image, one after the other.

    Parameters
    ----------
    of : the aggregation that will learn.
    channels : channels of the tap.
    """

    of: Aggregation
    channels: int

    @property
    def count(self) -> int:
        """Vectors per image."""
        return min(PER_IMAGE, max(8, _AT_MOST // self.channels))

    @property
    def key(self) -> str:
        """Key of the sample: all encodings share one sample, a pooling has a sample of its own."""
        attention = "".join(f"{one.key} > " for one in self.of.attentions)
        return f"sample of {attention}columns" if self.of.encoding else f"sample of {self.of.key}"

    def target(self) -> Any:
        """What the sampled vectors depend on."""
        return Sampler if self.of.encoding else self.of.target()

    def width(self, channels: int) -> int:
        """Dimensions of a row."""
        return self.count * channels

    def apply(self, maps: Tensor, state: Any = None) -> Tensor:
        """Rows (B, count * D) of the maps of a batch."""
        import torch

        vectors = self.of.samples(maps, state)
        return torch.stack([_kept(rows, self.count) for rows in vectors]).flatten(1)


def _kept(rows: Tensor, count: int) -> Tensor:
    """Keep `count` nonzero rows of (T, D), in an order that depends only on how many there are; pad with zeros."""
    import torch

    present = rows.any(dim=1).nonzero().flatten()
    order = np.random.default_rng(len(present)).permutation(len(present))[:count]
    chosen = rows[present[torch.from_numpy(order).to(rows.device)]]
    return torch.nn.functional.pad(chosen, (0, 0, 0, count - len(chosen)))


def unpack(rows: np.ndarray, sampler: Sampler) -> tuple[np.ndarray, np.ndarray]:
    """The sampled vectors (n, D), and the image (n,) that each comes from."""
    vectors = np.asarray(rows).reshape(len(rows) * sampler.count, -1)
    groups = np.repeat(np.arange(len(rows)), sampler.count)
    present = vectors.any(axis=1)
    return vectors[present], groups[present]
