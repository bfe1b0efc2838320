"""Loading: a registered network with its weights, ready to be read at its taps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.catalogue import BACKBONES, NO_WEIGHTS, Tap
from cbirlab.params import Choice
from cbirlab.registry import Registry
from cbirlab.weights import WeightsError, digest, fill, find, label_of, needed, read

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
    missing_taps : those that a partial weights file does not cover.
    weights : what tables call the weights.
    digest : sha256 of the weights that were really loaded.
    mean, std : of RGB in 0..1.
    default_tap : the registered one, or the deepest map that is covered.
    min_side : shortest image side in pixels.
    device : where it runs.
    precision : "float32" or "bfloat16".
    channels_last : memory layout of the maps; changes speed, not results (beyond rounding).
    classifier : path of the last layer; "" where the weights lack it, or the network has none.
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

    def with_numerics(self, *, precision: str | None = None, channels_last: bool | None = None) -> Backbone:
        """A copy that computes in another precision or memory layout; rounding to bfloat16 cannot be taken back."""
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


def load_backbone(
    name: str,
    weights: str | Path | None = None,
    device: str | Device = "cpu",
    *,
    seed: int = 0,
    precision: str = "float32",
    channels_last: bool = False,
) -> Backbone:
    """A registered network with its weights.

    Parameters
    ----------
    weights : None for the default ones (bundled, ``CBIRLAB_WEIGHTS``, torch's hub cache, download), "random", a label
        that torchvision publishes ("IMAGENET1K_V2"), or the path of a ``.pth`` or ``.safetensors`` file, which may
        cover only the first taps.
    device : "cpu", "cuda", ...
    seed : of random weights.
    precision : "float32" or "bfloat16".
    channels_last : memory layout.

    Raises
    ------
    UnknownName : no network of that name.
    WeightsError : the weights cannot be had, or fit none of the taps; weights for hand-crafted descriptors.
    ValueError : another precision, or one that hand-crafted descriptors do not have.
    """
    import torch

    facts = BACKBONES.info(name).facts
    PRECISION.check(name, "precision", precision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if facts["weights"] == NO_WEIGHTS:
            loaded = _untrained(name, weights)
        else:
            loaded = _random(name, seed) if weights == "random" else _trained(name, weights, facts)
    loaded.module.eval().requires_grad_(False).to(device)
    return replace(loaded, device=torch.device(device)).with_numerics(precision=precision, channels_last=channels_last)


def check_tap(backbone: Backbone, tap: str) -> Tap:
    """The tap of that name.

    Raises
    ------
    UnknownName : the network has no such tap.
    WeightsError : it has, but the weights do not reach it.
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


def classifier_of(backbone: Backbone) -> dict[str, Tensor] | None:
    """The linear classifier that sits on the mean of a tap (the fact `classifier_tap`), for class activation maps.

    Row c of "classifier" (K, C) weighs the channels of that tap's maps for class c; "classifier_bias" is (K,). Both are
    float32. None where a network has no such classifier, or its weights lack it. (SqueezeNet cuts the weighed maps at 0
    before their mean; the others do not.)
    """
    if not BACKBONES.info(backbone.name).facts["classifier_tap"] or not backbone.classifier:
        return None
    layer = backbone.module.get_submodule(backbone.classifier)
    weight = layer.get_parameter("weight").detach().float().flatten(1)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.get_parameter("bias").detach().float()
    return {"classifier": weight, "classifier_bias": bias}


def _untrained(name: str, weights: str | Path | None) -> Backbone:
    """What has nothing to train; its text, which names the libraries that it uses, stands for weights."""
    if weights not in (None, NO_WEIGHTS):
        raise WeightsError(f"{name}: it has no weights; weights must be None, got {str(weights)!r}.")
    module = BACKBONES[name]()
    return _assemble(name, module, set(), NO_WEIGHTS, sha256(repr(module).encode()).hexdigest())


def _random(name: str, seed: int) -> Backbone:
    module = BACKBONES[name]()
    _declare_classes(module, BACKBONES.info(name).facts)
    label = "random" if seed == 0 else f"random(seed={seed})"
    return _assemble(name, module, set(), label, digest(module))


def _declare_classes(module: nn.Module, facts: Mapping[str, Any]) -> None:
    """As many random class scores as the catalogue says, where the network's own default is another number."""
    import torch

    path = facts["classifier"]
    scores = [tap.channels for tap in facts["taps"].values() if path and tap.path == path]
    if scores and len(shape := module.get_submodule(path).get_parameter("weight").shape) and shape[0] != scores[0]:
        _fit_classifier(module, path, {f"{path}.weight": torch.empty(scores[0], *shape[1:])})


def _trained(name: str, weights: str | Path | None, facts: Mapping[str, Any]) -> Backbone:
    found = find(name, weights, default=facts["weights"], bundled=facts["bundled"])
    state = read(found.path)
    module = BACKBONES[name]()
    own_names = getattr(module, "own_names", None)  # a network may know names that others gave its tensors
    if own_names is not None:
        state = own_names(state)
    _fit_classifier(module, facts["classifier"], state)
    missing = fill(module, state, f"{name} with {found.path}")
    total = digest(module, missing)
    label = f"{name}-v1" if facts["bundled"] and weights is None else label_of(found, total)
    backbone = _assemble(name, module, missing, label, total)
    if found.published is not None:
        backbone = replace(backbone, mean=found.published.mean, std=found.published.std)
    return backbone


def _assemble(name: str, module: nn.Module, missing: set[str], label: str, total: str) -> Backbone:
    import torch

    facts = BACKBONES.info(name).facts
    depends = {tap: needed(module, entry.path) for tap, entry in facts["taps"].items()}
    covered = {tap: entry for tap, entry in facts["taps"].items() if not depends[tap] & missing}
    if not covered:
        lacking = sorted(depends[next(iter(depends))] & missing)[0]
        raise WeightsError(
            f"{name}: weights {label} cover none of its taps; {lacking} is missing or has another shape."
        )
    classifier = _covered_classifier(module, facts["classifier"], missing)
    if classifier:  # class scores have as many channels as these weights have classes
        classes = len(module.get_submodule(classifier).get_parameter("weight"))
        scores = [tap for tap in covered if f"{classifier}.weight" in depends[tap]]
        covered |= {tap: replace(covered[tap], channels=classes) for tap in scores}
    maps = [tap for tap, entry in covered.items() if entry.kind == "map"]
    return Backbone(
        name=name,
        module=module,
        taps=covered,
        missing_taps=tuple(tap for tap in facts["taps"] if tap not in covered),
        weights=label,
        digest=total,
        mean=facts["mean"],
        std=facts["std"],
        default_tap=facts["default_tap"] if facts["default_tap"] in covered else (maps or list(covered))[-1],
        min_side=facts["min_side"],
        device=torch.device("cpu"),
        classifier=classifier,
    )


def _covered_classifier(module: nn.Module, path: str, missing: set[str]) -> str:
    """`path` if the weights hold all of that layer, else ""."""
    if not path:
        return ""
    own = {f"{path}.{name}" for name, _ in module.get_submodule(path).named_parameters()}
    return "" if own & missing else path


def _fit_classifier(module: nn.Module, path: str, state: Mapping[str, Any]) -> None:
    """Give the last layer as many classes as the weights have: a network trained on another task keeps its head."""
    from torch import nn

    weight = state.get(f"{path}.weight")
    if not path or weight is None:
        return
    parent, _, last = path.rpartition(".")
    layer = module.get_submodule(path)
    if isinstance(layer, nn.Linear) and tuple(weight.shape[1:]) == (layer.in_features,):
        fitted: nn.Module = nn.Linear(layer.in_features, len(weight), bias=layer.bias is not None)
    elif isinstance(layer, nn.Conv2d) and tuple(weight.shape[1:]) == (layer.in_channels, *layer.kernel_size):
        fitted = nn.Conv2d(layer.in_channels, len(weight), layer.kernel_size[0], bias=layer.bias is not None)
    else:
        return
    setattr(module.get_submodule(parent), last, fitted)
