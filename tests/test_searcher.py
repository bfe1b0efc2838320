"""Searcher: descriptors of one's own, by ids, against brute force; growing, shrinking, saved, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import cbirlab
from cbirlab import Searcher, search
from cbirlab.whitening import normalise

METHODS = [
    ("none", "exact", 0),
    ("none", "ivf(lists=8, probes=8)", 0),
    ("none", "hnsw(ef=400)", 0),
    ("float16", "exact", 0),
    ("sq", "ivf(lists=8, probes=8)", 20),
    ("itq(bits=24)", "hamming", 400),
    ("itq(bits=24)", "exact", 0),
    ("pq(m=8, bits=4)", "fastscan", 400),
    ("rabitq", "exact", 30),
]


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    found = normalise(rng.standard_normal((400, 32)) + 0.5).astype(np.float32)
    found[17], found[300] = found[5], 0
    return found


def names(count: int, first: int = 0) -> list[str]:
    return [f"{number}.jpg" for number in range(first, first + count)]


def nearest(rows: np.ndarray, query: np.ndarray, alive: list[int], k: int) -> list[str]:
    score = {row: float(np.float32(rows[row].astype(np.float64) @ query.astype(np.float64))) for row in alive}
    return [f"{row}.jpg" for row in sorted(score, key=lambda row: (-score[row], row))[:k]]


@pytest.mark.parametrize(("compression", "index", "rescore"), METHODS)
def test_it_grows_shrinks_and_is_the_same_when_it_is_loaded(rows, tmp_path, compression, index, rescore):
    searcher = Searcher(compression=compression, index=index, rescore=rescore)
    searcher.fit(rows[:250], names(250), train=rows[:200]).add(rows[250:], names(150, 250))
    searcher.remove(["17.jpg", "40.jpg"])
    assert len(searcher) == 397  # one row is zero
    found = searcher.search(rows[[5, 40, 123]], k=7)
    assert found.ids.shape == found.scores.shape == (3, 7)
    gone = {"17.jpg", "40.jpg", "300.jpg"}
    assert not gone & {*found.ids.ravel()}
    if compression == "none" or rescore == 400:
        alive = [row for row in range(400) if f"{row}.jpg" not in gone]
        expected = [nearest(rows, rows[row], alive, 7) for row in (5, 40, 123)]
        assert found.ids.tolist() == expected
    searcher.save(tmp_path / "kept")
    again = Searcher.load(tmp_path / "kept")
    other = again.search(rows[[5, 40, 123]], k=7)
    assert np.array_equal(other.ids, found.ids)
    assert np.array_equal(other.scores, found.scores)
    assert (len(again), again.nbytes) == (len(searcher), searcher.nbytes)
    again.add(rows[[40]], ["40.jpg"])
    assert again.search(rows[[40]], k=1).ids[0, 0] == "40.jpg" or compression != "none"
    again.save(tmp_path / "kept")
    assert len(Searcher.load(tmp_path / "kept")) == 398
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(("compression", "index"), [("itq(bits=24)", "hamming"), ("sq", "exact"), ("none", "exact")])
def test_without_faiss_it_grows_and_is_kept_too(rows, tmp_path, monkeypatch, compression, index):
    expected = Searcher(compression=compression, index=index).fit(rows, names(400), train=rows[:200])
    monkeypatch.setattr("cbirlab.compression.library.has_faiss", lambda: False)
    searcher = Searcher(compression=compression, index=index).fit(rows[:250], names(250), train=rows[:200])
    searcher.add(rows[250:], names(150, 250)).save(tmp_path / "kept")
    wanted = expected.remove(["40.jpg"]).search(rows[[5, 40, 123]], k=7)
    for one in (searcher, Searcher.load(tmp_path / "kept")):
        found = one.remove(["40.jpg"]).search(rows[[5, 40, 123]], k=7)
        assert np.array_equal(found.ids, wanted.ids)
        assert np.array_equal(found.scores, wanted.scores)


@pytest.mark.parametrize("there", [True, False])
def test_hamming_is_kept_in_one_form_with_faiss_and_without(rows, tmp_path, monkeypatch, there):
    def turn(on: bool) -> None:
        monkeypatch.setattr("cbirlab.compression.library.has_faiss", lambda: on)

    turn(there)
    one = Searcher(compression="itq(bits=24)", index="hamming").fit(rows[:350], train=rows[:200]).add(rows[350:])
    one.save(tmp_path / "kept")
    turn(not there)
    other = Searcher.load(tmp_path / "kept")
    assert type(other._index) is not type(one._index)
    wanted, found = one.search(rows[:5], k=300), other.search(rows[:5], k=300)
    assert np.array_equal(found.ids, wanted.ids)
    assert np.array_equal(found.scores, wanted.scores)
    other.add(rows[[3]], [1000]).save(tmp_path / "again")
    turn(there)
    assert {3, 1000} <= {*Searcher.load(tmp_path / "again").search(rows[[3]], k=2).ids[0]}


MAPPED = """
import sys
import numpy as np
from cbirlab import Searcher

