"""Layers: poolings with parameters that learn, maps (B, C, H, W) in, vectors (B, D) out.

Each begins as a pooling that learns nothing, so that a training can only be judged by what it adds: the last layer of
an attention starts at zero, an exponent at that of GeM, a codebook at k-means.
"""

from __future__ import annotations

from math import e, log
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cbirlab.aggregation.look import Box
from cbirlab.aggregation.poolings.gem import gem, gem_per_channel
from cbirlab.aggregation.poolings.rmac import grid, regions
from cbirlab.attention.modules import DelfAttention, SecondOrderAttention, SqueezeExcitation
from cbirlab.base.params import Choice, Range
from cbirlab.encoding.netvlad import NetVLAD, NetVLADLayer
from cbirlab.encoding.sums import NORM_FLOOR, lengths, unit

EXPONENTS = (1.0, 10.0)
"""Where an exponent stays while it learns: the range of `gem`."""


class PoolingLayer(nn.Module):
    """A pooling that learns.

    Parameters
    ----------
    channels : C of the maps; a buffer keeps it, so that a file says what it was made for.
    untrained : the aggregation that it equals before it learns, up to the length of vectors.

    Attributes
    ----------
    p : the exponent, if there is one for all channels that learns.
    """

    channels: Tensor
    p: nn.Parameter | None

    def __init__(self, channels: int, untrained: str) -> None:
        super().__init__()
        self.register_buffer("channels", torch.tensor(int(channels)))
        self.register_parameter("p", None)
        self.untrained = untrained

    @property
    def width(self) -> int:
        """D of its vectors."""
        return int(self.channels)

    def start(self, columns: np.ndarray) -> None:
        """Begin from local descriptors (n, C) of the learning set, where the pooling needs any."""


class GeM(PoolingLayer):
    """GeM, whose exponent learns: (mean of x^p)^(1/p); begins as `gem`.

    References
    ----------
    Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, eq. 3-5.
    """

    def __init__(self, channels: int, *, p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0) -> None:
        super().__init__(channels, f"gem(p={p})")
        self.p = nn.Parameter(torch.tensor(float(p)))

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (B, C) of maps (B, C, H, W)."""
        assert self.p is not None
        return gem_per_channel(maps, self.p.clamp(*EXPONENTS).expand(maps.shape[1]))


class GeMPerChannel(PoolingLayer):
    """GeM with an exponent of its own for each channel; begins as `gem`, all exponents equal.

    References
    ----------
    Radenović, Tolias and Chum, TPAMI 2019, eq. 3, p_k.
    """

    def __init__(self, channels: int, *, p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0) -> None:
        super().__init__(channels, f"gem(p={p})")
        self.exponents = nn.Parameter(torch.full((channels,), float(p)))

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (B, C) of maps (B, C, H, W)."""
        return gem_per_channel(maps, self.exponents.clamp(*EXPONENTS))


