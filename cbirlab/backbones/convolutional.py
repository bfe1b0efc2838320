"""Convolutional: networks of torchvision with a small change that their taps or their published weights need."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import DenseNet, GoogLeNet

_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


class RectifiedDenseNet(DenseNet):
    """torchvision's network with its last ReLU as a module: torchvision calls a function, which no hook can read."""

    def __init__(self, growth: int, blocks: tuple[int, int, int, int], stem: int) -> None:
        super().__init__(growth_rate=growth, block_config=blocks, num_init_features=stem)
        self.features.add_module("relu5", nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (B, K) of normalised images (B, 3, H, W)."""
        return self.classifier(self.features(x).mean((-2, -1)))

    @staticmethod
    def own_name(key: str) -> str:
        """The present name of a tensor; published files say "norm.1" where the network says "norm1"."""
        return _DENSE_LAYER.sub(r"\1\2.", key)

    @classmethod
    def adopted(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors under their present names."""
        return {cls.own_name(key): value for key, value in state.items()}


class PlainGoogLeNet(GoogLeNet):
    """torchvision's network without the two auxiliary classifiers beside its trunk, which only training uses.

    It converts its input to the preprocessing with which its published weights, made elsewhere, were trained.
    """

    def __init__(self) -> None:
        super().__init__(aux_logits=False, transform_input=True, init_weights=True)

    @staticmethod
    def adopted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the trunk."""
        return {key: value for key, value in state.items() if not key.startswith(("aux1.", "aux2."))}


def densenet121() -> RectifiedDenseNet:
    """DenseNet-121: 6, 12, 24 and 16 layers that add 32 channels each."""
    return RectifiedDenseNet(32, (6, 12, 24, 16), 64)


def densenet161() -> RectifiedDenseNet:
    """DenseNet-161: 6, 12, 36 and 24 layers that add 48 channels each."""
    return RectifiedDenseNet(48, (6, 12, 36, 24), 96)


def googlenet() -> PlainGoogLeNet:
    """GoogLeNet, the first of the Inception networks."""
    return PlainGoogLeNet()