def resident() -> tuple[int, int]:
    found, place = {}, ""
    for line in open("/proc/self/smaps"):
        first, *more = line.split(maxsplit=5)
        if first == "Rss:":
            found[place] = found.get(place, 0) + (int(more[0]) << 10)
        elif "-" in first:
            place = more[4].strip() if len(more) > 4 else ""
    return found.get(sys.argv[1] + "/index/index.npy", 0), found[""] + found["[heap]"]

query = np.load(sys.argv[2])
Searcher.load(sys.argv[3]).search(query, k=3)  # by then faiss is loaded
before = resident()[1]
searcher = Searcher.load(sys.argv[1])
opened, own = resident()
found = searcher.search(query, k=3)
print(searcher._index.mapped_.nbytes, own - before, opened, resident()[0], *found.ids[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("index", ["ivf(lists=64, probes=1)", "hnsw(ef=8, links=16)"])
def test_opening_an_index_does_not_read_it_whole(tmp_path, index):
    """Nor does a visit to one list. How much a walk through a graph reads depends on the pages of the file system."""
    rng = np.random.default_rng(0)
    database = normalise(rng.standard_normal((30_000, 256))).astype(np.float32)
    np.save(tmp_path / "query.npy", database[[7]])
    searcher = Searcher(index=index).fit(database, train=database[:3000])
    searcher.save(tmp_path / "large")
    Searcher(index="ivf(lists=1)").fit(database[:100], train=database[:100]).save(tmp_path / "small")
    places = [str(tmp_path / name) for name in ("large", "query.npy", "small")]
    told = subprocess.run([sys.executable, "-c", MAPPED, *places], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    size, own, opened, searched, *ids = map(int, told.stdout.split())
    assert size > 30_000_000
    assert ids == searcher.search(database[[7]], k=3).ids[0].tolist()
    assert own < size / 3, "held in memory"
    assert opened < size / 3, "read from the file"
    assert searched < size / 3 or "hnsw" in index


def test_what_was_learned_stays_when_images_are_added(rows):
    with pytest.warns(UserWarning, match="learns on the database itself"):
        searcher = Searcher(compression="itq(bits=16)").fit(rows[:200])
    before = searcher._code.projection_.copy()
    searcher.add(rows[200:])
    assert np.array_equal(before, searcher._code.projection_)
    assert searcher.ids == list(range(400))


def test_the_function_is_the_searcher(rows):
    found = search(rows[:3], rows, k=5, compression="pq(m=8, bits=4)", rescore=50, train=rows[:300])
    other = Searcher(compression="pq(m=8, bits=4)", rescore=50).fit(rows, train=rows[:300]).search(rows[:3], 5)
    assert np.array_equal(found.images, other.ids.astype(int))
    assert cbirlab.search is search


def test_what_does_not_fit_is_said(rows, tmp_path):
    searcher = Searcher().fit(rows, names(400))
    for call, error, said in [
        (lambda: Searcher(index="hamming"), ValueError, "needs a binary compression"),
        (lambda: Searcher(rescore=-1), ValueError, "rescore must be a whole number"),
        (lambda: Searcher().search(rows), RuntimeError, r"call fit\(X\)"),
        (lambda: Searcher().fit(rows, names(3)), ValueError, "one per row, 400, got 3"),
        (lambda: Searcher().fit(rows[:2], ["a", "a"]), ValueError, "must be different, got 'a' twice"),
        (lambda: Searcher().fit(rows * np.nan), ValueError, "must be finite"),
        (lambda: Searcher().fit(rows[0]), ValueError, r"must be \(N, D\)"),
        (lambda: Searcher().fit(rows, train=rows[:, :5]), ValueError, "train must have 32 dimensions"),
        (lambda: searcher.add(rows[:1], ["3.jpg"]), ValueError, "got '3.jpg', which is there"),
        (lambda: searcher.add(rows[:1, :7]), ValueError, "X must have 32 dimensions, got 7"),
        (lambda: searcher.remove(["a"]), KeyError, "no id 'a'"),
        (lambda: searcher.search(rows[:, :7]), ValueError, "Q must have 32 dimensions"),
        (lambda: searcher.search(rows, k=400), ValueError, r"k must be a whole number in \[1, 399\]"),
        (lambda: searcher.save(tmp_path), ValueError, "must be new or hold a saved Searcher"),
        (lambda: Searcher.load(tmp_path / "nothing"), ValueError, "must hold what save wrote"),
    ]:
        with pytest.raises(error, match=said):
            call()
    assert len(searcher) == 399


@pytest.mark.parametrize("name", ["index/codes.npy", "rows.npy", "code.npz", "searcher.json"])
def test_a_damaged_folder_is_refused_in_one_sentence(rows, tmp_path, name):
    Searcher(compression="sq", rescore=5).fit(rows, names(400), train=rows).save(tmp_path / "kept")
    path = tmp_path / "kept" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="must hold what save wrote"):
        Searcher.load(tmp_path / "kept")


def test_a_folder_of_other_images_is_refused(rows, tmp_path):
    Searcher().fit(rows, names(400)).save(tmp_path / "kept")
    about = json.loads((tmp_path / "kept" / "searcher.json").read_text())
    (tmp_path / "kept" / "searcher.json").write_text(json.dumps(about | {"ids": about["ids"][:9]}))
    with pytest.raises(ValueError, match="not of the same images"):
        Searcher.load(tmp_path / "kept")