class NetVLADPooling(PoolingLayer):
    """The NetVLAD layer over columns that a PCA has shortened; begins as the encoding `netvlad` of the learning set.

    Weights, biases and centres learn; the PCA stays.

    Parameters
    ----------
    k, local_dims, seed : as for `cbirlab.encoding.netvlad.NetVLAD`.

    References
    ----------
    Arandjelović et al., "NetVLAD: CNN architecture for weakly supervised place recognition", CVPR 2016, eq. 4.
    """

    mean: Tensor
    axes: Tensor

    def __init__(
        self,
        channels: int,
        *,
        k: Annotated[int, Range(2, 4096, integer=True)] = 64,
        local_dims: Annotated[int | None, Range(1, 4096, integer=True, optional=True)] = 64,
        seed: Annotated[int, Range(0, 999, integer=True)] = 0,
    ) -> None:
        super().__init__(channels, f"netvlad(k={k}, local_dims={local_dims}, seed={seed})")
        self.encoding = NetVLAD(k=k, local_dims=local_dims, seed=seed)
        self.shortens = local_dims is not None and local_dims < channels
        dims = int(local_dims or channels) if self.shortens else channels
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("axes", torch.zeros(dims if self.shortens else 0, channels))
        self.layer = NetVLADLayer(torch.zeros(k, dims), torch.zeros(k), torch.zeros(k, dims))

    @property
    def width(self) -> int:
        """K d of its vectors."""
        return self.layer.centres.numel()

    def start(self, columns: np.ndarray) -> None:
        """Learn the PCA and the codebook.

        Raises
        ------
        ValueError : fewer different columns than words.
        """
        fitted = self.encoding.fit(columns)
        self.layer.load_state_dict(fitted.layer().state_dict())
        if self.shortens:
            self.mean.copy_(torch.tensor(fitted.mean_))
            self.axes.copy_(torch.tensor(fitted.components_))

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (B, K d) of maps (B, C, H, W)."""
        columns = maps.flatten(2).mT
        there = (lengths(columns)[..., 0] > NORM_FLOOR).to(columns.dtype)
        if self.shortens:
            columns = (unit(columns) - self.mean) @ self.axes.T
        return self.layer(columns, there)


class RegionWeights(PoolingLayer):
    """R-MAC whose regions r count by a learned weight g(w.r + b), r of length one; begins as R-MAC, all weights equal.

    What a region proposal network learns, on the grid that it replaced: which regions matter.

    Parameters
    ----------
    levels : as for `cbirlab.aggregation.poolings.rmac.rmac`.
    gate : g, "softplus" (weights begin at 1) or "sigmoid" (at 1/2).

    References
    ----------
    Tolias, Sicre and Jégou, ICLR 2016 (the regions); Gordo, Almazán, Revaud and Larlus, "Deep Image Retrieval", ECCV
    2016 (regions that are learned).
    """

    def __init__(
        self,
        channels: int,
        *,
        levels: Annotated[int, Range(1, 5, integer=True)] = 3,
        gate: Annotated[str, Choice(("softplus", "sigmoid"))] = "softplus",
    ) -> None:
        super().__init__(channels, f"rmac(levels={levels})")
        self.levels, self.gate = levels, functional.softplus if gate == "softplus" else torch.sigmoid
        self.score = nn.Linear(channels, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.constant_(self.score.bias, log(e - 1) if gate == "softplus" else 0.0)

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (B, C) of maps (B, C, H, W), of length one."""
        found = regions(maps, levels=self.levels)
        return unit((self._of(found)[:, None] @ found)[:, 0])

    def weights(self, maps: Tensor) -> tuple[list[Box], Tensor]:
        """Boxes of the R regions in cells of maps (B, C, H, W), and their weights (B, R) in each of them."""
        height, width = maps.shape[-2:]
        boxes = [(top, left, top + side, left + side) for top, left, side in grid(height, width, self.levels)]
        return boxes, self._of(regions(maps, levels=self.levels))

    def _of(self, found: Tensor) -> Tensor:
        return self.gate(self.score(found)[..., 0])


class Attended(PoolingLayer):
    """An attention block that learns, then GeM, which does not; begins as `gem`."""

    def __init__(self, channels: int, block: nn.Module, p: float) -> None:
        super().__init__(channels, f"gem(p={p})")
        self.block, self.exponent = block, p

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (B, C) of maps (B, C, H, W)."""
        return gem(self.block(maps), p=self.exponent)


class SecondOrder(Attended):
    """`SecondOrderAttention`, then GeM. It begins as the identity; its normalisations begin at the learning set's means

    Parameters
    ----------
    reduction : see `SecondOrderAttention`.
    and variances, and keep them."""

    block: SecondOrderAttention

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[int, Range(1, 64, integer=True)] = 2,
        p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0,
    ) -> None:
        super().__init__(channels, SecondOrderAttention(channels, reduction), p)
        self.eval()

    @torch.no_grad()
    def start(self, columns: np.ndarray) -> None:
        """Measure what the normalisations divide by."""
        rows = torch.from_numpy(columns)[:, :, None, None].to(self.block.v.weight)
        for branch in (self.block.f, self.block.g):
            layer, norm = branch[0], branch[1]
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            inner = layer(rows).flatten(1)
            norm.running_mean.copy_(inner.mean(dim=0))
            norm.running_var.copy_(inner.var(dim=0))


class Squeeze(Attended):
    """`SqueezeExcitation`, then GeM. Its last layer begins at zero, and so every gate at 1/2.

    Parameters
    ----------
    reduction : see `SqueezeExcitation`.
    """

    block: SqueezeExcitation

    def __init__(
        self,
        channels: int,
        *,
        reduction: Annotated[int, Range(1, 64, integer=True)] = 16,
        p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0,
    ) -> None:
        super().__init__(channels, SqueezeExcitation(channels, reduction), p)
        nn.init.zeros_(self.block.fc2.weight)


class Delf(Attended):
    """`DelfAttention`, then GeM; DELF itself adds up, p=1. Its last layer begins at zero, and every score at log 2.

    Parameters
    ----------
    hidden : see `DelfAttention`.
    """

    block: DelfAttention

    def __init__(
        self,
        channels: int,
        *,
        hidden: Annotated[int, Range(1, 4096, integer=True)] = 512,
        p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0,
    ) -> None:
        super().__init__(channels, DelfAttention(channels, hidden), p)
        last = self.block.score[2]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)
