"""The data of a notebook: a part of a benchmark, if all of it would take too long, and a network's maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cbirlab.backbones import load_backbone
from cbirlab.datasets import Dataset, load_dataset


def part_of(dataset: str | Dataset, *, queries: int = 24, images: int = 250, train: int | None = None) -> Dataset:
    """Some queries, all images that they label, and other images as far as there is room; both evenly spread.

    A part has fewer negatives and is easier than the whole: compare its numbers only with others on the same part.

    Parameters
    ----------
    dataset : a name, a folder or a loaded dataset with ground truth.
    queries, images, train : how many at most; labelled images stay even if they are more. None keeps all.
    """
    whole = load_dataset(dataset)
    asked = spread(range(len(whole.queries)), queries)
    labelled = {row for query in asked for rows in whole.labels[query].values() for row in rows}
    others = spread([row for row in range(len(whole.images)) if row not in labelled], images - len(labelled))
    rows = sorted(labelled | {*others})
    taught = spread(range(len(whole.train)), len(whole.train) if train is None else train)
    place = {row: number for number, row in enumerate(rows)}
    return replace(
        whole,
        name=f"{whole.name}, {len(asked)} queries",
        images=_some(whole.images, rows),
        queries=tuple(replace(one, index=place.get(one.index)) for one in _some(whole.queries, asked)),
        labels=tuple(
            {label: tuple(place[row] for row in members) for label, members in labels.items()}
            for labels in _some(whole.labels, asked)
        ),
        train=_some(whole.train, taught),
        train_instances=_some(whole.train_instances, taught),
        train_name=whole.train_name if len(taught) == len(whole.train) else f"{len(taught)} of {whole.train_name}",
        instances=_some(whole.instances, rows),
        metadata=_metadata(whole.metadata, asked, place, taught),
    )


def maps_of(backbone: str, weights: str | None = None) -> list[str]:
    """Taps of a network that are maps, shallow to deep; the last one is its default.

    Raises
    ------
    UnknownName, WeightsError : as `load_backbone` does.
    ValueError : no tap is a map.
    """
    network = load_backbone(backbone, weights)
    names = [*network.taps]
    maps = [tap for tap in names[: names.index(network.default_tap) + 1] if network.taps[tap].kind == "map"]
    if not maps:
        raise ValueError(f"maps_of: backbone must have a tap that is a map, got {backbone!r} with {', '.join(names)}.")
    return maps


def spread(members: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of `members`, evenly spread, beginning with the first."""
    step = len(members) / most if 0 < most < len(members) else 1
    return [members[int(number * step)] for number in range(max(0, min(most, len(members))))]


def _some(values: Sequence[Any], rows: Sequence[int]) -> tuple[Any, ...]:
    """The values in some rows; empty if no values are known."""
    return tuple(values[row] for row in rows) if values else ()


def _metadata(
    known: Mapping[str, Any], asked: Sequence[int], place: Mapping[int, int], taught: Sequence[int]
) -> dict[str, Any]:
    """What is known about the remaining images, queries and pairs."""
    kept = {"images": list(place), "queries": asked, "train": taught, "pairs": asked}
    found = {name: list(_some(known[name], rows)) for name, rows in kept.items() if name in known}
    if "pairs" in found:
        found["pairs"] = [
            pairs | {"index": [place[row] for row in pairs["index"]]} if pairs else {} for pairs in found["pairs"]
        ]
    return found
