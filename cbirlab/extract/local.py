"""Local: the three steps of an extraction, one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

from cbirlab.base.progress import bar
from cbirlab.datasets.base import Dataset
from cbirlab.extract.assembling import ShardsMissing, assemble, warn_of_memory
from cbirlab.extract.descriptors import Descriptors
from cbirlab.extract.loop import Computed, compute_each
from cbirlab.extract.machine import keep_memory, spare_cores
from cbirlab.extract.network import Network
from cbirlab.extract.planning import Plan, plan
from cbirlab.extract.request import Request
from cbirlab.store import Store, StoreUnwritable

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

MEMORY_BYTES = 2 << 30
_ATTEMPTS = 3


Computing = Callable[[Plan, Store, bool], Iterable[Computed]]
"""Computes the shards of a plan and saves them in the store, with a bar or without."""


def extract(
    dataset: Dataset,
    backbone: Backbone,
    *,
    store: Store | None = None,
    progress: bool = True,
    computing: Computing | None = None,
    **options: Any,
) -> Descriptors:
    """Describe a dataset at all taps with all aggregations; what the store has is not computed again.

    Parameters
    ----------
    store : the usual one by default.
    progress : show a bar when it takes more than a second.
    computing : where shards are computed, as `Cluster.compute`; in this process by default.
    options : the other fields of `Request`; `taps` and `aggregations` must be given.

    Raises
    ------
    UnknownName, WeightsError : the backbone has no such tap.
    ValueError : none of the images of a part can be read; and as `Request` raises it.
    StoreUnwritable : the store cannot be written to and the results do not fit into memory.
    """
    request, store = Request(dataset, backbone, **options), store or Store()
    computed: list[Computed] = []
    for _ in range(_ATTEMPTS):
        planned = plan(request, store, progress=progress)
        if planned.shards:
            _check_space(planned.size_bytes, store)
            computed += (computing or compute_here)(planned, store, progress)
        with suppress(ShardsMissing):  # another run has removed the shards
            return assemble(planned, store, computed)
    raise StoreUnwritable(f"Store {store.path}: shards vanish as they are written; is another run pruning it?")


def compute_here(planned: Plan, store: Store, progress: bool) -> Iterator[Computed]:
    """Compute all shards of a plan with a bar, as many threads as there are spare cores, and memory that is kept."""
    request, size_bytes, kept_bytes = planned.request, planned.size_bytes, 0
    total = sum(len(part.items) for part in planned.unfinished)
    label = f"{request.backbone.name} on {request.dataset.name}, {size_bytes / 1e6:.0f} MB"
    with bar(total=total, desc=label, unit="image", show=progress) as shown, keep_memory(), spare_cores() as look:
        network = Network(request.backbone, precision=request.precision, engine=request.engine, store=store)

        def advance(images: int) -> None:
            shown.update(images)
            look()

        advance(total - sum(len(shard.items) for shard in planned.shards))
        for _, shards in groupby(planned.shards, key=lambda shard: shard.base):
            for one in compute_each([*shards], network, store, advance):
                if one.unwritten and not kept_bytes:
                    warn_of_memory(one.error)
                kept_bytes += sum(values.nbytes for values in one.unwritten.values())
                if kept_bytes > MEMORY_BYTES:
                    raise StoreUnwritable(
                        f"Store {store.path}: cannot be written to, and more than {MEMORY_BYTES >> 30} GiB of results "
                        "wait in memory; free some space or set CBIRLAB_STORE to another folder and run again."
                    )
                yield one


def _check_space(size_bytes: int, store: Store) -> None:
    """Refuse a run that fits neither on the disk nor into memory before it begins."""
    free = store.free_bytes()
    if size_bytes > max(free, MEMORY_BYTES):
        raise StoreUnwritable(
            f"Store {store.path}: {size_bytes / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
            "choose fewer taps or aggregations, or set CBIRLAB_STORE to a larger disk."
        )
