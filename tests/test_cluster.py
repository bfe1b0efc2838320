"""Extraction on a Dask cluster: the bytes of the serial run, whatever is killed on the way."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cbirlab import cli
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import load_backbone
from cbirlab.extract import Descriptors, Request, batches, cluster, extract, local, plan
from cbirlab.extract.cluster import Cluster, ClusterError
from cbirlab.extract.machine import core_count
from cbirlab.extract.worker import Failed, Job, WorkerDiffers, compute_sealed, facts_of, ready, told
from cbirlab.store import Store, StoreUnwritable

dask = pytest.importorskip("dask.config", reason="dask is not installed")
pytest.importorskip("distributed", reason="dask.distributed is not installed")

GRID: dict[str, Any] = {
    "taps": ("stem", "layer4"),
    "aggregations": [Aggregation.parse(name) for name in ("mac", "gem(p=3)")],
    "batch_pixels": 4 * 48 * 64,
}
SLOW = """
import os, pathlib, signal, threading, time
from cbirlab.extract import loop
folder = pathlib.Path({folder!r})
lock = threading.Lock()  # so that no worker dies when another shard is saved and not yet written down
def slowed(write):
    def slow_write(self, shard, columns):
        with lock:
            if (folder / "deadly").exists() and shard == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            write(self, shard, columns)
            with open(folder / "log", "a") as log:
                log.write(f"{{self.folder.name}}-{{shard}} {{os.getpid()}}\\n")
        time.sleep({pause})
    return slow_write
if loop.Shards.write.__name__ == "write":  # Dask reads this file twice
    loop.Shards.write = slowed(loop.Shards.write)
