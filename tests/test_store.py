"""Store: content addressing, damage, races, disks that refuse."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab.live import Session
from cbirlab.store import KINDS, Store, StoreUnwritable, digest
from cbirlab.store import store as store_module
from cbirlab.store.files import map_array, seal, unseal
from cbirlab.store.shards import Shards

SPECIFICATION = {"what": "numbers", "size": 3}


def matrix(rows: int = 5, width: int = 3) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)


def put(store: Store, specification=SPECIFICATION, values=None):
    return store.put("descriptors", specification, {"values": matrix() if values is None else values}, dataset="d")


def test_what_is_put_is_got_back_as_a_memory_map(store):
    assert store.get("descriptors", SPECIFICATION) is None
    put(store)
    found = store.get("descriptors", SPECIFICATION)
    np.testing.assert_array_equal(found.arrays["values"], matrix())
    assert isinstance(found.arrays["values"], np.memmap)
    assert not found.arrays["values"].flags.writeable
    assert found.notes == {"dataset": "d"}


def test_the_key_depends_on_every_value_and_not_on_the_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert len({digest({"a": 1}), digest({"a": 2}), digest({"a": 1.5}), digest({"b": 1})}) == 4
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


def test_rows_come_in_any_order_and_missing_ones_are_zero(store):
    values = matrix(6)
    chunks = [(np.array([5, 0]), values[[5, 0]]), (np.array([2, 3, 1]), values[[2, 3, 1]])]
    entry = store.put_rows("descriptors", SPECIFICATION, "values", (6, 3), chunks)
    values[4] = 0
    np.testing.assert_array_equal(entry.arrays["values"], values)


@pytest.mark.parametrize("damage", ["bit", "short", "meta", "missing"])
def test_a_damaged_entry_is_reported_and_counts_as_absent(store, damage):
    entry = put(store)
    folder = store.folder(entry.kind, entry.key)
    path = folder / ("meta.json" if damage == "meta" else "values.npy")
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[-3] ^= 1
        path.write_bytes(content[:-4] if damage == "short" else content)
    fresh = Store(store.path)
    assert list(fresh.verify()) == [f"descriptors/{entry.key}"]
    with pytest.warns(UserWarning, match="damaged and will be rebuilt"):
        assert fresh.get("descriptors", SPECIFICATION) is None
    assert not folder.exists()
    put(fresh)
    assert fresh.verify() == {}


def test_verify_with_repair_removes_what_is_damaged_and_nothing_else(store):
    kept, broken = put(store), put(store, {"other": 1})
    (store.folder(broken.kind, broken.key) / "values.npy").write_bytes(b"")
    assert list(store.verify(repair=True)) == [f"descriptors/{broken.key}"]
    assert [entry.key for entry in store.entries()] == [kept.key]


def test_of_two_writers_the_first_wins_and_both_get_the_same(store):
    first = put(store)
    second = put(Store(store.path), values=matrix() + 1)
    np.testing.assert_array_equal(first.arrays["values"], second.arrays["values"])
    assert list((store.path / "tmp").iterdir()) == []


def test_many_writers_at_once(store):
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda n: put(Store(store.path), {"n": n % 3}, matrix() + n % 3), range(48)))
    assert {float(entry.arrays["values"][0, 0]) for entry in entries} == {float((matrix() + n)[0, 0]) for n in range(3)}
    assert store.verify() == {}
    assert len(store.entries()) == 3


def test_a_writer_that_is_killed_leaves_no_entry(store):
    script = (
        "import numpy as np, os, sys, time; from cbirlab.store import Store\n"
        "def chunks():\n"
        "    yield np.array([0]), np.ones((1, 3))\n"
        "    print('writing', flush=True); time.sleep(60)\n"
        "Store(sys.argv[1]).put_rows('descriptors', {'a': 1}, 'values', (2, 3), chunks())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        process.kill()
    assert store.get("descriptors", {"a": 1}) is None
    assert store.entries() == []
    left = next((store.path / "tmp").iterdir())
    os.utime(left, (0, 0))
    for file in left.iterdir():
        os.utime(file, (0, 0))
    assert store.prune() > 0
    assert not left.exists()


def test_full_disk_is_a_clear_error_and_leaves_nothing_behind(store, monkeypatch):
    put(store)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "write_all", full)
    with pytest.raises(StoreUnwritable, match=r"No space left on device.*CBIRLAB_STORE"):
        store.put_rows("descriptors", {"b": 1}, "values", (1, 3), [(np.array([0]), np.ones((1, 3)))])
    assert list((store.path / "tmp").iterdir()) == []
    assert len(store.entries()) == 1


def test_a_file_limit_of_the_system_is_an_error_and_not_the_end_of_the_process(store):
    script = (
        "import numpy as np, resource, signal, sys; from cbirlab.store import Store, StoreUnwritable\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: Store(sys.argv[1]).put('descriptors', {}, {'values': np.ones((100, 100))})\n"
        "except StoreUnwritable as error: print(error)\n"
    )
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", script, str(store.path)], capture_output=True, text=True, check=True)
    assert "cannot write (File too large)" in done.stdout


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX here")
def test_a_read_only_store_is_read_and_refuses_to_be_written(store):
    put(store)
    script = (
        "import mmap, os, sys; from cbirlab.store import Store, StoreUnwritable; import numpy as np, numpy.lib.format\n"
        "os.geteuid() == 0 and os.setuid(65534)\n"
        "store = Store(sys.argv[1]); entry = store.get('descriptors', {'what': 'numbers', 'size': 3})\n"
        "print(entry.arrays['values'].shape)\n"
        "try: store.put('descriptors', {}, {'values': np.ones(3)})\n"
        "except StoreUnwritable as error: print(error)\n"
    )
    folders = [store.path, *(path for path in store.path.rglob("*") if path.is_dir())]
    parents = [
        path for path in store.path.parents if any(one.name.startswith("pytest") for one in (path, *path.parents))
    ]
    modes = {path: path.stat().st_mode for path in [*folders, *parents]}
    try:
        for path in parents:
            path.chmod(0o755)
        for path in folders:
            path.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", script, str(store.path)], capture_output=True, text=True)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(5, 3)\n")
    assert "cannot write (Permission denied)" in done.stdout


def test_a_store_that_cannot_be_made_says_where():
    with pytest.raises(StoreUnwritable, match=r"/dev/null/store: cannot write"):
        put(Store("/dev/null/store"))


@pytest.mark.parametrize("options", [{"keep_bytes": -1}, {"older_than_days": -1.0}, {"older_than_days": float("nan")}])
def test_prune_refuses_what_would_empty_the_store_by_mistake(store, options):
    with pytest.raises(ValueError, match=r"prune: .* must be a number >= 0"):
        store.prune(**options)


def test_prune_removes_the_least_recently_used(store):
    entries = [put(store, {"n": n}) for n in range(4)]
    now = time.time()
    for age, entry in enumerate(entries):
        os.utime(store.folder(entry.kind, entry.key) / "meta.json", (now - 86400 * age, now - 86400 * age))
    assert store.prune(older_than_days=2.5) == entries[3].size_bytes
    assert store.prune(keep_bytes=2 * entries[0].size_bytes) == entries[2].size_bytes
    assert [entry.key for entry in store.entries()] == [entries[0].key, entries[1].key]
    store.prune(keep_bytes=0)
    assert store.entries() == []


def test_a_budget_is_kept_while_writing(tmp_path):
    store = Store(tmp_path, budget_bytes=500)
    for n in range(10):
        put(store, {"n": n})
    assert sum(entry.size_bytes for entry in store.entries()) <= 500
    assert store.has("descriptors", {"n": 9})


def test_shards_survive_and_damaged_ones_count_as_missing(store):
    shards = Shards(store, "base")
    shards.write(0, {"a": matrix(), "b": matrix(2)})
    np.testing.assert_array_equal(Shards(store, "base").read(0, "a"), matrix())
    assert shards.read(1, "a") is None
    path = shards.folder / "000000" / "a.shard"
    path.write_bytes(path.read_bytes()[:-1])
    assert shards.read(0, "a") is None
    shards.drop(["a", "b"], 1)
    assert not shards.folder.exists()


def test_sealed_bytes_tell_any_change():
    sealed = bytearray(seal(matrix()))
    np.testing.assert_array_equal(unseal(bytes(sealed)), matrix())
    for place in range(0, len(sealed), 7):
        changed = sealed.copy()
        changed[place] ^= 4
        assert unseal(bytes(changed)) is None
    assert unseal(b"") is None


def test_the_store_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "here"))
    assert Store().path == tmp_path / "here"
    monkeypatch.delenv("CBIRLAB_STORE")
    assert "cbirlab" in Store().path.parts


def test_a_single_number_comes_back_without_axes(store):
    entry = store.put("fitted", {"of": "a number"}, {"count": np.asarray(5), "turned": np.ones((3, 2)).T})
    assert entry.arrays["count"].shape == ()
    assert entry.arrays["turned"].shape == (2, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.ones((2, 3), "<f4"),
        np.array(3.5),
        np.zeros((0, 4), "<f4"),
        np.array(["ab", "c"]),
        np.asfortranarray(np.eye(3)),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_arrays_are_mapped_as_numpy_maps_them_without_a_tree_of_syntax(array, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", array)
    known = np.load(tmp_path / "a.npy", mmap_mode="r")
    monkeypatch.setattr(np, "load", None)
    found = map_array(tmp_path / "a.npy")
    assert (found.dtype, found.shape, found.flags.f_contiguous) == (known.dtype, known.shape, known.flags.f_contiguous)
    np.testing.assert_array_equal(found, known)


def test_an_entry_of_a_kind_that_nobody_would_check_or_prune_is_refused(tmp_path):
    store = Store(tmp_path)
    for use in (store.get, store.has, lambda kind, facts: store.put(kind, facts, {"x": np.ones(1)})):
        with pytest.raises(ValueError, match=r"kind must be one of 'descriptors', .*, got 'notes'"):
            use("notes", {"a": 1})
    for kind in KINDS:
        store.put(kind, {"a": 1}, {"x": np.ones(1)})
    assert {entry.kind for entry in store.entries()} == set(KINDS)


def test_a_class_reads_one_store_that_it_cannot_write(tmp_path):
    """What was prepared is read; what was not is computed for the one who asks, kept in memory, and the store stays."""
    kept, towers = tmp_path / "store", str(write_toytown_form(tmp_path / "towers"))
    options = {"weights": "random", "store": Store(kept)}
    lecturer = Session(towers, "toynet", **options)
    lecturer.prepare(progress=False)
    asked = ("layer4", "gem(p=3)", "pca")
    wanted = lecturer.rank(*asked).metrics
    shutil.rmtree(kept / "tmp", ignore_errors=True)
    (kept / "tmp").write_text("")  # nothing can be written beside it: for root, permissions would not do
    before = sorted(kept.rglob("*"))
    student = Session(towers, "toynet", weights="random", store=Store(kept))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        student.prepare(progress=False)
        assert student.rank(*asked).metrics == wanted
    with pytest.warns(UserWarning, match="cannot write .* Results are kept in memory for now"):
        assert student.rank("layer3", "rmac(levels=2)", "none").metrics["map_medium"] > 0
    assert sorted(kept.rglob("*")) == before
