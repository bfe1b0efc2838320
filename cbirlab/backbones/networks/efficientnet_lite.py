"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, ReLU6 in place of swish, for small processors.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, table 1, and what its
authors changed for the Lite form. Its weights were trained in TensorFlow, so that strided convolutions pad as it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

_STAGES = (
    (1, 3, 1, 16, 1),
    (2, 3, 6, 24, 2),
    (2, 5, 6, 40, 2),
    (3, 3, 6, 80, 2),
    (3, 5, 6, 112, 1),
    (4, 5, 6, 192, 2),
    (1, 3, 6, 320, 1),
)
"""Blocks of each stage, their kernel, ratio and channels, and the stride of the first."""

_EPS, _STEM, _HEAD = 1e-3, 32, 1280
_NAMES = {
    r"_conv_stem\.": "stem.0.",
    r"_bn0\.": "stem.1.",
    r"_conv_head\.": "head.0.",
    r"_bn1\.": "head.1.",
    r"_fc\.": "classifier.",
    r"_blocks\.(\d+)\._expand_conv\.": r"blocks.\1.expand.0.",
    r"_blocks\.(\d+)\._bn0\.": r"blocks.\1.expand.1.",
    r"_blocks\.(\d+)\._depthwise_conv\.": r"blocks.\1.depthwise.0.",
    r"_blocks\.(\d+)\._bn1\.": r"blocks.\1.depthwise.1.",
    r"_blocks\.(\d+)\._project_conv\.": r"blocks.\1.project.0.",
    r"_blocks\.(\d+)\._bn2\.": r"blocks.\1.project.1.",
}


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME": ceil(H / stride) rows, the odd row of padding at the end."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        tall, wide = (kernel - 1 - (input.shape[axis] - 1) % stride for axis in (-2, -1))
        padded = functional.pad(input, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _convolved(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution and its batch normalisation."""
    kind, padding = (nn.Conv2d, kernel // 2) if stride == 1 else (SameConv2d, 0)
    convolution = kind(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs, eps=_EPS)]


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where the shape stays (Sandler et al., CVPR 2018).

    Parameters
    ----------
    inputs, outputs : channels before and after.
    kernel, stride : of the filters.
    ratio : by which channels are expanded; 1 expands nothing.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, ratio: int) -> None:
        super().__init__()
        hidden = inputs * ratio
        self.expand = nn.Sequential(*_convolved(inputs, hidden), nn.ReLU6()) if ratio > 1 else nn.Identity()
        self.depthwise = nn.Sequential(*_convolved(hidden, hidden, kernel, stride, groups=hidden), nn.ReLU6())
        self.project = nn.Sequential(*_convolved(hidden, outputs))
        self.same_shape = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride)); values below 0 occur."""
        found = self.project(self.depthwise(self.expand(maps)))
        return found + maps if self.same_shape else found


class EfficientNetLite0(nn.Module):
    """The network; `pool` gives the mean of the last map, and `classifier` scores of it.

    Input: RGB in 0..1, minus 127 / 255, divided by 128 / 255.
    """

    def __init__(self, n_classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolved(3, _STEM, 3, 2), nn.ReLU6())
        blocks, inputs = [], _STEM
        for count, kernel, ratio, outputs, stride in _STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(inputs, outputs, kernel, 1 if number else stride, ratio))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(*_convolved(inputs, _HEAD), nn.ReLU6())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(_HEAD, n_classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Class scores (B, K) of normalised pictures (B, 3, H, W)."""
        return self.classifier(self.pool(self.head(self.blocks(self.stem(pictures)))))

    @staticmethod
    def own_name(key: str) -> str:
        """The name here of a tensor of the published file."""
        for theirs, ours in _NAMES.items():
            key = re.sub(f"^{theirs}", ours, key)
        return key

    @classmethod
    def adopted(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors under the names here."""
        return {cls.own_name(key): value for key, value in state.items()}
