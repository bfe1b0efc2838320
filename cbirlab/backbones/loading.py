"""Loading: a registered network with its weights, ready to be read at its taps."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import caffe
from cbirlab.backbones.backbone import PRECISION, Backbone
from cbirlab.backbones.catalogue import BACKBONES, CAFFE_MEAN, CAFFE_STD, NO_WEIGHTS, RANDOM, Source, lacking
from cbirlab.backbones.names import chosen
from cbirlab.text import printable
from cbirlab.weights import Found, WeightsError, digest, fill, find, label_of, matched, needed, own_file, read

if TYPE_CHECKING:
    from torch import device as Device
    from torch import nn


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
    name : in `BACKBONES`, or with its weights, "resnet50@IMAGENET1K_V2".
    weights : None for the default ones (bundled, ``CBIRLAB_WEIGHTS``, torch's hub cache, download), "random", a label
        that torchvision publishes ("IMAGENET1K_V2"), or the path of a ``.pth`` or ``.safetensors`` file, which may
        cover only the first taps; "caffe:" before the path of weights that were trained with Caffe's colours.
    device : "cpu", "cuda", ...
    seed : of random weights.
    precision : "float32" or "bfloat16".
    channels_last : memory layout.

    Raises
    ------
    UnknownName : no network of that name.
    WeightsError : the weights cannot be had, or fit none of the taps; weights for hand-crafted descriptors; an extra
        that the network needs is not installed.
    ValueError : weights in the name and others beside; another precision, or one that hand-crafted
        descriptors do not have.
    """
    import torch

    name, weights = chosen(name, weights)
    facts = BACKBONES.info(name).facts
    PRECISION.check(name, "precision", precision)
    if extra := lacking(name):
        raise WeightsError(f"{name}: it needs {facts['requires']}: {extra}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if facts["weights"] == NO_WEIGHTS:
            loaded = _untrained(name, weights)
        else:
            loaded = _random(name, seed) if weights == RANDOM else _trained(name, weights, facts)
    loaded.module.eval().requires_grad_(False).to(device)
    return replace(loaded, device=torch.device(device)).with_numerics(precision=precision, channels_last=channels_last)


def _untrained(name: str, weights: str | Path | None) -> Backbone:
    """What has nothing to train; its text, which names the libraries that it uses, stands for weights."""
    if weights not in (None, NO_WEIGHTS):
        raise WeightsError(f"{name}: it has no weights; weights must be None, got {str(weights)!r}.")
    module = BACKBONES[name]()
    return _assemble(name, module, set(), NO_WEIGHTS, sha256(repr(module).encode()).hexdigest())


def _random(name: str, seed: int) -> Backbone:
    facts = BACKBONES.info(name).facts
    if facts["source"] and not facts["source"].untrained:
        raise WeightsError(
            f"{name}: it was handed over with its weights; weights must be None or a file, got 'random'."
        )
    module = BACKBONES[name]()
    _declare_classes(module, facts)
    label = "random" if seed == 0 else f"random(seed={seed})"
    return _assemble(name, module, set(), label, _digest(name, module, facts))


def _declare_classes(module: nn.Module, facts: Mapping[str, Any]) -> None:
    """As many random class scores as the catalogue says, where the network's own default is another number."""
    import torch

    path = facts["classifier"]
    scores = [tap.channels for tap in facts["taps"].values() if path and tap.path == path]
    if scores and len(shape := module.get_submodule(path).get_parameter("weight").shape) and shape[0] != scores[0]:
        _fit_classifier(module, path, {f"{path}.weight": torch.empty(scores[0], *shape[1:])})


def _trained(name: str, weights: str | Path | None, facts: Mapping[str, Any]) -> Backbone:
    source: Source | None = facts["source"]
    if source is not None and weights is None and own_file(name) is None:
        module = source.load()
        total = _digest(name, module, facts)
        return _assemble(name, module, set(), f"{source.label}@{total[:8]}", total)
    file, of_caffe = caffe.marked(weights)
    found = find(name, file, default=facts["weights"], bundled=facts["bundled"])
    module, missing = _filled(name, found, facts)
    if not of_caffe:
        total = _digest(f"{name} with {found.path}", module, facts, missing)
        label = f"{name}-v1" if facts["bundled"] and weights is None else printable(label_of(found, total))
        backbone = _assemble(name, module, missing, label, total)
        return (
            backbone
            if found.published is None
            else replace(backbone, mean=found.published.mean, std=found.published.std)
        )
    caffe.take_red_first(module, f"{name} with {found.path}")
    total = _digest(f"{name} with {found.path}", module, facts, missing)
    backbone = _assemble(name, module, missing, printable(f"{caffe.PREFIX}{label_of(found, total)}"), total)
    return replace(backbone, mean=CAFFE_MEAN, std=CAFFE_STD)


def _filled(name: str, found: Found, facts: Mapping[str, Any]) -> tuple[nn.Module, set[str]]:
    """A new network with the tensors of a file, and the names of those that the file lacks."""
    module = BACKBONES[name]()
    owner = f"{name} with {found.path}"
    own_name = getattr(module, "own_name", str)
    state = matched(read(found.path), module.state_dict(), owner, part=found.part, own_name=own_name)
    adopted = getattr(module, "adopted", None)  # a network may know names and shapes that others gave its tensors
    if adopted is not None:
        state = adopted(state)
    _fit_classifier(module, facts["classifier"], state)
    missing = fill(module, state, owner)
    beside = {key for key in missing if not facts["classifier"] or not key.startswith(f"{facts['classifier']}.")}
    if facts["source"] and beside:  # what depends on what is not known of a network that somebody else defined
        raise WeightsError(f"{owner}: the file must be complete, {sorted(beside)[0]} is missing.")
    return module, missing


def _digest(owner: str, module: nn.Module, facts: Mapping[str, Any], missing: Set[str] = frozenset()) -> str:
    """What tells this network from all others; of one that is defined elsewhere its code counts too."""
    total = digest(module, missing, owner)
    if facts["source"] is None:
        return total
    from cbirlab.backbones.tracing import code_of

    return sha256(f"{total} {code_of(module)}".encode()).hexdigest()


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
        multiple=facts["multiple"],
        fixed_size=facts["input_size"] if facts["fixed_size"] else None,
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
