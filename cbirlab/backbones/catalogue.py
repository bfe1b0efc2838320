"""Catalogue: the facts about each network, known without loading torch.

A network is registered with its taps in the order in which it computes them. A tap is the output of a submodule. Most
sit after a ReLU, because GeM and CroW need values >= 0; `Tap.signed` marks those that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123 / 255, 117 / 255, 104 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)
NO_WEIGHTS = "none"
RANDOM = "random"
LAYOUTS = ("BCHW", "BHWC", "BNC")


@dataclass(frozen=True)
class Tap:
    """A place in a network where its maps are read.

    Attributes
    ----------
    path : dotted path of the submodule whose output is read.
    channels : C of its maps; for class scores, the number of classes of the default weights.
    stride : pixels of the image per step on the map; 0 if there is no map.
    kind : "map"; "vector" if no positions are left (a fully connected layer, a class token), read as a map of one
        position; "local" for a set of local descriptors (B, C, 1, T), short sets filled up with zeros.
    signed : values below 0 occur, which poolings made for maps after a ReLU (GeM, CroW) would cut off.
    layout : order of the axes of that output: "BCHW"; "BHWC", as Swin has it; or "BNC", tokens of a transformer: a
        "map" consists of those of the patches, row by row, a "vector" is the first (the class token).
    before : how many tokens stand before those of the patches: the class token and registers.
    """

    path: str
    channels: int
    stride: int
    kind: str = "map"
    signed: bool = False
    layout: str = "BCHW"
    before: int = 0


@dataclass(frozen=True)
class Source:
    """Where a network outside torchvision's list gets its weights, if its makers deliver it with them.

    Attributes
    ----------
    load : returns a new network with these weights; raises WeightsError if they cannot be obtained.
    label : name of the weights in tables, which add the first digits of their digest.
    here : whether they are on this machine.
    takes : what it takes to get them if they are not.
    untrained : whether the network can be built without them, for random weights.
    """

    load: Callable[[], nn.Module]
    label: str
    here: Callable[[], bool]
    takes: str = ""
    untrained: bool = True


BACKBONES: Registry[Callable[..., nn.Module]] = Registry("backbone")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the catalogue knows about a network.

    Attributes
    ----------
    taps : in the order in which the network computes them.
    default_tap : the last map if not given, or the last tap of a network without maps.
    mean, std : of RGB in 0..1, with which the network was trained.
    weights : label of torchvision's weights that ``weights=None`` stands for; `NO_WEIGHTS` for a network without any.
    bundled : path of the bundled weights below the data folder, or in a package that is installed with this one: its
        name, a colon, and the path in it.
    parameters : number of parameters, with the classifier.
    min_side : shortest image side in pixels at which every tap works.
    classifier : path of the last layer, which may have any number of classes.
    classifier_tap : the tap on whose mean that layer sits, which makes class activation maps possible; "" for none.
    input_size : (height, width) in pixels at which the network was trained, if a part of it depends on that.
    other_sizes : what the network does with an image of another size.
    multiple : the sides of an image are cut to a multiple of this, from the top left, if the network takes no others.
    fixed_size : the network takes images of `input_size` alone; others are squeezed to it.
    source : where the weights come from, for a network that is delivered with them.
    requires : package that builds it; the extra of this package that installs it has the same name.
    """

    taps: Mapping[str, Tap]
    default_tap: str | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    weights: str = ""
    bundled: str = ""
    licence: str = ""
    parameters: int | None = None
    min_side: int = 1
    classifier: str = ""
    classifier_tap: str = ""
    input_size: tuple[int, int] | None = None
    other_sizes: str = ""
    multiple: int = 1
    fixed_size: bool = False
    source: Source | None = None
    requires: str = ""


def add_backbone(
    name: str, builder: Callable[..., nn.Module] | str, *, title: str, reference: str = "", **facts: Any
) -> None:
    """Register a network.

    Parameters
    ----------
    builder : called without arguments, returns the network; or ``"module:attribute"``. The network's parts must be
        defined in the order in which they run.
    facts : the fields of `Facts`; `taps` must be given.
    """
    known = Facts(**facts)
    taps, default = known.taps, known.default_tap or default_of(known.taps)
    if default not in taps:
        raise ValueError(f"{name}: default_tap must be one of {', '.join(taps)}, got {default!r}.")
    if known.classifier_tap and known.classifier_tap not in taps:
        raise ValueError(f"{name}: classifier_tap must be one of {', '.join(taps)}, got {known.classifier_tap!r}.")
    if known.fixed_size and known.input_size is None:
        raise ValueError(f"{name}: fixed_size needs input_size (height, width), got None.")
    checked = {"taps": dict(taps), "default_tap": default}
    checked |= {argument: colours(name, argument, getattr(known, argument)) for argument in ("mean", "std")}
    BACKBONES.add(name, builder, title=title, reference=reference, **(vars(known) | checked))


def default_of(taps: Mapping[str, Tap]) -> str:
    """The last map, or the last tap of a network without maps."""
    maps = [tap for tap, entry in taps.items() if entry.kind == "map"]
    return (maps or list(taps))[-1]


def colours(owner: str, argument: str, values: Sequence[float]) -> tuple[float, ...]:
    """Three means, or three deviations, of red, green and blue in 0..1.

    Raises
    ------
    ValueError : not three numbers, or numbers outside that range.
    """
    deviations = argument == "std"
    told = "three numbers in (0, 1]" if deviations else "three numbers in [0, 1]"
    got = f"{owner}: {argument} must be {told}, of red, green and blue in 0..1, got {values!r}"
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{got}.") from error
    if len(numbers) != 3:
        raise ValueError(f"{got}; if the network takes grey images, give it a first layer that takes three channels.")
    if not all((0 < one if deviations else 0 <= one) and one <= 1 for one in numbers):
        bytes_of = all(0 < one <= 255 for one in numbers) and max(numbers) > 1
        raise ValueError(f"{got}{'; divide values in 0..255 by 255' if bytes_of else ''}.")
    return numbers


def taps_of(name: str) -> dict[str, Tap]:
    """The taps of the registered network `name`, in the order in which it computes them; loads nothing."""
    return dict(BACKBONES.info(name).facts["taps"])


def lacking(name: str) -> str:
    """How to install the extra that a network needs; "" if nothing is lacking."""
    extra = BACKBONES.info(name).facts["requires"]
    return f"pip install 'cbirlab[{extra}]'" if extra and find_spec(extra) is None else ""
