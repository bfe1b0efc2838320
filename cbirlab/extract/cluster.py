"""Cluster: the shards of a plan, computed by Dask workers that see the same images and the same store.

A task saves one shard in the store and reports on it; values never travel. It may run twice, so a worker that dies
costs only the shard that it was at, and a run that was ended costs what was not saved.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Self

from cbirlab.base.progress import bar
from cbirlab.base.text import first_line
from cbirlab.extract.loop import Computed, Shard
from cbirlab.extract.machine import core_count, wait_quietly
from cbirlab.extract.planning import Plan
from cbirlab.extract.worker import Failed, Job, Sealed, compute_sealed, facts_of, ready, told
from cbirlab.store import Store

LOCAL = "local"
ANSWER_SECONDS = 15.0
"""How long a scheduler may take to answer, and its workers to appear."""
IDLE_SECONDS = 60.0
"""How long a run waits for a worker once there is none any more."""
FAILURES = 3
"""How many workers may die of a shard before it is given up, on a local cluster; elsewhere the scheduler decides."""

_LOOK_SECONDS = 2.0


class ClusterError(RuntimeError):
    """A cluster that is away or not fit for the work, or shards that it could not compute."""


class Cluster:
    """Workers that compute shards; `extract(..., computing=cluster.compute)` inside a with statement.

    All workers of a machine together use as many threads as it has cores. The values are those of this process to the
    last bit where torch has as many threads here as in a worker; otherwise they differ by rounding.

    Parameters
    ----------
    address : "local", for one worker on each core of this machine, or of a scheduler, "tcp://host:port". Its workers
        must see images and store under the same paths, and have the same versions.

    Raises
    ------
    ValueError : neither.
    ImportError : Dask is not installed.
    ClusterError : on entering, nobody answers.
    """

    def __init__(self, address: str = LOCAL) -> None:
        if address != LOCAL and not re.fullmatch(r"\w+://.+:\d+", address):
            raise ValueError(f"cluster must be 'local' or an address like 'tcp://host:8786', got {address!r}.")
        self.address = address
        self.client: Any = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        wait_quietly()
        try:
            import dask.config
            import distributed
        except ImportError as error:
            raise ImportError(
                "a cluster needs Dask: pip install 'cbirlab[dask]'. Without it all is computed in this process."
            ) from error
        with ExitStack() as opened:
            opened.enter_context(_quiet())
            where: Any = self.address
            if self.address == LOCAL:
                opened.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": FAILURES}))
                usual = {"threads_per_worker": 1, "memory_limit": "auto", "dashboard_address": None}
                where = opened.enter_context(
                    distributed.LocalCluster(
                        n_workers=core_count(), processes=True, silence_logs=logging.CRITICAL, **usual
                    )
                )
            try:
                self.client = distributed.Client(where, timeout=ANSWER_SECONDS, set_as_default=False)
                opened.callback(self.client.close, timeout=ANSWER_SECONDS)
                self.client.wait_for_workers(1, timeout=ANSWER_SECONDS)
            except (OSError, ValueError) as error:  # TimeoutError is an OSError
                raise ClusterError(self._silence(error)) from error
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _silence(self, error: Exception) -> str:
        """Why the cluster cannot be used, in a sentence."""
        if self.client is not None:
            return f"cluster {self.address}: the scheduler has no workers; start some: dask worker {self.address}"
        if isinstance(error, OSError):
            return (
                f"cluster {self.address}: nobody answers there within {ANSWER_SECONDS:.0f} seconds; is the scheduler "
                "running, and may this machine reach it?"
            )
        return f"cluster {self.address}: {error}."

    def compute(self, planned: Plan, store: Store, progress: bool = True) -> Iterator[Computed]:
        """Compute the shards of a plan, in any order; those that fail are told at once, and the others go on.

        Raises
        ------
        ClusterError : at first, a worker that differs or does not see the files; later, the scheduler or all workers
            are gone; at the end, shards that could not be computed. What is saved is not computed again.
        """
        job = self._job(planned, store)
        threads = self._prepare(job, planned, store)
        total = sum(len(part.items) for part in planned.unfinished)
        named = {part.base: f"{part.dataset} {part.name}" for part in planned.unfinished}
        label = f"{planned.request.backbone.name} on {planned.request.dataset.name}, {self.address}"
        lost = 0
        with bar(total=total, desc=label, unit="image", show=progress) as shown:
            shown.update(total - sum(len(shard.items) for shard in planned.shards))
            for shard, sealed in self._reports(planned.shards, job, threads):
                if isinstance(sealed, Failed):
                    lost += 1
                    warnings.warn(f"shard {shard.number} of {named[shard.base]}: {sealed.reason}", stacklevel=2)
                    continue
                shown.update(len(shard.items))
                yield Computed(shard.base, shard.number, sealed.images, sealed.seconds, sealed.problems, {})
        if lost:
            raise ClusterError(
                f"cluster {self.address}: {lost} of {len(planned.shards)} shards could not be computed, as was told; "
                "the others are saved, and a further run computes only what is missing."
            )

    def _job(self, planned: Plan, store: Store) -> Job:
        backbone = planned.request.backbone
        if not backbone.asked:
            raise ClusterError(f"cluster: workers cannot load {backbone.name}; it must come from load_backbone.")
        asked, where = tuple(backbone.asked.items()), str(store.path.absolute())
        request = planned.request
        return Job(
            asked, str(backbone.device), request.precision, request.engine, facts_of(backbone, request.engine), where
        )

    def _prepare(self, job: Job, planned: Plan, store: Store) -> int:
        """Let all workers load the network and compare it with the one here; return the threads that each may use."""
        image = next((path for shard in planned.shards for path in shard.prints), None)
        slots, machines = self.client.nthreads(), {}
        for address, count in self.client.run(core_count).items():
            machines[address.rpartition(":")[0]] = count
        threads = max(1, sum(machines.values()) // max(1, sum(slots.values())))
        with store.writing() as token:
            visible = [str(token.absolute()), *([str(image)] if image else [])]
            found = self.client.run(told, ready, job, threads, *visible, on_error="return")
        for address, answer in found.items():
            if answer is not None:
                reason = answer.reason if isinstance(answer, Failed) else _reason(answer)
                raise ClusterError(f"cluster {self.address}, worker {address}: {reason}")
        return threads

    def _reports(self, shards: Sequence[Shard], job: Job, threads: int) -> Iterator[tuple[Shard, Sealed | Failed]]:
        """What workers report of each shard.

        Dask gives up all that waited at a worker that died too often, so these have a further turn, each alone.
        """
        from distributed import KilledWorker

        suspects = []
        for shard, future in self._finished(shards, job, threads):
            if isinstance(future.exception(), KilledWorker):
                suspects.append(shard)
            else:
                yield shard, _report(future)
        for suspect in suspects:
            for shard, future in self._finished([suspect], job, threads):
                yield shard, _report(future)

    def _finished(self, shards: Sequence[Shard], job: Job, threads: int) -> Iterator[tuple[Shard, Any]]:
        """Shards with their futures, as they are done or given up."""
        done: SimpleQueue[Any] = SimpleQueue()
        waiting = {}
        try:
            for shard in shards:
                future = self.client.submit(told, compute_sealed, shard, job, threads, pure=False)
                waiting[future.key] = (shard, future)
                future.add_done_callback(done.put)
            idle = 0.0
            while waiting:
                try:
                    future = done.get(timeout=_LOOK_SECONDS)
                except Empty:
                    idle = 0.0 if self._alive() else idle + _LOOK_SECONDS
                    if idle >= IDLE_SECONDS:
                        raise self._gone("all workers are gone") from None
                    continue
                if future.status == "cancelled":
                    raise self._gone("the scheduler is gone")
                if future.status in ("lost", "pending"):  # its worker died before the report was here; it comes again
                    future.add_done_callback(done.put)
                    continue
                yield waiting[future.key][0], future
                waiting.pop(future.key)[1].release()  # else its report is computed again if that worker dies
        finally:
            for _, future in waiting.values():
                future.release()

    def _alive(self) -> bool:
        """Whether there are workers.

        Raises
        ------
        ClusterError : the scheduler does not answer any more.
        """
        try:
            return bool(self.client.nthreads())
        except OSError:
            raise self._gone("the scheduler is gone") from None

    def _gone(self, what: str) -> ClusterError:
        return ClusterError(
            f"cluster {self.address}: {what}; the shards that were done are saved, and a further run computes only "
            "what is missing."
        )


def _report(future: Any) -> Sealed | Failed:
    return future.result() if future.status == "finished" else Failed(_reason(future.exception()))


def _reason(error: BaseException) -> str:
    """The sentence of an error that Dask reports of a task."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "given up after the workers that computed it died, as they do when memory runs out."
    return f"{first_line(error)}."


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from logging tracebacks while the block runs: what happens is told in sentences here."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
