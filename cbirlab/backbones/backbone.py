"""Backbone: a network with its weights, ready to be read at its taps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.catalogue import BACKBONES, NO_WEIGHTS, Tap
from cbirlab.backbones.weights import WeightsError
from cbirlab.base.params import Choice
from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch import device as Device

PRECISION = Choice(("float32", "bfloat16"))


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network with its weights, ready to be read at its taps.

    Attributes
    ----------
    name : as registered.
    module : the network in evaluation mode, without gradients.
    taps : those that the weights cover, in the order of computation.
    missing_taps : those that the weights, from a partial file, do not cover.
    weights : the label of the weights in tables.
    digest : sha256 of the weights that were actually loaded.
    mean, std : of RGB in 0..1.
    default_tap : the registered one, or the deepest map that is covered.
    min_side : shortest image side in pixels.
    device : where it runs.
    precision : "float32" or "bfloat16".
    channels_last : memory layout of the maps; changes speed, not results (beyond rounding).
    classifier : path of the last layer; "" if the weights lack it or the network has none.
    multiple : the sides of an image are cut to a multiple of this.
    fixed_size : (height, width) that images are squeezed to; None for a network that takes them as they are.
    asked : the arguments of `load_backbone` that give the same network in another process.
    """

    name: str
    module: nn.Module
    taps: Mapping[str, Tap]
    missing_taps: tuple[str, ...]
    weights: str
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    default_tap: str
    min_side: int
    device: Device
    precision: str = "float32"
    channels_last: bool = False
    classifier: str = ""
    multiple: int = 1
    fixed_size: tuple[int, int] | None = None
    asked: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def with_numerics(self, *, precision: str | None = None, channels_last: bool | None = None) -> Backbone:
        """A copy that computes in another precision or memory layout; rounding to bfloat16 cannot be undone."""
        import torch

        number = self.precision if precision is None else PRECISION.check(self.name, "precision", precision)
        channels_last = self.channels_last if channels_last is None else channels_last
        if number != "float32" and self.weights == NO_WEIGHTS:
            raise ValueError(f"{self.name}: precision must be 'float32', got {number!r}; bytes are counted exactly.")
        if (number, channels_last) == (self.precision, self.channels_last):
            return self
        if (self.precision, number) == ("bfloat16", "float32"):
            raise ValueError(
                f"{self.name}: weights rounded to bfloat16 stay rounded; load the backbone again in float32."
            )
        layout = torch.channels_last if channels_last else torch.contiguous_format
        module = copy.deepcopy(self.module).to(dtype=getattr(torch, number))
        module = module.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        return replace(self, module=module, precision=number, channels_last=channels_last)


def check_tap(backbone: Backbone, tap: str) -> Tap:
    """The tap of that name.

    Raises
    ------
    UnknownName : the network has no such tap.
    WeightsError : the network has it, but the weights do not reach it.
    """
    if tap in backbone.taps:
        return backbone.taps[tap]
    covered = ", ".join(backbone.taps)
    if tap in backbone.missing_taps:
        raise WeightsError(f"{backbone.name}: weights {backbone.weights} do not reach tap {tap!r}; covered: {covered}.")
    names: Registry[Tap] = Registry(f"tap of {backbone.name}")
    for known, entry in backbone.taps.items():
        names.add(known, entry, title=known)
    return names[tap]


def tap_before(backbone: Backbone, tap: str) -> str | None:
    """The tap that the network computes just before another one; None before the first."""
    names = list(backbone.taps)
    return names[names.index(tap) - 1] if names.index(tap) else None


def classifier_of(backbone: Backbone) -> dict[str, Tensor] | None:
    """The linear classifier that sits on the mean of a tap (the fact `classifier_tap`), for class activation maps.

    Row c of "classifier" (K, C) weighs the channels of that tap's maps for class c; "classifier_bias" is (K,). Both are
    float32. The result is None if the network has no such classifier, or its weights lack it. (SqueezeNet cuts the
    weighed maps at 0 before their mean; the others do not.)
    """
    if not BACKBONES.info(backbone.name).facts["classifier_tap"] or not backbone.classifier:
        return None
    layer = backbone.module.get_submodule(backbone.classifier)
    weight = layer.get_parameter("weight").detach().float().flatten(1)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.get_parameter("bias").detach().float()
    return {"classifier": weight, "classifier_bias": bias}
