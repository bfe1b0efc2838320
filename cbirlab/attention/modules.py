"""Attention with parameters: blocks that fine-tuning trains, initialised as published. Maps in, maps out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation as _SqueezeExcitation


class SqueezeExcitation(_SqueezeExcitation):
    """A gate for each channel: the mean of the map, two layers, sigmoid; the map is multiplied by it.

    torchvision's block with the initialisation of the paper (He et al.); biases start at zero, and so the gates
    around one half.

    Parameters
    ----------
    channels : C of the maps.
    reduction : ratio of the channels to those of the hidden layer, r in the paper; the layer keeps at least one.

    References
    ----------
    Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018, eq. 2-4, section 6.1.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__(_checked(self, channels), _reduced(self, channels, reduction))
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            _zero_bias(layer)

    def weights(self, maps: Tensor) -> Tensor:
        """The gates (B, C), in (0, 1)."""
        return self._scale(maps).flatten(1)


class SecondOrderAttention(nn.Module):
    """Each column becomes itself plus v of a mean of all columns h, weighted by softmax(f·g / √c): SOLAR's block.

    v starts at zero and with it the block as the identity: a trained network keeps its descriptors until training
    moves it. The other convolutions start orthogonal, f and g are followed by batch normalisation and ReLU, all as in
    the authors' program.

    Parameters
    ----------
    channels : C of the maps.
    reduction : ratio of the channels to those inside the block; SOLAR has 4 after conv4 and 2 after conv5 of ResNet.

    References
    ----------
    Ng, Balntas, Tian and Mikolajczyk, "SOLAR: Second-Order Loss and Attention for Image Retrieval", ECCV 2020, eq. 2-4.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        self.inside = _reduced(self, _checked(self, channels), reduction)
        inwards = [nn.Conv2d(channels, self.inside, 1) for _ in range(3)]
        for layer in inwards:
            nn.init.orthogonal_(layer.weight)
        self.f, self.g = (nn.Sequential(layer, nn.BatchNorm2d(self.inside), nn.ReLU()) for layer in inwards[:2])
        self.h = inwards[2]
        self.v = nn.Conv2d(self.inside, channels, 1)
        nn.init.zeros_(self.v.weight)
        _zero_bias(self.v)

    def attention(self, maps: Tensor) -> Tensor:
        """How much each position looks at each other one: (B, H * W, H * W), rows sum to one."""
        queries, keys = self.f(maps).flatten(2), self.g(maps).flatten(2)
        return torch.softmax(queries.transpose(1, 2) @ keys / self.inside**0.5, dim=-1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) to maps of the same shape."""
        mixed = self.h(maps).flatten(2) @ self.attention(maps).transpose(1, 2)
        return maps + self.v(mixed.unflatten(2, maps.shape[2:]))


class DelfAttention(nn.Module):
    """A score for each position from two layers on its column, softplus at the end; the map is multiplied by it.

    Summed over the map, the output is DELF's y = Σ α(f_n) f_n, with which DELF trains it.

    Parameters
    ----------
    channels : C of the maps; 1024 (conv4 of ResNet-50) in the paper.
    hidden : channels of the layer between; 512 in the paper.

    References
    ----------
    Noh, Araujo, Sim, Weyand and Han, "Large-Scale Image Retrieval with Attentive Deep Local Features", ICCV 2017,
    section 3.2.
    """

    def __init__(self, channels: int, hidden: int = 512) -> None:
        super().__init__()
        first, second = nn.Conv2d(_checked(self, channels), hidden, 1), nn.Conv2d(hidden, 1, 1)
        for layer in (first, second):
            nn.init.xavier_uniform_(layer.weight)
            _zero_bias(layer)
        self.score = nn.Sequential(first, nn.ReLU(), second, nn.Softplus())

    def weights(self, maps: Tensor) -> Tensor:
        """The scores (B, H, W), > 0."""
        return self.score(maps)[:, 0]

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) to maps of the same shape."""
        return maps * self.score(maps)


def _checked(block: nn.Module, channels: int) -> int:
    if channels < 1 or channels != int(channels):
        raise ValueError(f"{type(block).__name__}: channels must be a whole number >= 1, got {channels!r}.")
    return int(channels)


def _reduced(block: nn.Module, channels: int, reduction: int) -> int:
    if reduction < 1:
        raise ValueError(f"{type(block).__name__}: reduction must be >= 1, got {reduction!r}.")
    return max(1, int(channels // reduction))


def _zero_bias(layer: nn.Conv2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
