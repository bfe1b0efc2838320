"""Modules: turns any torch network into a backbone, and finds its taps by running it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.catalogue import (
    BACKBONES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Source,
    Tap,
    add_backbone,
    colours,
    default_of,
)
from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from cbirlab.backbones.tracing import Traced

EARLY = 0.1
"""A default tap that depends on less than this share of the network gives a warning."""

Taps = Mapping[str, str | Tap] | Sequence[str]


def add_module(
    name: str,
    module: nn.Module,
    *,
    taps: Taps | None = None,
    title: str = "",
    reference: str = "",
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    image_size: int | tuple[int, int] | None = None,
    default_tap: str | None = None,
    classifier: str = "",
    replace: bool = False,
) -> Traced:
    """Register a network that you already have, with its weights; recipes and panels then know it by `name`.

    >>> from torch import nn
    >>> from cbirlab.backbones import BACKBONES, add_module
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
    >>> print(add_module("mine", net))
    0      8 channels  stride 2    signed
    1      8 channels  stride 2            1
    >>> BACKBONES.remove("mine")

    Parameters
    ----------
    module : takes normalised images (B, 3, H, W). It is copied; later changes to it have no effect.
    taps : names and paths of its parts (or paths alone, or whole `Tap`s); None for those that `trace` chooses.
    mean, std : of RGB in 0..1, with which it was trained.
    image_size : (height, width), or the side of a square, that it is known to take; None for 224 or, if it does not
        take that, another usual side.
    classifier : path of its last layer, for class scores.
    replace : whether it replaces a network of that name.

    Returns
    -------
    The results of running it; printed, they list every place that can be tapped.

    Raises
    ------
    ValueError : the name is taken; the module does not take such images, is not a network in float32 or is a
        TorchScript program; a path names no part that can be tapped; mean or std do not fit colours in 0..1.
    """
    from cbirlab.backbones.tracing import trace

    if name in BACKBONES and not replace:
        raise ValueError(f"add_module: backbone {name!r} is registered already; choose another name, or replace=True.")
    mean, std = colours(name, "mean", mean), colours(name, "std", std)
    _check_module(name, module)
    own = copy.deepcopy(module)
    traced = trace(own, image_size, scores=[classifier] if classifier else [])
    facts = {"title": title or name, "reference": reference or type(module).__name__, "mean": mean, "std": std}
    source = Source(lambda: copy.deepcopy(own), name, here=lambda: True, untrained=False)
    if name in BACKBONES:
        BACKBONES.remove(name)
    add_traced(
        name,
        lambda: copy.deepcopy(own),
        traced,
        taps=taps,
        default_tap=default_tap,
        parameters=sum(part.numel() for part in own.parameters()),
        classifier=classifier,
        source=source,
        **facts,
    )
    return traced


def add_traced(
    name: str,
    builder: Callable[[], nn.Module],
    traced: Traced,
    *,
    source: Source,
    taps: Taps | None = None,
    **facts: Any,
) -> None:
    """Register a network with the results of running it; `facts` as for `add_backbone`."""
    wanted = dict(traced.taps) if taps is None else _wanted(name, traced, taps)
    if taps is None and facts.get("default_tap") is None:
        told = _early(name, traced, wanted[default_of(wanted)])
        if told:
            warnings.warn(told, stacklevel=3)
    add_backbone(
        name,
        builder,
        taps=wanted,
        min_side=traced.min_side,
        multiple=traced.multiple,
        fixed_size=traced.fixed_size,
        input_size=traced.image_size if traced.fixed_size or traced.multiple > 1 else None,
        other_sizes=_other_sizes(traced),
        source=source,
        **facts,
    )


def _check_module(name: str, module: object) -> None:
    import torch

    owner = f"add_module: {name!r}"
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"{owner} must be a torch.nn.Module, got {type(module).__name__}.")
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(
            f"{owner} must be a torch.nn.Module whose parts can be read, got a TorchScript program; build the "
            "network in Python and load the program's state_dict() into it."
        )
    for key, value in module.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ValueError(f"{owner} must be in float32, {key} is {value.dtype}; call .float() on it first.")
        if value.is_meta:
            raise ValueError(f"{owner} must have values, but {key} is on the device 'meta'; load its weights first.")


def _early(name: str, traced: Traced, default: Tap) -> str:
    """The warning about a default tap that nobody chose; "" for a good one."""
    advice = "print(cbirlab.backbones.taps_of(...)) lists its taps, add_module(taps=, default_tap=) chooses others"
    if default.kind != "map":
        return f"{name}: no part of it gives maps, its default tap is {default.path}, a vector; {advice}."
    if traced.shares[default.path] < EARLY:
        return f"{name}: its default tap {default.path} lies in the first tenth of the network; {advice}."
    return ""


def _wanted(name: str, traced: Traced, taps: Taps) -> dict[str, Tap]:
    """The taps that were asked for, in the order in which the network computes them."""
    places: Registry[Tap] = Registry(f"place of {name}")
    for path, tap in traced.places.items():
        places.add(path, tap, title=path)
    asked = dict(taps) if isinstance(taps, Mapping) else {path: path for path in taps}
    found = {tap: place if isinstance(place, Tap) else places[place] for tap, place in asked.items()}
    if not found:
        raise ValueError(f"{name}: taps must name at least one of {', '.join(places)}, got none.")
    order = {path: row for row, path in enumerate(traced.places)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[1].path, len(order))))


def _other_sizes(traced: Traced) -> str:
    height, width = traced.image_size
    if traced.fixed_size:
        return f"squeezed to {height} x {width} pixels, whatever their shape"
    return f"cut to whole multiples of {traced.multiple} pixels from the top left" if traced.multiple > 1 else ""
