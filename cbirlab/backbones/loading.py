"""Loading in three steps: locate the weights, build the network, fill it; then make the `Backbone` that records all."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import caffe
from cbirlab.backbones.backbone import PRECISION, Backbone
from cbirlab.backbones.catalogue import BACKBONES, CAFFE_MEAN, CAFFE_STD, NO_WEIGHTS, RANDOM, Source, lacking
from cbirlab.backbones.names import split_backbone
from cbirlab.backbones.weights import Found, WeightsError, digest, fill, find, match_tensors, needed, own_file, read
from cbirlab.base.text import printable

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
    WeightsError : the weights cannot be obtained, or fit none of the taps; weights for hand-crafted descriptors; an
        extra that the network needs is not installed.
    ValueError : weights in the name and different ones in `weights`; an unknown precision, or one that hand-crafted
        descriptors do not have.
    """
    import torch

    name, weights = split_backbone(name, weights)
    facts = BACKBONES.info(name).facts
    PRECISION.check(name, "precision", precision)
    if extra := lacking(name):
        raise WeightsError(f"{name}: it needs {facts['requires']}: {extra}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        origin = _locate(name, weights, seed)
        module = _build(origin)
        missing = _fill(module, origin)
    total = _digest(module, missing, origin)
    module.eval().requires_grad_(False).to(device)
    asked = {"name": name, "weights": weights, "seed": seed}
    loaded = replace(_record(module, missing, origin, total, torch.device(device)), asked=asked)
    return loaded.with_numerics(precision=precision, channels_last=channels_last)


@dataclass(frozen=True)
class _Origin:
    """Where the numbers of a network come from.

    Attributes
    ----------
    name, facts : of the network.
    label : name of these weights in tables, if `hashed` with the first digits of their digest.
    file : the file that holds them; None for random or no numbers, and if a `source` delivers the network with them.
    caffe : they were trained on colours in Caffe's form.
    """

    name: str
    facts: Mapping[str, Any]
    label: str
    hashed: bool = False
    file: Found | None = None
    source: Source | None = None
    caffe: bool = False

    @property
    def owner(self) -> str:
        """The name that errors begin with."""
        return f"{self.name} with {self.file.path}" if self.file else self.name


def _locate(name: str, weights: str | Path | None, seed: int) -> _Origin:
    """The file or the source that has the weights; downloads a published file that is nowhere on this machine."""
    facts = BACKBONES.info(name).facts
    source: Source | None = facts["source"]
    if facts["weights"] == NO_WEIGHTS:
        if weights not in (None, NO_WEIGHTS):
            raise WeightsError(f"{name}: it has no weights; weights must be None, got {str(weights)!r}.")
        return _Origin(name, facts, NO_WEIGHTS)
    if weights == RANDOM:
        if source is not None and not source.untrained:
            raise WeightsError(f"{name}: it was added with its weights; weights must be None or a file, got 'random'.")
        return _Origin(name, facts, "random" if seed == 0 else f"random(seed={seed})")
    if source is not None and weights is None and own_file(name) is None:
        return _Origin(name, facts, source.label, hashed=True, source=source)
    path, of_caffe = caffe.marked(weights)
    found = find(name, path, default=facts["weights"], bundled=facts["bundled"])
    if facts["bundled"] and weights is None:
        return _Origin(name, facts, f"{name}-v1", file=found)
    label = printable(f"{caffe.PREFIX if of_caffe else ''}{found.label or found.path.name}")
    return _Origin(name, facts, label, hashed=found.published is None, file=found, caffe=of_caffe)


def _build(origin: _Origin) -> nn.Module:
    """The network, with random numbers or with those that its source delivers."""
    return BACKBONES[origin.name]() if origin.source is None else origin.source.load()


def _fill(module: nn.Module, origin: _Origin) -> set[str]:
    """Fill the network with the numbers of a file; return the names of the tensors that the file lacks."""
    classifier = origin.facts["classifier"]
    if origin.file is None:
        if origin.source is None:
            _declare_classes(module, origin.facts)
        return set()
    own_name = getattr(module, "own_name", str)
    tensors = read(origin.file.path)
    state = match_tensors(tensors, module.state_dict(), origin.owner, part=origin.file.part, own_name=own_name)
    adopted = getattr(module, "adopted", None)  # a network may know other names and shapes that files give its tensors
    if adopted is not None:
        state = adopted(state)
    _fit_classifier(module, classifier, state)
    missing = fill(module, state, origin.owner)
    beside = {key for key in missing if not classifier or not key.startswith(f"{classifier}.")}
    if origin.facts["source"] and beside:  # in somebody else's network, any output may depend on them
        raise WeightsError(f"{origin.owner}: the file must be complete, {sorted(beside)[0]} is missing.")
    if origin.caffe:
        caffe.take_red_first(module, origin.owner)
    return missing


def _digest(module: nn.Module, missing: Set[str], origin: _Origin) -> str:
    """A digest that tells this network from all others.

    For a network defined elsewhere its code counts too; for one without weights there is only its text, which names the
    libraries that it uses.
    """
    if origin.label == NO_WEIGHTS:
        return sha256(repr(module).encode()).hexdigest()
    total = digest(module, missing, origin.owner)
    if origin.facts["source"] is None:
        return total
    from cbirlab.backbones.tracing import code_of

    return sha256(f"{total} {code_of(module)}".encode()).hexdigest()


def _record(module: nn.Module, missing: Set[str], origin: _Origin, total: str, device: Device) -> Backbone:
    """The backbone, with the taps that the weights cover."""
    name, facts = origin.name, origin.facts
    label = f"{origin.label}@{total[:8]}" if origin.hashed else origin.label
    depends = {tap: needed(module, entry.path) for tap, entry in facts["taps"].items()}
    covered = {tap: entry for tap, entry in facts["taps"].items() if not depends[tap] & missing}
    if not covered:
        lost = sorted(depends[next(iter(depends))] & missing)[0]
        raise WeightsError(f"{name}: weights {label} cover none of its taps; {lost} is missing or has another shape.")
    classifier = _covered_classifier(module, facts["classifier"], missing)
    if classifier:  # class scores have as many channels as these weights have classes
        classes = len(module.get_submodule(classifier).get_parameter("weight"))
        scores = [tap for tap in covered if f"{classifier}.weight" in depends[tap]]
        covered |= {tap: replace(covered[tap], channels=classes) for tap in scores}
    maps = [tap for tap, entry in covered.items() if entry.kind == "map"]
    published = origin.file.published if origin.file else None
    mean, std = (published.mean, published.std) if published else (facts["mean"], facts["std"])
    return Backbone(
        name=name,
        module=module,
        taps=covered,
        missing_taps=tuple(tap for tap in facts["taps"] if tap not in covered),
        weights=label,
        digest=total,
        mean=CAFFE_MEAN if origin.caffe else mean,
        std=CAFFE_STD if origin.caffe else std,
        default_tap=facts["default_tap"] if facts["default_tap"] in covered else (maps or list(covered))[-1],
        min_side=facts["min_side"],
        device=device,
        classifier=classifier,
        multiple=facts["multiple"],
        fixed_size=facts["input_size"] if facts["fixed_size"] else None,
    )


def _declare_classes(module: nn.Module, facts: Mapping[str, Any]) -> None:
    """Give the network as many random class scores as the catalogue says, if its own default is another number."""
    import torch

    path = facts["classifier"]
    scores = [tap.channels for tap in facts["taps"].values() if path and tap.path == path]
    if scores and len(shape := module.get_submodule(path).get_parameter("weight").shape) and shape[0] != scores[0]:
        _fit_classifier(module, path, {f"{path}.weight": torch.empty(scores[0], *shape[1:])})


def _covered_classifier(module: nn.Module, path: str, missing: Set[str]) -> str:
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
