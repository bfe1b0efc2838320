"""Caffe: weights that were trained on colours in Caffe's form.

Such a network takes blue, green and red, in this order, as 0..255 less the mean colour (104, 117, 123), not divided by
a deviation. Reversing the input channels of the first convolution takes care of the order, exactly. It cannot absorb
the mean: a convolution pads with zeros, and zero must still mean the mean colour, so mean and scale travel with the
weights as preprocessing. Nothing else is changed: Caffe's ResNets have the stride in the first convolution of a block,
torchvision's in the second.

References: Jia et al., "Caffe", ACM MM 2014; Simonyan and Zisserman, ICLR 2015, for the mean colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cbirlab.backbones.weights import WeightsError, file_and_part

if TYPE_CHECKING:
    from torch import nn

PREFIX = "caffe:"


def marked(weights: str | Path | None) -> tuple[str | Path | None, bool]:
    """The path after "caffe:", and whether that prefix was there.

    Raises
    ------
    WeightsError : something other than a file follows.
    """
    if not isinstance(weights, str) or not weights.startswith(PREFIX):
        return weights, False
    file = weights.removeprefix(PREFIX)
    if not file_and_part(file)[0].is_file():
        raise WeightsError(f"weights: {PREFIX!r} must be followed by the path of an existing file, got {weights!r}.")
    return file, True


def take_red_first(module: nn.Module, owner: str) -> None:
    """Reverse the input channels of the first convolution, so that it takes red, green, blue.

    Raises
    ------
    WeightsError : no convolution takes three channels.
    """
    import torch
    from torch import nn

    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == 3 and part.groups == 1:
            with torch.no_grad():
                part.weight.copy_(part.weight.flip(1))
            return
    raise WeightsError(f"{owner}: {PREFIX!r} needs a convolution that takes three channels, the network has none.")
