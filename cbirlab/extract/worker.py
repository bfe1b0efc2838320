"""Worker: what a process of a cluster does for an extraction: load the network once, compute shards, report on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from cbirlab.base.text import first_line
from cbirlab.extract.cache_keys import network_facts
from cbirlab.extract.engines import TORCH, installed
from cbirlab.extract.loop import Shard, compute
from cbirlab.extract.machine import keep_memory
from cbirlab.extract.network import Network
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.code import code_version
from cbirlab.store.files import seal
from cbirlab.store.shards import Shards

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

_loading = Lock()


class WorkerDiffers(RuntimeError):
    """A worker would compute something else than this process, or save it elsewhere."""


class Sealed(NamedTuple):
    """What a worker reports of a shard; the values themselves stay in the store.

    Attributes
    ----------
    sha256 : of the files of all its columns, one after the other.
    images : number of images that went through the network; 0 if the store had the shard already.
    seconds : time that they took.
    problems : row to reason, for images that could not be decoded.
    """

    sha256: str
    images: int
    seconds: float
    problems: Mapping[int, str]


class Failed(NamedTuple):
    """Why a worker could not do what it was asked."""

    reason: str


@dataclass(frozen=True)
class Job:
    """What the shards of one request share, and what a worker must agree with before it computes one.

    Attributes
    ----------
    asked : arguments of `load_backbone`, as pairs.
    device, precision, engine : of the network.
    facts : what the process that made the plan knows of versions and of the network, as pairs of texts.
    store : path of the store.
    """

    asked: tuple[tuple[str, Any], ...]
    device: str
    precision: str
    engine: str
    facts: tuple[tuple[str, str], ...]
    store: str


def facts_of(backbone: Backbone, engine: str = TORCH) -> tuple[tuple[str, str], ...]:
    """Versions and the network, name by name; the same in two processes if they compute the same values."""
    import numpy as np
    import torch

    from cbirlab import __version__

    known = {"cbirlab": __version__, "torch": torch.__version__, "numpy": np.__version__, **network_facts(backbone)}
    if engine != TORCH:
        known[engine] = version(engine) if installed() else "not installed"
    return tuple((name, str(value)) for name, value in known.items())


def told(task: Callable[..., Any], *given: Any) -> Any:
    """What a task returns, or its error as a sentence: an error that cannot be sent would leave its shard waiting."""
    try:
        return task(*given)
    except Exception as error:
        return Failed(f"{first_line(error)}.")


def ready(job: Job, threads: int, *visible: str) -> None:
    """Load the network of a job, set the number of torch's threads, and look for files that must be seen from here.

    Raises
    ------
    WorkerDiffers : something differs from the process that made the plan, or a file is not seen.
    """
    import torch

    torch.set_num_threads(threads)
    for path in visible:
        if not Path(path).exists():
            raise WorkerDiffers(f"it does not see {path}; images and store must be in folders that all machines share")
    _load(job)


def _load(job: Job) -> Network:
    with _loading:  # threads of one worker share the network
        return _loaded(job)


@lru_cache(maxsize=1)
def _loaded(job: Job) -> Network:
    from cbirlab.backbones import load_backbone

    backbone = load_backbone(**dict(job.asked), device=job.device)
    for (name, there), (_, here) in zip(job.facts, facts_of(backbone, job.engine), strict=True):
        if there != here:
            raise WorkerDiffers(f"its {name} is {here}, and {there} where the run was started")
    return Network(backbone, precision=job.precision, engine=job.engine, store=Store(job.store))


def compute_sealed(shard: Shard, job: Job, threads: int) -> Sealed:
    """Compute one shard into the store; one that is there already, since a worker died after saving it, is kept.

    Raises
    ------
    WorkerDiffers : as `ready` does, since a worker may join late; or an aggregation is written otherwise here.
    StoreUnwritable : the store cannot be written to from here.
    ImageError, FloatingPointError : as `compute` does.
    """
    import torch

    network, store = _load(job), Store(job.store)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    for column in shard.columns:
        if code_version(column.aggregation.target()) != column.specification["aggregation_code"]:
            raise WorkerDiffers(f"the code of {column.aggregation.key} is not that of where the run was started")
    checksum = _checksum(shard, store)
    if checksum is not None:
        return Sealed(checksum, 0, 0.0, {})
    with keep_memory():
        computed = compute(shard, network, store)
    checksum = _checksum(shard, store)
    if computed.unwritten or checksum is None:
        raise StoreUnwritable(computed.error or f"Store {store.path}: a shard cannot be read back.")
    return Sealed(checksum, computed.images, computed.seconds, computed.problems)


def _checksum(shard: Shard, store: Store) -> str | None:
    """The checksum of a shard in the store; None if a column is missing or damaged."""
    written, checksum = Shards(store, shard.base), sha256()
    for column in shard.columns:
        values = written.read(shard.number, column.key)
        if values is None:
            return None
        checksum.update(seal(values))
    return checksum.hexdigest()
