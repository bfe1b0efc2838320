"""Damage and company: whatever bit of a store is flipped, and whoever else writes and prunes, results are right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from robustness.small import make_folder, result

from cbirlab.cli import main
from cbirlab.pipeline import copies
from cbirlab.store import Store, owners
from cbirlab.store.files import last_change, tree_bytes
from cbirlab.store.meta import seal_json, unseal_json
from cbirlab.store.shards import Shards

SETTINGS = (
    {"aggregation": "gem(p=3)", "whitening": "pca", "whitening_set": "database"},
    {"aggregation": "mac", "passes": "proposals(most=4)"},
)


def results(folder: Path, store: Path) -> list[tuple[bytes, bytes, str]]:
    copies._told.clear()  # copies are looked for in this store too
    return [result(folder, store, **setting) for setting in SETTINGS]


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> tuple[Path, Path, list]:
    """Pictures, one of which cannot be read; a store that knows them, with a shard of another run; what comes out."""
    place = tmp_path_factory.mktemp("damage")
    folder, store = make_folder(place / "own", 6), place / "store"
    broken = folder / "g0" / "1.bmp"
    broken.write_bytes(broken.read_bytes()[:900])
    wanted = results(folder, store)
    Shards(Store(store), "another").write(0, {"a": np.ones((2, 3), np.float32)})
    assert {path.parts[len(store.parts)] for path in store.rglob("*") if path.is_file()} == {
        "descriptors",
        "fitted",
        "images",
        "orders",
        "views",
        "neighbours",
        "partial",
    }
    return folder, store, wanted


def flip(store: Path, random: np.random.Generator) -> Path:
    """Flip one bit of one file."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    path = files[random.integers(len(files))]
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(bytes(content))
    return path


def place_of(path: Path, store: Path) -> str:
    """What `verify` calls the place of a file."""
    parts = path.relative_to(store).parts
    return "/".join(parts[:2] if parts[0] in ("descriptors", "fitted", "neighbours") else parts)


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(n, marks=pytest.mark.robustness) for n in range(12, 600))])
def test_a_flipped_bit_anywhere_is_seen_and_what_follows_is_the_same(filled, tmp_path, seed):
    folder, kept, wanted = filled
    store, random = tmp_path / "store", np.random.default_rng(seed)
    shutil.copytree(kept, store)
    changed = {place_of(flip(store, random), store) for _ in range(1 + seed % 3)}
    damaged = Store(store).verify()
    assert len(damaged) >= 1 or seed % 3, "one flip cannot be undone by another"
    assert set(damaged) <= changed
    if seed % 3 == 0:
        assert set(damaged) == changed
    assert results(folder, store) == wanted
    Store(store).verify(repair=True)
    assert Store(store).verify() == {}
    assert results(folder, store) == wanted


@pytest.mark.parametrize("note", ["skipped", "dataset", "pass_ms"])
def test_damaged_notes_of_entries_from_before_there_were_checksums_are_seen(filled, tmp_path, note, capsys):
    folder, kept, wanted = filled
    store = tmp_path / "store"
    shutil.copytree(kept, store)
    for path in store.glob("descriptors/*/meta.json"):
        meta, sealed = unseal_json(path.read_text())
        assert sealed
        path.write_text(json.dumps(meta))
    assert Store(store).verify() == {}
    assert results(folder, store) == wanted
    for path in store.glob("descriptors/*/meta.json"):
        path.write_text(path.read_text().replace(f'"{note}"', f'"{note[:-1]}q"'))
    assert main(["store", "verify", "--store", str(store)]) == 1
    assert capsys.readouterr().out.count("descriptors/") == len(list(store.glob("descriptors/*")))
    assert results(folder, store) == wanted


def test_a_sealed_object_tells_any_change():
    text = seal_json({"a": [1, 2.5, None], "caf\udce9": {"sha256": "x"}})
    assert json.loads(text)["a"] == [1, 2.5, None]
    found, sealed = unseal_json(text)
    assert sealed
    assert list(found) == ["a", "caf\udce9"]
    for place in range(len(text)):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        try:
            assert not unseal_json(changed)[1], place
        except ValueError:
            continue


