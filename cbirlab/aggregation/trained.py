"""Trained poolings by name: "trained:mine" is a pooling that `cbirlab.adaptation` has learned and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.aggregation.base import AGGREGATIONS, check_maps
from cbirlab.aggregation.learnable import LearnablePooling
from cbirlab.aggregation.look import Looked
from cbirlab.backbones.trained import POOLED, TRAINED, file_of, record_of, resolve
from cbirlab.base.registry import UnknownName

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation.layers import PoolingLayer
    from cbirlab.aggregation.look import Box


def trained_pooling(name: str) -> PoolingLayer:
    """The layer of trained weights, by label or alias.

    Raises
    ------
    ValueError : its file is gone, or is no pooling.
    """
    path = file_of(POOLED, name)
    if path is None:
        raise ValueError(f"aggregation {TRAINED + name!r}: its file is gone; train it again.")
    return _read(path)


def region_weights(name: str, maps: Tensor) -> tuple[list[Box], Tensor]:
    """The rectangles of R-MAC's grid and what each of them counts in a trained pooling.

    Parameters
    ----------
    name : of a trained `region_weights`, by label or alias.
    maps : (B, C, H, W); of one image, B is 1.

    Returns
    -------
    R boxes (top, left, bottom, right), in cells of the map, and their weights (B, R).

    Raises
    ------
    ValueError : no such file, another pooling, or maps of another width.
    """
    import torch

    from cbirlab.aggregation.layers import RegionWeights

    layer, title = trained_pooling(name), TRAINED + name
    if not isinstance(layer, RegionWeights):
        raise ValueError(f"region_weights: {title!r} must be a trained 'region_weights', got {layer.untrained!r}.")
    maps = _checked(title, layer, maps)
    with torch.no_grad():
        return layer.to(maps.device).weights(maps)


def find(name: str) -> None:
    """Register the pooling of that name, "trained:trained-0123".

    Raises
    ------
    UnknownName : there is none.
    """
    label = resolve(POOLED, name.removeprefix(TRAINED))
    path = file_of(POOLED, label)
    if path is None:
        raise UnknownName(f"aggregation: there is no trained pooling {label!r}; see `cbirlab list trainings`.")
    layer, training = _read(path), _training(path)
    method = LearnablePooling.parse(training["pooling"])
    channels, width = int(layer.channels), layer.width
    of = f"{training['backbone']} {training['tap']}"
    facts: dict[str, Any] = {"positive": method.fact("positive"), "trained": True, "channels": channels, "of": of}
    if method.name == "region_weights":
        facts["look"] = _look(label)
    target = _pool(name, label)
    AGGREGATIONS.add(name, target, title=f"Trained {method}, of {of}", width=lambda _: width, **facts)


def _pool(name: str, label: str) -> Any:
    """The function from maps to vectors."""

    def pool(maps: Tensor, *, state: Mapping[str, Tensor] | None = None) -> Tensor:
        import torch

        layer = trained_pooling(label)
        maps = _checked(name, layer, maps)
        with torch.no_grad():
            return layer.to(maps.device)(maps)

    return pool


def _look(label: str) -> Any:
    """The function that gives the regions, and the sum of the weights of those in which a position lies."""

    def look(maps: Tensor, **_: Any) -> Looked:
        boxes, weights = region_weights(label, maps)
        spatial = maps.new_zeros(len(maps), *maps.shape[2:])
        for (top, left, bottom, right), one in zip(boxes, weights.T, strict=True):
            spatial[:, top:bottom, left:right] += one[:, None, None]
        return Looked(regions=(tuple(boxes),) * len(maps), spatial=spatial)

    return look


def _checked(name: str, layer: PoolingLayer, maps: Tensor) -> Tensor:
    """Maps in float32 of the width that a pooling was trained on."""
    maps = check_maps(name, maps).float()
    if maps.shape[1] != int(layer.channels):
        raise ValueError(
            f"aggregation {name!r}: it was trained on maps of {int(layer.channels)} channels, got {maps.shape[1]}; "
            "name the network and the tap that it was trained on."
        )
    return maps


def _training(path: Path) -> Mapping[str, Any]:
    return json.loads(record_of(path).get("training", "{}"))


@lru_cache(maxsize=8)
def _read(path: Path) -> PoolingLayer:
    """The layer in a file, ready to be applied."""
    from safetensors.torch import load_file

    try:
        tensors, training = load_file(path), _training(path)
        layer = LearnablePooling.parse(training["pooling"]).make(int(tensors["channels"]))
        layer.load_state_dict(tensors)
    except Exception as error:  # damaged bytes raise nearly anything
        raise ValueError(f"{path}: must be a pooling that was trained here, and cannot be read: {error}") from error
    return layer.requires_grad_(False).eval()
