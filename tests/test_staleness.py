"""Staleness: whatever is changed between two runs, a store that knows the first gives what an empty one gives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from robustness.small import age, make_folder, picture, result
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cbirlab.datasets.bundled import data_folder
from cbirlab.extract import fingerprint
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.images import ImageError
from cbirlab.store import Store


def edited(path: Path, *, times: bool) -> None:
    """Other pixels in as many bytes; `times` puts the old time of change back, as `rsync -t` and `cp -p` do."""
    content = bytearray(path.read_bytes())
    content[100:3000] = bytes(2900)
    path.write_bytes(bytes(content))
    if times:
        age(path)


def swapped(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


def names_alike(folder: Path) -> None:
    for number in range(4):
        os.rename(picture(folder, number), folder / f"g{number // 2}" / f"p{number % 2}.bmp")


def linked(folder: Path, to: int) -> None:
    """A link in the place of the first picture, to a copy of another one outside the folder."""
    copy = folder.parent / f"copy{to}.bmp"
    shutil.copy2(picture(folder, to), copy)
    link = folder / "g0" / "link.bmp"
    link.unlink(missing_ok=True)
    link.symlink_to(copy)


def replaced(path: Path, by: Path) -> None:
    """Another file of the same size and times put in place in one step, as editors and synchronisers do."""
    aside = path.with_name("new")
    shutil.copy2(by, aside)
    os.replace(aside, path)


CHANGES = {
    "edited": (None, lambda folder: edited(picture(folder, 0), times=False)),
    "edited, time kept": (None, lambda folder: edited(picture(folder, 0), times=True)),
    "two files swapped": (None, lambda folder: swapped(picture(folder, 0), picture(folder, 1))),
    "two files of two folders swapped": (None, lambda folder: swapped(picture(folder, 0), picture(folder, 2))),
    "two folders swapped": (None, lambda folder: swapped(folder / "g0", folder / "g1")),
    "two folders of equal names swapped": (names_alike, lambda folder: swapped(folder / "g0", folder / "g1")),
    "replaced": (None, lambda folder: replaced(picture(folder, 0), picture(folder, 7))),
    "link turned": (lambda folder: linked(folder, 0), lambda folder: linked(folder, 5)),
    "renamed": (None, lambda folder: os.rename(picture(folder, 0), folder / "g0" / "zz.bmp")),
    "moved": (None, lambda folder: os.rename(picture(folder, 0), folder / "g3" / "0.bmp")),
    "removed": (None, lambda folder: picture(folder, 0).unlink()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_in_a_folder_is_seen(tmp_path, name):
    folder = make_folder(tmp_path / "own")
    before, change = CHANGES[name]
    if before:
        before(folder)
    result(folder, tmp_path / "store")
    change(folder)
    assert result(folder, tmp_path / "store") == result(folder, tmp_path / "empty")


@pytest.mark.robustness
@pytest.mark.parametrize("seed", range(60))
def test_any_few_changes_of_a_folder_are_seen(tmp_path, seed):
    random = np.random.default_rng(seed)
    folder = make_folder(tmp_path / "own")
    store = tmp_path / "store"
    result(folder, store)
    for _ in range(6):
        there = sorted(path for path in folder.rglob("*.bmp"))
        one, other = (there[place] for place in random.choice(len(there), 2, replace=False))
        change = random.integers(5)
        if change == 0:
            edited(one, times=bool(random.integers(2)))
        elif change == 1:
            swapped(one, other)
        elif change == 2:
            replaced(one, other)
        elif change == 3:
            os.rename(one, other.parent / f"m{random.integers(10**6)}.bmp")
        else:
            os.link(one, other.parent / f"l{random.integers(10**6)}.bmp")
        fresh = tmp_path / "fresh"
        assert result(folder, store) == result(folder, fresh), f"change {change} of {one} and {other}"
        shutil.rmtree(fresh)


def test_other_weights_under_the_same_name_are_seen(tmp_path):
    folder, weights = make_folder(tmp_path / "own"), tmp_path / "w.safetensors"
    source = next((data_folder() / "toynet").glob("*.safetensors"))
    with safe_open(source, "pt") as opened:
        facts = opened.metadata()

    def write(scale):
        state = {name: value * scale if value.ndim == 4 else value for name, value in load_file(source).items()}
        save_file({name: value.clone() for name, value in state.items()}, weights, metadata=facts)
        age(weights)

    write(1.0)
    before = result(folder, tmp_path / "store", weights=str(weights))
    write(1.3)
    after = result(folder, tmp_path / "store", weights=str(weights))
    assert after == result(folder, tmp_path / "empty", weights=str(weights)) != before


def test_other_labels_and_boxes_in_a_table_are_seen(tmp_path):
    folder = make_folder(tmp_path / "own")
    table = folder / "table.csv"

    def write(group, left):
        rows = [f"g{i // 2}/{i}.bmp,{group(i)},both,{left},0,40,40" for i in range(8)]
        table.write_text("\n".join(["path,instance,role,x0,y0,x1,y1", *rows, ""]))
        age(table)

    found = []
    for group, left in ((lambda i: i // 2, 0), (lambda i: i % 4, 0), (lambda i: i % 4, 9)):
        write(group, left)
        found.append(result(table, tmp_path / "store"))
        assert found[-1] == result(table, tmp_path / f"empty{len(found)}")
    assert len(set(found)) == 3


def test_a_file_changed_within_a_tick_of_the_clock_is_seen(tmp_path):
    store, path = Store(tmp_path / "store"), picture(make_folder(tmp_path / "own"), 0)
    for number in range(20):
        content = bytearray(path.read_bytes())
        content[-1] = number
        path.write_bytes(bytes(content))
        age(path)
        known, fresh = fingerprints([path], store)[path], fingerprints([path], Store(tmp_path / f"s{number}"))[path]
        assert known.sha256 == fresh.sha256


def test_on_a_disk_that_numbers_its_files_anew_they_are_read_again_and_not_described_again(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "own")
    before = result(folder, tmp_path / "store")
    original, mounted = fingerprint.state_of, iter(range(10**6))
    monkeypatch.setattr(fingerprint, "state_of", lambda status: f"{original(status)}-{next(mounted)}")
    looked, described = [], []
    look = fingerprint._look_at
    monkeypatch.setattr(fingerprint, "_look_at", lambda path: looked.append(path) or look(path))
    monkeypatch.setattr("cbirlab.extract.local.compute_each", lambda *_: described.append(_) or ())
    assert result(folder, tmp_path / "store") == before
    assert len(looked) >= 8
    assert described == []


def test_a_store_filled_by_an_earlier_state_of_the_form_is_looked_at_again_and_kept(tmp_path):
    folder, store = make_folder(tmp_path / "own"), Store(tmp_path / "store")
    before = result(folder, store.path)
    for note in (store.path / "images").iterdir():
        note.write_text('{"0.bmp": ["6966-1000000000000000000", "0000", 48, 48, ""]}')
    assert store.verify() == {}, "notes from before there were checksums are sound"
    entries = [entry.key for entry in store.entries()]
    assert result(folder, store.path) == before
    assert sorted(entry.key for entry in store.entries()) == sorted(entries)


def test_a_picture_changed_while_it_is_described_is_not_kept_as_the_old_one(tmp_path, monkeypatch):
    folder, store = make_folder(tmp_path / "own"), tmp_path / "store"
    from cbirlab.extract import loop

    original = loop.decode_ahead

    def overtaken(*given, **options):
        edited(picture(folder, 0), times=True)
        return original(*given, **options)

    before = picture(folder, 0).read_bytes()
    monkeypatch.setattr(loop, "decode_ahead", overtaken)
    with pytest.raises(ImageError, match=r"0\.bmp: the file was changed while it was described; run again"):
        result(folder, store)
    monkeypatch.undo()
    picture(folder, 0).write_bytes(before)
    assert result(folder, store) == result(folder, tmp_path / "empty")


def test_a_picture_from_outside_that_was_changed_is_described_again(tmp_path):
    from cbirlab.live import Session

    folder = make_folder(tmp_path / "own")
    outside = tmp_path / "outside.bmp"
    shutil.copy2(picture(folder, 1), outside)
    session = Session(folder, "toynet", image_size=48, store=Store(tmp_path / "store"))
    setting = ("layer4", "gem(p=3)", "none")
    assert session.rank_image(outside, *setting).images[0, 0] == 1
    replaced(outside, picture(folder, 6))
    assert session.rank_image(outside, *setting).images[0, 0] == 6