def test_an_entry_that_has_lost_its_description_is_written_anew(tmp_path):
    store = Store(tmp_path)
    entry = store.put("fitted", {"n": 1}, {"x": np.ones(3)})
    (store.folder("fitted", entry.key) / "meta.json").unlink()
    store.put("fitted", {"n": 1}, {"x": np.ones(3)})
    assert store.get("fitted", {"n": 1}) is not None


def test_pruning_sizing_and_verifying_while_others_write_raise_nothing(tmp_path):
    stop, raised = threading.Event(), []

    def busy(act) -> None:
        try:
            while not stop.is_set():
                act()
        except Exception as error:
            raised.append(error)

    def write() -> None:
        number = int(np.random.default_rng().integers(30))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Shards(Store(tmp_path), f"base{number}").write(0, {"a": np.ones((2, 2), np.float32)})
            Store(tmp_path).write_note("images", f"n{number}", {"a": [1]})
        Shards(Store(tmp_path), f"base{number}").drop(["a"], 1)

    def look() -> None:
        store = Store(tmp_path)
        store.size()
        assert store.verify() == {}
        store.prune(older_than_days=1)
        store.entries()

    threads = [threading.Thread(target=busy, args=(act,)) for act in (write, write, look, look)]
    for thread in threads:
        thread.start()
    stop.wait(2)
    stop.set()
    for thread in threads:
        thread.join()
    assert raised == []


def test_a_folder_that_goes_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    make, gone = Path.mkdir, []

    def vanishing(self, *given, **options):
        make(self, *given, **options)
        if self.parent.parent.name == "partial" and not gone:
            gone.append(self)
            raise FileExistsError(str(self))  # what `mkdir` says if it finds the folder, and then finds it gone

    monkeypatch.setattr(Path, "mkdir", vanishing)
    shards = Shards(Store(tmp_path), "base")
    shards.write(0, {"a": np.ones((2, 2), np.float32)})
    assert gone
    assert shards.read(0, "a") is not None


def test_a_walk_forgives_what_vanishes(tmp_path, monkeypatch):
    for number in range(5):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").write_bytes(b"four")
    walk = os.walk

    def vanishing(folder, *given, **options):
        for place, inside, files in walk(folder, *given, **options):
            shutil.rmtree(tmp_path / "2", ignore_errors=True)
            yield place, inside, files

    monkeypatch.setattr(os, "walk", vanishing)
    assert tree_bytes(tmp_path) == 16
    assert last_change(tmp_path) > 0
    assert last_change(tmp_path / "2") == 0


def left_by(store: Path, name: str) -> Path:
    folder = store / "tmp" / name
    folder.mkdir(parents=True)
    (folder / "values.npy").write_bytes(b"half")
    return folder


def test_what_a_killed_process_left_goes_at_the_next_start_and_nothing_of_others(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    machine = owners.new_name().partition("-")[0]
    mine = left_by(tmp_path, owners.new_name())
    dead = left_by(tmp_path, f"{machine}-{int(ended.stdout)}-0123456789ab")
    elsewhere = left_by(tmp_path, f"fedcba987654-{int(ended.stdout)}-0123456789ab")
    earlier = left_by(tmp_path, f"{int(ended.stdout)}-0123456789ab")
    Store(tmp_path).put("fitted", {"n": 1}, {"x": np.ones(3)})
    assert not dead.exists()
    for kept in (mine, elsewhere, earlier):
        assert kept.exists(), "of a process that lives, or may live on another machine"
    for old in (elsewhere, earlier):
        for path in (*old.iterdir(), old):
            os.utime(path, (0, 0))
    Store(tmp_path).put("fitted", {"n": 2}, {"x": np.ones(3)})
    assert not elsewhere.exists()
    assert not earlier.exists()
    assert mine.exists()


def test_emptying_a_store_takes_nothing_from_a_writer(tmp_path):
    store = Store(tmp_path)
    with store.writing() as folder:
        Store(tmp_path).prune(keep_bytes=0)
        assert folder.exists()
