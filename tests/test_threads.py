"""Threads: as many as cores are free, and as before afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from cbirlab import images, load_backbone, load_dataset
from cbirlab.backbones import taps
from cbirlab.cli import app, lab
from cbirlab.extract import machine as threads


@pytest.fixture(autouse=True)
def two() -> Iterator[None]:
    """Two threads to begin with, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Machine:
    """A machine of two cores whose load and clock are said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.now, self.own, self.ticks, self.file = 0.0, 0.0, 0, folder / "stat"
        self.pass_time(0, 0, 0)
        monkeypatch.setattr(threads, "_STATISTICS", self.file)
        monkeypatch.setattr(threads, "_cores", lambda: {4, 5})
        monkeypatch.setattr(os, "getloadavg", lambda: (self.load, 0, 0), raising=False)
        monkeypatch.setattr(os, "sysconf", lambda name: 100)
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(threads.time, "process_time", lambda: self.own)
        self.load = 0.0

    def pass_time(self, seconds: float, ours: float, others: float) -> None:
        """Seconds go by, in which so many cores are ours and so many others'."""
        self.now += seconds
        self.own += seconds * ours
        self.ticks += round(100 * seconds * (ours + others) / 2)
        rows = [f"cpu{core} {self.ticks} 0 0 99 99 0 0 0 0 0" for core in (4, 5)]
        self.file.write_text("\n".join(["cpu 1 2 3 4 5 6 7 8 9 10", "cpu0 9999 0 0 0 0 0 0 0 0 0", *rows, "intr 5"]))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


@pytest.mark.parametrize(("load", "taken"), [(0.0, 2), (0.4, 2), (1.0, 1), (2.0, 1), (17.0, 1)])
def test_a_pass_begins_with_what_the_load_leaves(machine: Machine, load: float, taken: int) -> None:
    machine.load = load
    with threads.spare_cores():
        assert torch.get_num_threads() == taken
    assert torch.get_num_threads() == 2


def test_threads_follow_what_others_do_and_not_what_the_pass_does_itself(machine: Machine) -> None:
    with threads.spare_cores() as look:
        for ours, others, taken in [(2, 0, 2), (1, 1, 1), (0.7, 1.3, 1), (1, 0, 2), (2, 0, 2)]:
            machine.pass_time(threads.LOOK_SECONDS, ours, others)
            look()
            assert torch.get_num_threads() == taken
        machine.pass_time(threads.LOOK_SECONDS / 2, 0, 2)
        look()
        assert torch.get_num_threads() == 2, "not looked at again so soon"
        raised = pytest.raises(KeyError)
    machine.load = 9
    with raised, threads.spare_cores():
        raise KeyError
    assert torch.get_num_threads() == 2


def test_passes_side_by_side_leave_as_many_threads_as_before(machine: Machine) -> None:
    machine.load = 9
    seen: list[int] = []

    def second() -> None:
        with threads.spare_cores():
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    with threads.spare_cores():
        other = Thread(target=second)
        other.start()
        other.join()
    assert (seen, torch.get_num_threads()) == ([1, 2], 2)


def test_a_thread_alone_stays_alone(machine: Machine) -> None:
    torch.set_num_threads(1)
    with threads.spare_cores():
        assert torch.get_num_threads() == 1


def test_where_the_system_says_nothing_the_load_at_the_beginning_counts(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threads, "_STATISTICS", tmp_path / "none")
    machine.load = 3
    with threads.spare_cores() as look:
        machine.now += 60
        look()
        assert torch.get_num_threads() == 1


def test_maps_do_not_depend_on_the_number_of_threads() -> None:
    dataset, backbone = load_dataset("toytown"), load_backbone("toynet")
    pixels = [images.prepare(path, image_size=160, mean=backbone.mean, std=backbone.std) for path in dataset.images[:2]]
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append([taps.forward(backbone, one[None], list(backbone.taps)) for one in pixels])
    for one, two in zip(*found, strict=True):
        for tap, maps in one.items():
            np.testing.assert_allclose(maps.numpy(), two[tap].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_processes_that_are_started_wait_quietly_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str | None
) -> None:
    seen: list[Any] = []
    monkeypatch.setenv(threads.WAITING, "as before")
    monkeypatch.delenv(threads.WAITING)
    if own is not None:
        monkeypatch.setenv(threads.WAITING, own)
    monkeypatch.setattr("jupyterlab.labapp.main", lambda argv: seen.append(os.environ.get(threads.WAITING)))
    monkeypatch.setattr(lab, "working_folder", lambda folder: tmp_path)
    lab.launch(None, [])
    voila = pytest.importorskip("voila.app")
    monkeypatch.setattr(app, "check", lambda *given: None)
    monkeypatch.setattr(voila.Voila, "launch_instance", lambda argv: seen.append(os.environ.get(threads.WAITING)))
    app.launch("toytown", "toynet", None, [])
    assert seen == [own or "PASSIVE"] * 2


def test_an_import_sets_nothing() -> None:
    code = (
        "import os; was = dict(os.environ); import cbirlab.cli, cbirlab.extract.machine; print(dict(os.environ) == was)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "True\n"
