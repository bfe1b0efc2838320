"""Backbones: what each network knows about itself, told without loading torch, and the network itself with its weights.

A network is registered with its taps in the order in which it computes them. A tap is the output of a submodule, after a ReLU:
GeM and CroW need values >= 0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.params import Choice
from cbirlab.registry import Registry

if TYPE_CHECKING:
    from torch import device as Device
    from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PRECISION = Choice(("float32", "bfloat16"))


@dataclass(frozen=True)
class Tap:
    """A place in a network where its maps are read.

    Attributes
    ----------
    path : dotted path of the submodule whose output is read.
    channels : C of its maps.
    stride : pixels of the image per step on the map.
    """

    path: str
    channels: int
    stride: int


BACKBONES: Registry[Callable[..., nn.Module]] = Registry("backbone")


def add_backbone(
    name: str,
    builder: Callable[..., nn.Module] | str,
    *,
    title: str,
    taps: Mapping[str, Tap],
    default_tap: str | None = None,
    reference: str = "",
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    weights: str = "",
    bundled: str = "",
    licence: str = "",
    parameters: int | None = None,
    min_side: int = 1,
    classifier: str = "",
) -> None:
    """Register a network.

    Parameters
    ----------
    builder : called without arguments, returns the network; or ``"module:attribute"``. Its parts must be defined in the order they run.
    taps : in the order in which the network computes them.
    default_tap : the last one if not given.
    mean, std : of RGB in 0..1, as the network was trained.
    weights : label of torchvision's weights that ``weights=None`` stands for.
    bundled : path of the bundled weights below the data folder.
    parameters : number of parameters, with the classifier.
    min_side : shortest image side in pixels that every tap can digest.
    classifier : path of the last layer, which may have any number of classes.
    """
    default = default_tap or list(taps)[-1]
    if default not in taps:
        raise ValueError(f"{name}: default_tap must be one of {', '.join(taps)}, got {default!r}.")
    facts = {
        "taps": dict(taps),
        "default_tap": default,
        "mean": mean,
        "std": std,
        "weights": weights,
        "bundled": bundled,
        "licence": licence,
        "parameters": parameters,
        "min_side": min_side,
        "classifier": classifier,
    }
    BACKBONES.add(name, builder, title=title, reference=reference, **facts)


def taps_of(name: str) -> dict[str, Tap]:
    """The taps of the registered network `name`, in the order in which it computes them; loads nothing."""
    return dict(BACKBONES.info(name).facts["taps"])


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
    default_tap : the registered one, or the deepest that is covered.
    min_side : shortest image side in pixels.
    device : where it runs.
    precision : "float32" or "bfloat16".
    channels_last : memory layout of the maps; changes speed, not results (beyond rounding).
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

    def with_numerics(self, *, precision: str | None = None, channels_last: bool | None = None) -> Backbone:
        """A copy that computes in another precision or memory layout; rounding to bfloat16 cannot be taken back."""
        import torch

        precision = PRECISION.check(self.name, "precision", precision or self.precision)
        channels_last = self.channels_last if channels_last is None else channels_last
        if (precision, channels_last) == (self.precision, self.channels_last):
            return self
        if (self.precision, precision) == ("bfloat16", "float32"):
            raise ValueError(
                f"{self.name}: weights rounded to bfloat16 stay rounded; load the backbone again in float32."
            )
        layout = torch.channels_last if channels_last else torch.contiguous_format
        module = copy.deepcopy(self.module).to(dtype=getattr(torch, precision))
        module = module.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        return replace(self, module=module, precision=precision, channels_last=channels_last)


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
    weights : None for the default ones (bundled, ``CBIRLAB_WEIGHTS``, torch's hub cache, download), "random", a label that torchvision
        publishes ("IMAGENET1K_V2"), or the path of a ``.pth`` or ``.safetensors`` file, which may cover only the first taps.
    device : "cpu", "cuda", ...
    seed : of random weights.
    precision : "float32" or "bfloat16".
    channels_last : memory layout.

    Raises
    ------
    UnknownName : no network of that name.
    WeightsError : the weights cannot be had, or fit none of the taps.
    """
    import torch

    facts = BACKBONES.info(name).facts
    PRECISION.check(name, "precision", precision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
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
    from cbirlab.weights import WeightsError

    if tap in backbone.taps:
        return backbone.taps[tap]
    covered = ", ".join(backbone.taps)
    if tap in backbone.missing_taps:
        raise WeightsError(f"{backbone.name}: weights {backbone.weights} do not reach tap {tap!r}; covered: {covered}.")
    names: Registry[Tap] = Registry(f"tap of {backbone.name}")
    for known, entry in backbone.taps.items():
        names.add(known, entry, title=known)
    return names[tap]


def _random(name: str, seed: int) -> Backbone:
    from cbirlab.weights import digest

    module = BACKBONES[name]()
    label = "random" if seed == 0 else f"random(seed={seed})"
    return _assemble(name, module, set(), label, digest(module))


def _trained(name: str, weights: str | Path | None, facts: Mapping[str, Any]) -> Backbone:
    from cbirlab.weights import digest, fill, find, label_of, read

    found = find(name, weights, default=facts["weights"], bundled=facts["bundled"])
    state = read(found.path)
    module = BACKBONES[name]()
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

    from cbirlab.weights import WeightsError, needed

    facts = BACKBONES.info(name).facts
    covered = {tap: entry for tap, entry in facts["taps"].items() if not needed(module, entry.path) & missing}
    if not covered:
        first = next(iter(facts["taps"].values()))
        lacking = sorted(needed(module, first.path) & missing)[0]
        raise WeightsError(
            f"{name}: weights {label} cover none of its taps; {lacking} is missing or has another shape."
        )
    return Backbone(
        name=name,
        module=module,
        taps=covered,
        missing_taps=tuple(tap for tap in facts["taps"] if tap not in covered),
        weights=label,
        digest=total,
        mean=facts["mean"],
        std=facts["std"],
        default_tap=facts["default_tap"] if facts["default_tap"] in covered else list(covered)[-1],
        min_side=facts["min_side"],
        device=torch.device("cpu"),
    )


def _fit_classifier(module: nn.Module, path: str, state: Mapping[str, Any]) -> None:
    """Give the last layer as many classes as the weights have, so that a network trained on another task keeps its head."""
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


def _torchvision(
    name: str,
    title: str,
    reference: str,
    rows: str,
    *,
    classifier: str,
    parameters: int,
    min_side: int,
    default_tap: str | None = None,
) -> None:
    """Register a network of torchvision; `rows` holds one tap per line: name, path, channels, stride."""
    taps = {}
    for row in rows.strip().splitlines():
        tap, path, channels, stride = row.split()
        taps[tap] = Tap(path, int(channels), int(stride))
    add_backbone(
        name,
        f"torchvision.models:{name}",
        title=title,
        reference=reference,
        taps=taps,
        default_tap=default_tap,
        weights="IMAGENET1K_V1",
        licence="BSD-3-Clause (torchvision)",
        parameters=parameters,
        min_side=min_side,
        classifier=classifier,
    )


add_backbone(
    "toynet",
    "cbirlab.toynet:ToyNet",
    title="toynet",
    reference="bundled: residual network trained on rendered landmarks",
    mean=(0.45, 0.45, 0.45),
    std=(0.25, 0.25, 0.25),
    taps={
        "stem": Tap("stem", 16, 2),
        "layer1": Tap("layer1", 24, 4),
        "layer2": Tap("layer2", 48, 8),
        "layer3": Tap("layer3", 96, 16),
        "layer4": Tap("layer4", 192, 16),
    },
    bundled="toynet/toynet.safetensors",
    licence="CC0-1.0",
    classifier="head",
)
_torchvision(
    "resnet18",
    "ResNet-18",
    "He et al., CVPR 2016",
    """
    stem    relu    64   2
    layer1  layer1  64   4
    layer2  layer2  128  8
    layer3  layer3  256  16
    layer4  layer4  512  32
    """,
    classifier="fc",
    parameters=11_689_512,
    min_side=1,
)
_torchvision(
    "resnet50",
    "ResNet-50",
    "He et al., CVPR 2016",
    """
    stem    relu    64    2
    layer1  layer1  256   4
    layer2  layer2  512   8
    layer3  layer3  1024  16
    layer4  layer4  2048  32
    """,
    classifier="fc",
    parameters=25_557_032,
    min_side=1,
)
_torchvision(
    "vgg16",
    "VGG-16",
    "Simonyan and Zisserman, ICLR 2015",
    """
    conv1_2  features.3   64   1
    conv2_2  features.8   128  2
    conv3_3  features.15  256  4
    conv4_3  features.22  512  8
    conv5_3  features.29  512  16
    pool5    features.30  512  32
    """,
    default_tap="conv5_3",
    classifier="classifier.6",
    parameters=138_357_544,
    min_side=32,
)
_torchvision(
    "alexnet",
    "AlexNet",
    "Krizhevsky et al., NeurIPS 2012; Krizhevsky 2014",
    """
    conv1  features.1   64   4
    conv2  features.4   192  8
    conv3  features.7   384  16
    conv4  features.9   256  16
    conv5  features.11  256  16
    """,
    classifier="classifier.6",
    parameters=61_100_840,
    min_side=31,
)
# The blocks of MobileNetV2 end in a linear layer; the taps are what the next block expands it to, the nearest values >= 0.
_torchvision(
    "mobilenet_v2",
    "MobileNetV2",
    "Sandler et al., CVPR 2018",
    """
    expand2   features.2.conv.0   96    2
    expand4   features.4.conv.0   144   4
    expand7   features.7.conv.0   192   8
    expand11  features.11.conv.0  384   16
    expand14  features.14.conv.0  576   16
    last      features.18         1280  32
    """,
    classifier="classifier.1",
    parameters=3_504_872,
    min_side=1,
)
_torchvision(
    "squeezenet1_0",
    "SqueezeNet 1.0",
    "Iandola et al., 2016",
    """
    conv1  features.1   96   2
    fire3  features.4   128  4
    fire4  features.5   256  4
    fire7  features.9   384  8
    fire8  features.10  512  8
    fire9  features.12  512  16
    """,
    classifier="classifier.1",
    parameters=1_248_424,
    min_side=21,
)
_torchvision(
    "squeezenet1_1",
    "SqueezeNet 1.1",
    "Iandola et al., 2016",
    """
    conv1  features.1   64   2
    fire3  features.4   128  4
    fire5  features.7   256  8
    fire7  features.10  384  16
    fire9  features.12  512  16
    """,
    classifier="classifier.1",
    parameters=1_235_496,
    min_side=17,
)
