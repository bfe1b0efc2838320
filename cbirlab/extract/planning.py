"""Planning: what a request needs, how much of it the store has, and the shards that are left to compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.extract import moved
from cbirlab.extract.batches import part_items
from cbirlab.extract.cache_keys import Column, Part, plan_part
from cbirlab.extract.descriptors import Filled, entry_values
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.extract.loop import Shard, width
from cbirlab.extract.request import Request
from cbirlab.extract.views import views_of
from cbirlab.store import Store
from cbirlab.store.shards import Shards

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone


@dataclass(frozen=True, eq=False)
class Plan:
    """What a request needs, and how much of it the store has.

    Attributes
    ----------
    request : what the plan is for.
    parts : every part of the dataset at every scale.
    views : part to (images,), how many views each image has.
    found : column key to the values that the store has.
    missing : key of a part's shards to the columns that have to be computed; empty if all are found.
    shards : what is left to compute, in the order in which `extract` does.
    """

    request: Request
    parts: tuple[Part, ...]
    views: Mapping[str, np.ndarray]
    found: Mapping[str, Filled]
    missing: Mapping[str, tuple[Column, ...]]
    shards: tuple[Shard, ...]

    @property
    def unfinished(self) -> list[Part]:
        """Parts with missing columns; if the queries are the database images again, they are computed only once."""
        return [part for base, part in {part.base: part for part in self.parts}.items() if self.missing[base]]

    @property
    def size_bytes(self) -> int:
        """How many bytes the store will grow by."""
        return sum(
            4 * len(part.items) * width(column, self.request.backbone)
            for part in self.unfinished
            for column in self.missing[part.base]
        )


class Estimate(NamedTuple):
    """What a run will cost.

    Attributes
    ----------
    images : forward passes of single images.
    size_bytes : growth of the store.
    free_bytes : free space on the store's disk.
    """

    images: int
    size_bytes: int
    free_bytes: int


def plan(request: Request, store: Store, *, progress: bool = False) -> Plan:
    """Find out what has to be computed; looks at every image's bytes, runs no network.

    The store gives what it has, even for the images in another order. The same images and store give the same plan,
    so that each of several processes can make its own.

    Parameters
    ----------
    progress : show a bar if looking for regions takes more than a second.

    Raises
    ------
    ValueError : none of the images of a part can be read.
    """
    images = {name: part_items(request.dataset, name, request.crop) for name in request.parts}
    prints = fingerprints([item.path for rows in images.values() for item in rows], store)
    items, views = {}, {}
    for name, rows in images.items():
        items[name], views[name] = views_of(rows, prints, request.passes, store, progress=progress)
    parts = [
        plan_part(request, name, rows, prints, scale)
        for name, rows in items.items()
        if rows
        for scale in request.scales
    ]
    found: dict[str, Filled] = {}
    missing: dict[str, dict[str, Column]] = {part.base: {} for part in parts}
    for part in parts:
        asked = {column.key: column for column in part.columns if column.key not in found}
        entries = {key: store.get("descriptors", column.specification) for key, column in asked.items()}
        found |= {key: entry_values(entry) for key, entry in entries.items() if entry is not None}
        found |= moved.take_over(store, part, [column for key, column in asked.items() if key not in found])
        missing[part.base] |= {key: column for key, column in asked.items() if key not in found}
        if missing[part.base] and not part.batches.shards:
            raise ValueError(f"{part.dataset}: none of the {len(part.items)} {part.name} can be read.")
    for part in parts:  # left by a run that was killed after its last entry and before its cleanup
        Shards(store, part.base).drop(
            [column.key for column in part.columns if column.key in found], len(part.batches.shards)
        )
    lacking = {base: tuple(columns.values()) for base, columns in missing.items()}
    shards = [
        shard
        for base, part in {part.base: part for part in parts}.items()
        for shard in _shards(request, part, lacking[base], store)
    ]
    return Plan(request, tuple(parts), views, found, lacking, tuple(shards))


def _shards(request: Request, part: Part, columns: Sequence[Column], store: Store) -> Iterator[Shard]:
    """The shards of a part for which the store lacks some of the columns."""
    written = Shards(store, part.base)
    for number, batches in enumerate(part.batches.shards if columns else ()):
        lacking = tuple(column for column in columns if written.read(number, column.key) is None)
        if lacking:
            items = {row: part.items[row] for row in part.batches.rows(number)}
            prints = {item.path: part.prints[item.path] for item in items.values()}
            sizes = request.long_side, part.scale, request.resizing, request.batch_pixels
            yield Shard(part.base, number, batches, items, prints, lacking, *sizes)


def estimate(dataset: Dataset, backbone: Backbone, *, store: Store | None = None, **options: Any) -> Estimate:
    """Find out what `extract` with the same arguments still has to do; looks at every image's bytes, runs no network.

    Parameters
    ----------
    options : the other fields of `Request`.
    """
    store = store or Store()
    planned = plan(Request(dataset, backbone, **options), store)
    return Estimate(sum(len(shard.items) for shard in planned.shards), planned.size_bytes, store.free_bytes())
