"""Cache keys: what one descriptor matrix depends on, written down as the specification that names it in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import BACKBONES
from cbirlab.extract.batches import Batches, Item, make_batches
from cbirlab.extract.engines import TORCH
from cbirlab.extract.fingerprint import Fingerprint
from cbirlab.extract.request import Request, State
from cbirlab.extract.sampling import Sampler
from cbirlab.store import digest
from cbirlab.store.code import code_version

if TYPE_CHECKING:
    from cbirlab.aggregation import Aggregation
    from cbirlab.backbones import Backbone

ROOMS = (
    *("images", "backbones.taps", "backbones.tap_shapes", "handcrafted"),
    *("attention", "encoding", "aggregation"),
    *("extract.network", "extract.sampling", "extract.pooling", "extract.fused_pooling"),
)
"""The modules that turn a file into a vector; for the code of a network, what `network_facts` says counts instead."""

ENGINE_ROOMS = ("extract.graph", "extract.compiled")
"""The modules that turn pixels into maps where torch does not."""


@dataclass(frozen=True)
class Column:
    """One tap pooled one way, with what the aggregation has learned: one descriptor matrix."""

    tap: str
    aggregation: Aggregation | Sampler
    specification: Mapping[str, Any]
    state: Any = None

    @cached_property
    def key(self) -> str:
        """Key of the entry."""
        return digest(self.specification)


@dataclass(frozen=True)
class Part:
    """One part of a dataset at one scale.

    Attributes
    ----------
    name : "images", "queries" or "train".
    dataset : its name, for listings only.
    items : its rows.
    prints : fingerprints of their files.
    scale : relative to the request's image size.
    batches : their batches, and the shards that these make.
    specification : what all its columns depend on.
    columns : the descriptor matrices to fill.
    """

    name: str
    dataset: str
    items: tuple[Item, ...]
    prints: Mapping[Path, Fingerprint]
    scale: float
    batches: Batches
    specification: Mapping[str, Any]
    columns: tuple[Column, ...]

    @cached_property
    def base(self) -> str:
        """Key of the shards of this part; unlike an entry's key, it depends on how the rows are divided into shards."""
        dealt = [self.batches.rows(shard) for shard in range(len(self.batches.shards))]
        return digest({**self.specification, "shards": dealt})


def plan_part(
    request: Request, name: str, items: Sequence[Item], prints: Mapping[Path, Fingerprint], scale: float
) -> Part:
    """Divide the rows of a part into shards, and write down what its descriptors depend on."""
    backbone, size = request.backbone, request.long_side
    options = {"batch_pixels": request.batch_pixels, "min_side": backbone.min_side, "resize": request.resizing.resize}
    batches = make_batches(items, prints, image_size=size, scale=scale, **options)
    specification = {
        "images": _items_digest(items, prints),
        **network_facts(backbone),
        "image_size": size,
        "scale": float(scale),
        "precision": request.precision,
        **_engine_facts(request.engine),
        **request.resizing.changed,
    }
    states = request.states or {}
    columns = [
        _column(specification, tap, spec, states.get((tap, spec.key)), queries=name == "queries")
        for tap, spec in request.cells
    ]
    return Part(name, request.dataset.name, tuple(items), prints, scale, batches, specification, tuple(columns))


def _column(
    shared: Mapping[str, Any], tap: str, aggregation: Aggregation | Sampler, state: State | None, *, queries: bool
) -> Column:
    """The column of `tap` pooled by `aggregation`."""
    own = {"tap": tap, "aggregation": aggregation.key, "aggregation_code": code_version(aggregation.target())}
    if state is None:
        return Column(tap, aggregation, {**shared, **own})
    otherwise = queries and state.of_queries is not None
    learned = {"learned": f"{state.digest} for queries" if otherwise else state.digest}
    return Column(tap, aggregation, {**shared, **own, **learned}, state.of_queries if otherwise else state.value)


def _engine_facts(engine: str) -> dict[str, Any]:
    """What descriptors depend on by the engine; empty for torch, as in stores from before there were others."""
    return {} if engine == TORCH else {"engine": engine, "engine_code": code_version(*ENGINE_ROOMS)}


def row_facts(items: Sequence[Item], prints: Mapping[Path, Fingerprint]) -> list[list[Any]]:
    """What each row depends on beyond what all rows share: the bytes of its file, and which part of it is seen."""
    return [[prints[item.path].sha256, item.box and list(item.box), item.magnify, *_frame(item)] for item in items]


def _items_digest(items: Sequence[Item], prints: Mapping[Path, Fingerprint]) -> str:
    return sha256(json.dumps(row_facts(items, prints)).encode()).hexdigest()


def _frame(item: Item) -> list[list[float]]:
    """The frame of an item; empty without one, as in stores that were filled before frames existed."""
    return [list(item.frame)] if item.frame else []


def network_facts(backbone: Backbone) -> dict[str, Any]:
    """What tells a network from all others: its weights and architecture, how it is fed, and the code of its parts."""
    written_in = {type(part).__module__ for part in backbone.module.modules()}
    own = sorted(name.removeprefix("cbirlab.") for name in written_in if name.startswith("cbirlab."))
    return {
        "backbone": backbone.name,
        "architecture": sha256(repr(backbone.module).encode()).hexdigest(),
        "weights": backbone.digest,
        "mean": [float(value) for value in backbone.mean],
        "std": [float(value) for value in backbone.std],
        "multiple": backbone.multiple,
        "fixed_size": backbone.fixed_size,
        "code": code_version(*ROOMS, *own),
        **({"taps": paths_of(backbone)} if _handed_over(backbone) else {}),
    }


def paths_of(backbone: Backbone) -> dict[str, list[Any]]:
    """Where each tap is read, and how."""
    return {name: [tap.path, tap.kind, tap.layout, tap.before] for name, tap in backbone.taps.items()}


def _handed_over(backbone: Backbone) -> bool:
    """Whether the network is somebody's own, of which a name may soon stand for another tap."""
    source = BACKBONES.info(backbone.name).facts["source"] if backbone.name in BACKBONES else None
    return source is not None and not source.untrained
