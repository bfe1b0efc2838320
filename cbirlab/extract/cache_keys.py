"""Cache keys: what one descriptor matrix depends on, written down as the specification that names it in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.extract.batches import Batches, Item, make_batches
from cbirlab.extract.fingerprint import Fingerprint
from cbirlab.extract.sampling import Sampler
from cbirlab.images import USUAL
from cbirlab.preprocessing import Resizing
from cbirlab.store import digest
from cbirlab.store.code import code_version

if TYPE_CHECKING:
    from cbirlab.aggregation import Aggregation
    from cbirlab.backbones import Backbone

ROOMS = (
    *("decoding", "images", "preprocessing"),
    *("taps", "backbones.tap_shapes", "handcrafted"),
    *("attention", "encoding", "aggregation"),
    *("extract.network", "extract.sampling", "extract.pooling", "extract.fused_pooling"),
)
"""What turns a file into a vector; of networks, what is told of each in `_network` counts instead."""


@dataclass(frozen=True, eq=False)
class State:
    """What an aggregation has learned at one tap: what its `apply` takes, and the hash of what that depends on.

    Attributes
    ----------
    value : for database and train images.
    digest : of the training data, the method and its code.
    of_queries : for queries, where they are described in another way than the database.
    """

    value: Any
    digest: str
    of_queries: Any = None


@dataclass(frozen=True)
class Part:
    """One part of a dataset at one scale, planned.

    Attributes
    ----------
    name : "images", "queries" or "train".
    dataset : name, for listings only.
    items : its rows.
    prints : what their files are.
    scale : of `image_size`.
    batches : and the shards that they make.
    specification : what all its columns depend on.
    batch_pixels : pixels that go through the network together.
    resizing : how its pictures come to their size.
    """

    name: str
    dataset: str
    items: tuple[Item, ...]
    prints: Mapping[Path, Fingerprint]
    scale: float
    batches: Batches
    specification: Mapping[str, Any]
    batch_pixels: int
    resizing: Resizing = USUAL

    @cached_property
    def base(self) -> str:
        """Key of the shards of this part; unlike an entry's it depends on how the rows are dealt out to shards."""
        dealt = [self.batches.rows(shard) for shard in range(len(self.batches.shards))]
        return digest({**self.specification, "shards": dealt})


@dataclass(frozen=True)
class Column:
    """One tap pooled one way, with what that has learned: one descriptor matrix."""

    tap: str
    aggregation: Aggregation | Sampler
    specification: Mapping[str, Any]
    state: Any = None

    @cached_property
    def key(self) -> str:
        """Key of the entry."""
        return digest(self.specification)

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.tap} {self.aggregation.key}"


def plan_part(
    name: str,
    dataset: str,
    items: Sequence[Item],
    prints: Mapping[Path, Fingerprint],
    backbone: Backbone,
    *,
    image_size: int,
    scale: float,
    precision: str,
    batch_pixels: int,
    resizing: Resizing,
) -> Part:
    """Plan a part and write down what its descriptors depend on."""
    options = {"batch_pixels": batch_pixels, "min_side": backbone.min_side, "resize": resizing.resize}
    batches = make_batches(items, prints, image_size=image_size, scale=scale, **options)
    specification = {
        "images": _items_digest(items, prints),
        "backbone": backbone.name,
        "architecture": sha256(repr(backbone.module).encode()).hexdigest(),
        "weights": backbone.digest,
        **_network(backbone),
        "image_size": int(image_size),
        "scale": float(scale),
        "precision": precision,
        **resizing.changed,
    }
    return Part(name, dataset, tuple(items), prints, scale, batches, specification, batch_pixels, resizing)


def column(part: Part, tap: str, aggregation: Aggregation | Sampler, state: State | None = None) -> Column:
    """The column of `tap` pooled by `aggregation`."""
    own = {"tap": tap, "aggregation": aggregation.key, "aggregation_code": code_version(aggregation.target())}
    if state is None:
        return Column(tap, aggregation, {**part.specification, **own})
    asked = part.name == "queries" and state.of_queries is not None
    learned = {"learned": f"{state.digest} for queries" if asked else state.digest}
    value = state.of_queries if asked else state.value
    return Column(tap, aggregation, {**part.specification, **own, **learned}, value)


def row_facts(items: Sequence[Item], prints: Mapping[Path, Fingerprint]) -> list[list[Any]]:
    """What each row depends on besides what all of them do: the bytes of its file, and what is seen of it."""
    return [[prints[item.path].sha256, item.box and list(item.box), item.magnify, *_frame(item)] for item in items]


def _items_digest(items: Sequence[Item], prints: Mapping[Path, Fingerprint]) -> str:
    return sha256(json.dumps(row_facts(items, prints)).encode()).hexdigest()


def _frame(item: Item) -> list[list[float]]:
    """Nothing where there is no frame, as in stores that were filled before there were any."""
    return [list(item.frame)] if item.frame else []


def _network(backbone: Backbone) -> dict[str, Any]:
    """What of a network its weights and its architecture do not tell: how it is fed, and the code of its own parts."""
    written_in = {type(part).__module__ for part in backbone.module.modules()}
    own = sorted(name.removeprefix("cbirlab.") for name in written_in if name.startswith("cbirlab."))
    return {
        "mean": [float(value) for value in backbone.mean],
        "std": [float(value) for value in backbone.std],
        "multiple": backbone.multiple,
        "fixed_size": backbone.fixed_size,
        "code": code_version(*ROOMS, *own),
    }