"""


@pytest.fixture(scope="module")
def toynet():
    return load_backbone("toynet", "random")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(batches, "SHARD_IMAGES", 8)


def preload(folder: Path, pause: float = 0.3) -> str:
    """A file that workers read first: they write down what they save, and take their time."""
    path = folder / "preload.py"
    path.write_text(SLOW.format(folder=str(folder), pause=pause))
    return str(path)


def log(folder: Path) -> list[list[str]]:
    """Shard and process of everything that was saved so far."""
    path = folder / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(what: Any, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


@contextmanager
def scheduler(folder: Path, **settings: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """A scheduler and a worker for all cores in processes of their own; the scheduler's address and its process."""
    note = folder / "scheduler.json"
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([preload(folder)]), **settings}
    python = [sys.executable, "-m", "dask"]
    options: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [*python, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with subprocess.Popen([*command, "--scheduler-file", str(note)], **options) as head:
        wait_for(lambda: note.exists() and note.read_text().endswith("}"))
        address = json.loads(note.read_text())["address"]
        slots = str(core_count())  # so that each has one thread, as the serial run here
        with subprocess.Popen([*python, "worker", address, "--nthreads", slots, "--no-dashboard"], **options) as worker:
            try:
                yield address, head
            finally:
                for process in (worker, head):
                    process.terminate()


def assert_same_bytes(one: Descriptors, other: Descriptors) -> None:
    assert one.keys == other.keys
    for cell in one:
        for part, values in one[cell].items():
            assert np.asarray(values).tobytes() == np.asarray(other[cell][part]).tobytes()


@pytest.fixture(autouse=True)
def one_thread():
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


def test_a_killed_worker_costs_what_it_had_not_saved_and_no_byte_differs(things, toynet, store, tmp_path):
    serial = extract(things, toynet, store=Store(tmp_path / "serial"), progress=False, **GRID)
    planned = plan(Request(things, toynet, **GRID), store)
    killed: list[int] = []

    def computing(*given: Any) -> Iterator[Any]:
        for one in made.compute(*given):
            if not killed:
                killed.append(int(log(tmp_path)[-1][1]))
                os.kill(killed[0], signal.SIGKILL)
            yield one

    with dask.set({"distributed.worker.preload": [preload(tmp_path)]}), Cluster("local") as made:
        limits = made.client.run(lambda dask_worker: dask_worker.memory_manager.memory_limit)
        found = extract(things, toynet, store=store, progress=False, computing=computing, **GRID)
    assert all(limit and limit > 0 for limit in limits.values())
    assert_same_bytes(found, serial)
    saved = [shard for shard, _ in log(tmp_path)]
    assert sorted(saved) == sorted(f"{one.base}-{one.number}" for one in planned.shards)  # none was saved twice
    assert {int(process) for _, process in log(tmp_path)} != set(killed)
    assert len(saved) == 8 == len(planned.shards)
    assert not [*(store.path / "partial").iterdir()]


def test_a_killed_scheduler_is_one_sentence_and_the_next_run_computes_what_is_missing(
    things, toynet, store, tmp_path, capfd
):
    options = {"parts": ["images"], "progress": False, **GRID}
    serial = extract(things, toynet, store=Store(tmp_path / "serial"), **options)
    with scheduler(tmp_path) as (address, head):

        def kill() -> None:
            wait_for(lambda: len(log(tmp_path)) >= 2)
            head.kill()

        killer = Thread(target=kill)
        killer.start()
        message = f"cluster {address}: the scheduler is gone; the shards that were done are saved, and a further run"
        with pytest.raises(ClusterError, match=message), Cluster(address) as made:
            extract(things, toynet, store=store, computing=made.compute, **options)
        killer.join()
    assert capfd.readouterr().err == ""
    saved = len(log(tmp_path))
    assert 2 <= saved < 5
    again = extract(things, toynet, store=store, **options)
    assert again.computed_images == (5 - saved) * 8
    assert_same_bytes(again, serial)


def test_what_extract_leaves_is_what_compare_needs(pictures, store, capsys, monkeypatch):
    chosen = ["--dataset", str(pictures), "--weights", "random", "--taps", "layer2", "layer4", "--quiet"]
    chosen += ["--aggregations", "gem", "--encoding", "vlad(k=2)", "--whitenings", "none", "pca"]
    chosen += ["--image-size", "64", "--store", str(store.path)]
    assert cli.main(["extract", *chosen]) == 0
    entries = {(entry.kind, entry.key) for entry in store.entries()}
    assert f"toynet: ready for 8 recipes of all\n{len(entries)} new entries in {store.path}" in capsys.readouterr().out
    monkeypatch.setattr(local, "compute_here", None)
    assert cli.main(["compare", *chosen]) == 0
    after = {(entry.kind, entry.key) for entry in store.entries()}
    assert {one for one in after if one[0] != "neighbours"} == entries, "copies are looked for once in a process"


def test_a_shard_that_kills_its_workers_is_told_and_the_others_are_saved(things, toynet, store, tmp_path):
    (tmp_path / "deadly").touch()
    options = {"store": store, "parts": ["images"], "progress": False, **GRID}
    with scheduler(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as (address, _):
        with Cluster(address) as made:
            with (
                pytest.warns(UserWarning, match="shard 1 of things images: given up after the workers"),
                pytest.raises(ClusterError, match="1 of 5 shards could not be computed"),
            ):
                extract(things, toynet, computing=made.compute, **options)
            assert len(log(tmp_path)) == 4
            (tmp_path / "deadly").unlink()
            found = extract(things, toynet, computing=made.compute, **options)
    assert len(log(tmp_path)) == 5
    assert found.computed_images == 8
    serial = extract(things, toynet, store=Store(tmp_path / "serial"), parts=["images"], progress=False, **GRID)
    assert_same_bytes(found, serial)


def test_an_address_where_nobody_answers_is_one_sentence(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1.0)
    levels = {name: logging.getLogger(name).level for name in ("distributed", "distributed.client")}
    code = cli.main(["extract", "--cluster", "tcp://127.0.0.1:1", "--store", str(tmp_path), "--quiet"])
    assert code == 1
    assert capfd.readouterr().err == (
        "cbirlab extract: cluster tcp://127.0.0.1:1: nobody answers there within 1 seconds; is the scheduler running, "
        "and may this machine reach it?\n"
    )
    assert levels == {name: logging.getLogger(name).level for name in levels}


@pytest.mark.parametrize("address", ["here", "127.0.0.1:8786", "tcp://host", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="cluster must be 'local' or an address like 'tcp://host:8786'"):
        Cluster(address)


def test_an_unknown_kind_of_address_is_a_sentence():
    with (
        pytest.raises(ClusterError, match=r"cluster odd://host:1: unknown address scheme 'odd'"),
        Cluster("odd://host:1"),
    ):
        pass


def test_without_dask_a_sentence_says_what_to_install(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(["extract", "--cluster", "local", "--store", str(tmp_path), "--quiet"]) == 1
    assert capfd.readouterr().err == (
        "cbirlab extract: a cluster needs Dask: pip install 'cbirlab[dask]'. Without it all is computed in this "
        "process.\n"
    )


@pytest.fixture
def job(toynet, store) -> Job:
    return Job(tuple(toynet.asked.items()), "cpu", "float32", "torch", facts_of(toynet), str(store.path))


def test_a_task_that_runs_twice_computes_once_and_reports_the_same(things, toynet, store, job):
    shard = plan(Request(things, toynet, **GRID), store).shards[0]
    first, second = (compute_sealed(shard, job, 1) for _ in range(2))
    assert (first.images, second.images) == (8, 0)
    assert first.sha256 == second.sha256
    there = Store(store.path / "there")
    assert compute_sealed(shard, replace(job, store=str(there.path)), 1).sha256 == first.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cbirlab": "0.0.9"}, "its cbirlab is 0.1.0, and 0.0.9 where the run was started"),
        ({"weights": "abc"}, "its weights is [0-9a-f]{64}, and abc where"),
        ({"torch": "1.0"}, "its torch is .*, and 1.0 where"),
        ({"code": "x"}, "its code is"),
    ],
)
def test_a_worker_that_would_compute_something_else_is_refused(job, change, message):
    facts = tuple(({**dict(job.facts), **change}).items())
    with pytest.raises(WorkerDiffers, match=message):
        ready(replace(job, facts=facts), 1)


def test_a_worker_that_does_not_see_the_files_is_refused(job, tmp_path):
    ready(job, 1, str(tmp_path))
    with pytest.raises(WorkerDiffers, match=r"does not see .*elsewhere; images and store must be in folders that all"):
        ready(job, 1, str(tmp_path), str(tmp_path / "elsewhere"))


def test_errors_travel_as_sentences_since_some_cannot_be_sent():
    class Odd(RuntimeError):
        def __init__(self, a: str, b: str) -> None:
            super().__init__(f"{a} {b}.\nmore")

    def fail(a: str, b: str) -> None:
        raise Odd(a, b)

    assert told(fail, "no", "luck") == Failed("no luck.")
    assert told(len, "four") == 4


def test_an_aggregation_with_other_code_is_refused(things, toynet, store, job):
    shard = plan(Request(things, toynet, **GRID), store).shards[0]
    other = replace(shard.columns[0], specification={**shard.columns[0].specification, "aggregation_code": "x"})
    with pytest.raises(WorkerDiffers, match="the code of mac is not that of where the run was started"):
        compute_sealed(replace(shard, columns=(other,)), job, 1)


def test_a_store_that_a_worker_cannot_write_to_is_an_error_rather_than_values_on_the_wire(
    things, toynet, store, job, tmp_path
):
    shard = plan(Request(things, toynet, **GRID), store).shards[0]
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritable, match="cannot write"):
        compute_sealed(shard, replace(job, store=str(tmp_path / "file" / "store")), 1)


class Deserted:
    """A scheduler whose workers have left, or one that does not answer."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers

    def submit(self, *given: Any, **options: Any) -> Any:
        return SimpleNamespace(key=str(id(given)), add_done_callback=lambda call: None, release=lambda: None)

    def nthreads(self) -> dict[str, int]:
        if self.answers:
            return {}
        raise OSError("closed")


@pytest.mark.parametrize(("answers", "message"), [(True, "all workers are gone"), (False, "the scheduler is gone")])
def test_a_deserted_run_ends_with_a_sentence(things, toynet, store, job, monkeypatch, answers, message):
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(cluster, "IDLE_SECONDS", 0.03)
    made = Cluster("tcp://far:1")
    made.client = Deserted(answers)
    shards = plan(Request(things, toynet, **GRID), store).shards
    with pytest.raises(ClusterError, match=f"cluster tcp://far:1: {message}; the shards that were done are saved"):
        list(made._finished(shards, job, 1))
