"""Extract: the grid from one pass, against one plain pass per image; and everything that can go wrong meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cbirlab import images
from cbirlab.aggregation import AGGREGATIONS, Aggregation, pooling
from cbirlab.backbones import load_backbone, taps
from cbirlab.datasets import Dataset, Query, load_dataset
from cbirlab.extract import (
    Computed,
    Descriptors,
    Network,
    Request,
    Shard,
    ShardsMissing,
    assemble,
    batches,
    compute,
    decode,
    estimate,
    extract,
    local,
    loop,
    machine,
    plan,
)
from cbirlab.extract import __name__ as extract_name
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.extract.pooling import pool
from cbirlab.images.preprocessing import target_size
from cbirlab.store import Entry, Store, StoreUnwritable
from cbirlab.store.shards import Shards

TAPS = ("stem", "layer2", "layer4")
SPECS = [Aggregation.parse(name) for name in ("mac", "spoc", "gem(p=3)")]
GRID: dict[str, Any] = {"taps": TAPS, "aggregations": SPECS, "progress": False, "batch_pixels": 4 * 48 * 64}


def emptied(monkeypatch, name: str) -> None:
    """Take a pooling out of the registry, until the test has ended."""
    for held in ("_entries", "_info"):
        monkeypatch.setattr(AGGREGATIONS, held, {**getattr(AGGREGATIONS, held)})
    AGGREGATIONS.remove(name)


@pytest.fixture(scope="module")
def toynet():
    return load_backbone("toynet", "random")


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(batches, "SHARD_IMAGES", 8)


def slow_descriptor(backbone, path: Path, box, tap: str, spec: Aggregation, size: int = 64) -> np.ndarray:
    """One image, one tap, one aggregation: the naive way."""
    pixels = images.prepare(path, image_size=size, box=box, mean=backbone.mean, std=backbone.std)
    return spec.apply(taps.forward(backbone, pixels[None], [tap])[tap])[0].numpy()


def test_the_grid_is_what_one_pass_per_cell_gives(things, toynet, store):
    boxed = replace(things, queries=tuple(Query(path, (5.0, 8.0, 40.0, 44.0)) for path in things.images[:7]), labels=())
    found = extract(boxed, toynet, store=store, **GRID)
    assert found.computed_images == 40 + 7 + 24
    assert len(found) == len(TAPS) * len(SPECS)
    rows = {
        "images": [(path, None) for path in boxed.images],
        "queries": [(query.path, query.box) for query in boxed.queries],
        "train": [(path, None) for path in boxed.train],
    }
    for tap in TAPS:
        for spec in SPECS:
            for part, members in rows.items():
                values = found[tap, spec.key][part]
                assert values.shape == (len(members), toynet.taps[tap].channels)
                assert values.dtype == np.float32
                expected = [slow_descriptor(toynet, path, box, tap, spec) for path, box in members]
                np.testing.assert_allclose(values, expected, rtol=2e-4, atol=1e-5)


def compute_elsewhere(shards: list[Shard], store: Path, seed: int) -> list[Computed]:
    """In a process that knows nothing but this: a backbone of its own, and the shards that it was sent."""
    torch.set_num_threads(1)
    network = Network(load_backbone("toynet", "random", seed=seed))
    return [compute(shard, network, Store(store)) for shard in shards]


def test_shards_computed_in_another_order_and_process_assemble_to_the_same_bits(things, toynet, store, small_shards):
    boxed = replace(things, queries=tuple(Query(path, (5.0, 8.0, 40.0, 44.0)) for path in things.images[:9]), labels=())
    options = {name: value for name, value in GRID.items() if name != "progress"} | {"scales": (1.0, 0.7)}
    here = extract(boxed, toynet, store=store, **options, progress=False)
    there = Store(store.path / "there")
    planned = plan(Request(boxed, toynet, **options), there)
    assert (estimated := estimate(boxed, toynet, store=there, **options)).images == here.computed_images
    with pytest.raises(ShardsMissing, match="shard 0 of things images is not there"):
        assemble(planned, there)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        first = pool.submit(compute_elsewhere, planned.shards[::-2], there.path, 0).result()
    left = plan(Request(boxed, toynet, **options), there)
    assert [(one.base, one.number) for one in left.shards] == [
        (one.base, one.number) for one in planned.shards[-2::-2]
    ][::-1]
    others = compute_elsewhere([*reversed(left.shards)], there.path, 0)
    found = assemble(left, there, [*others, *first])
    assert found.computed_images == here.computed_images
    assert sum(entry.size_bytes for entry in there.entries()) >= estimated.size_bytes
    assert not (there.path / "partial").exists() or not [*(there.path / "partial").iterdir()]
    assert found.keys == here.keys
    for cell in here:
        for part, values in here[cell].items():
            np.testing.assert_array_equal(found[cell][part], values)
    again = plan(Request(boxed, toynet, **options), there)
    assert (again.shards, again.size_bytes) == ((), 0)


def test_a_second_time_nothing_is_computed(things, toynet, store, monkeypatch):
    first = extract(things, toynet, store=store, **GRID)
    monkeypatch.setattr(loop, "decode_ahead", None)
    again = extract(things, toynet, store=Store(store.path), **GRID)
    assert again.computed_images == 0
    for name in first:
        for part in ("images", "queries", "train"):
            np.testing.assert_array_equal(first[name][part], again[name][part])
            assert isinstance(again[name][part], np.memmap)


def test_queries_that_are_the_database_images_are_computed_once(things, toynet, store):
    found = extract(things, toynet, store=store, parts=["images", "queries"], **GRID)
    assert found.computed_images == 40
    np.testing.assert_array_equal(found["stem", "mac"]["images"], found["stem", "mac"]["queries"])


def test_queries_that_are_the_database_images_may_be_described_in_another_way(things, toynet, store):
    """As ASMK does, which assigns a query's columns to several words and an image's to one."""
    from cbirlab.extract import State

    spec = Aggregation.parse("asmk(k=4)")
    words = spec.learn(np.random.default_rng(0).random((64, 24), np.float32), np.repeat(np.arange(8), 8))
    state = State(spec.prepare(words), "these words", spec.prepare(words, queries=True))
    options = {"taps": ["layer1"], "aggregations": [spec], "parts": ["images", "queries"], "progress": False}
    both = extract(things, toynet, states={("layer1", spec.key): state}, store=store, **options)
    found = both["layer1", spec.key]
    assert both.computed_images == 40, "one pass gives both"
    for part, value in (("images", state.value), ("queries", state.of_queries)):
        alone = extract(
            things, toynet, **options | {"parts": ["images"]}, store=Store(store.path / part),
            states={("layer1", spec.key): State(value, "these words")},
        )  # fmt: skip
        np.testing.assert_array_equal(found[part], alone["layer1", spec.key]["images"])
    assert not np.array_equal(found["images"], found["queries"])


def test_only_what_is_missing_is_computed(things, toynet, store):
    extract(things, toynet, taps=["stem"], aggregations=SPECS, store=store, progress=False)
    before = {entry.key for entry in store.entries()}
    extract(things, toynet, store=store, **GRID)
    after = {entry.key for entry in store.entries()}
    assert before < after
    assert len(after - before) == 2 * len(SPECS) * 2  # two taps; images (also the queries) and train


@pytest.mark.parametrize(
    "change",
    ["weights", "image_size", "scale", "precision", "aggregation", "bytes", "box", "mean", "code", "function"],
)
def test_whatever_the_result_depends_on_is_in_the_key(things, toynet, store, change, monkeypatch, tmp_path):
    def keys(dataset=things, backbone=toynet, aggregation="gem", **options):
        specs = [Aggregation.parse(aggregation)]
        found = extract(
            dataset,
            backbone,
            taps=["stem"],
            aggregations=specs,
            parts=["queries"],
            store=store,
            progress=False,
            **options,
        )
        return set(found.keys["stem", specs[0].key].values())

    original = keys()
    assert keys() == original
    if change == "weights":
        changed = keys(backbone=load_backbone("toynet", "random", seed=1))
    elif change == "mean":
        changed = keys(backbone=replace(toynet, mean=(0.4, 0.4, 0.4)))
    elif change == "image_size":
        changed = keys(image_size=48)
    elif change == "scale":
        changed = keys(scales=(0.5,))
    elif change == "precision":
        changed = keys(precision="bfloat16")
    elif change == "aggregation":
        changed = keys(aggregation="gem(p=3.5)")
    elif change == "box":
        boxed = (replace(things.queries[0], box=(0.0, 0.0, 20.0, 20.0)), *things.queries[1:])
        changed = keys(replace(things, queries=boxed))
    elif change == "bytes":
        copied = tmp_path / "copy.png"
        shutil.copyfile(things.images[1], copied)
        changed = keys(replace(things, queries=(Query(copied), *things.queries[1:])))
    elif change == "code":
        monkeypatch.setattr("cbirlab.extract.cache_keys.ROOMS", ("images",))
        changed = keys()
    else:
        original_function = AGGREGATIONS["gem"]
        emptied(monkeypatch, "gem")
        pooling("gem", title="Not GeM")(lambda maps: original_function(maps) * 2)
        changed = keys(aggregation=Aggregation.parse("gem"))
    assert changed.isdisjoint(original)


def test_the_same_bytes_elsewhere_are_found_again(things, toynet, store, tmp_path, pictures):
    extract(things, toynet, store=store, **GRID)
    shutil.copytree(pictures, tmp_path / "moved")
    moved = load_dataset(tmp_path / "moved", name="other", image_size=64)
    assert extract(moved, toynet, store=store, parts=["images"], **GRID).computed_images == 0


def test_scales_are_averaged_after_normalisation(things, toynet, store):
    spec = SPECS[2]
    single = [
        extract(things, toynet, taps=["layer2"], aggregations=[spec], scales=(scale,), parts=["images"], store=store)
        for scale in (1.0, 0.7)
    ]
    both = extract(
        things, toynet, taps=["layer2"], aggregations=[spec], scales=(1.0, 0.7), parts=["images"], store=store
    )
    assert both.computed_images == 0
    unit = [
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for values in (one["layer2", spec.key]["images"] for one in single)
    ]
    np.testing.assert_allclose(both["layer2", spec.key]["images"], (unit[0] + unit[1]) / 2, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="scales must be"):
        extract(things, toynet, taps=["stem"], aggregations=[spec], scales=(), store=store)


def broken_folder(pictures: Path, tmp_path: Path) -> Path:
    """The drawn pictures, and among them one that is cut off in the middle of its pixels and one that is 1 x 1."""
    folder = tmp_path / "broken"
    shutil.copytree(pictures, folder)
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "thing0" / "cut.jpg")
    whole = (folder / "thing0" / "cut.jpg").read_bytes()
    (folder / "thing0" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 1), "red").save(folder / "thing1" / "dot.png")
    return folder


def test_an_unreadable_image_is_reported_and_the_others_are_kept(pictures, toynet, store, tmp_path, small_shards):
    dataset = load_dataset(broken_folder(pictures, tmp_path), image_size=64)
    row = [path.name for path in dataset.images].index("cut.jpg")
    with pytest.warns(UserWarning, match=r"1 images cannot be used.*cut\.jpg"):
        found = extract(dataset, toynet, store=store, parts=["images"], **GRID)
    values = found["stem", "mac"]["images"]
    assert list(found.skipped["images"]) == [row]
    assert "cut.jpg" in found.skipped["images"][row]
    assert not values[row].any()
    assert np.delete(values, row, axis=0).any(axis=1).all()
    with pytest.warns(UserWarning, match=r"cut\.jpg"):  # said again when it comes from the store
        again = extract(dataset, toynet, store=store, parts=["images"], **GRID)
    assert again.skipped == found.skipped
    assert again.computed_images == 0


def test_images_too_small_for_the_network_are_reported(pictures, store, tmp_path):
    network = load_backbone("squeezenet1_1", "random")
    dataset = load_dataset(broken_folder(pictures, tmp_path), image_size=64)
    with pytest.warns(UserWarning, match=r"dot\.png: 1 x 1 pixels are too few, the network needs"):
        found = extract(dataset, network, taps=["conv1"], aggregations=SPECS[:1], parts=["images"], store=store)
    assert len(found.skipped["images"]) == 2


def test_nothing_readable_is_an_error(tmp_path, toynet, store):
    path = tmp_path / "no.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match="none of the 1 images can be read"):
        extract(Dataset("bad", (path,)), toynet, store=store, **GRID)


KILLED = """
import sys, time, warnings
from pathlib import Path
import torch; torch.set_num_threads(1)
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import load_backbone
from cbirlab.datasets import load_dataset
from cbirlab.extract import batches, extract, loop
from cbirlab.store import Store
batches.SHARD_IMAGES = 8
write = loop.Shards.write
def slow_write(self, shard, columns):
    write(self, shard, columns)
    print(shard, flush=True)
    time.sleep(float(sys.argv[3]))
loop.Shards.write = slow_write
specs = [Aggregation.parse(name) for name in ("mac", "spoc", "gem(p=3)")]
dataset = load_dataset(sys.argv[1], image_size=64)
found = extract(dataset, load_backbone("toynet", "random"), taps=("stem", "layer2", "layer4"), aggregations=specs,
                parts=["images"], store=Store(sys.argv[2]), progress=False, batch_pixels=4 * 48 * 64,
                engine=sys.argv[4])
print("done", found.computed_images, flush=True)
"""


def start(pictures: Path, store: Store, pause: float, engine: str) -> subprocess.Popen:
    command = [sys.executable, "-c", KILLED, str(pictures), str(store.path), str(pause), engine]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def descriptors(store: Store) -> list[Entry]:
    return [entry for entry in store.entries() if entry.kind == "descriptors"]


@pytest.mark.parametrize(("how", "engine"), [("kill", "torch"), ("interrupt", "torch"), ("kill", "openvino")])
def test_a_run_that_is_ended_goes_on_and_loses_at_most_one_shard(pictures, toynet, store, small_shards, how, engine):
    with start(pictures, store, 0.5, engine) as process:
        for _ in range(3):
            assert process.stdout.readline()
        if how == "kill":
            process.kill()
        else:
            process.send_signal(2)
    assert process.returncode != 0
    assert descriptors(store) == []
    dataset = load_dataset(pictures, image_size=64)
    resumed = extract(dataset, toynet, store=store, parts=["images"], engine=engine, **GRID)
    assert resumed.computed_images <= 40 - 3 * 8
    assert list((store.path / "partial").iterdir()) == []
    fresh = extract(dataset, toynet, store=Store(store.path.parent / "fresh"), parts=["images"], **GRID)
    rounding = 1e-6 if engine == "torch" else 1e-5  # of OpenVINO's graphs for all shapes and for one, whichever was met
    for name in fresh:
        np.testing.assert_allclose(resumed[name]["images"], fresh[name]["images"], rtol=1e-5, atol=rounding)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_two_processes_fill_one_store_at_once(pictures, toynet, store, small_shards, engine):
    processes = [start(pictures, store, 0.05, engine) for _ in range(2)]
    for process in processes:
        output = process.communicate(timeout=120)[0]
        assert "done" in output
        assert process.returncode == 0
    assert store.verify() == {}
    assert len(descriptors(store)) == len(TAPS) * len(SPECS)
    dataset = load_dataset(pictures, image_size=64)
    found = extract(dataset, toynet, store=store, parts=["images"], engine=engine, **GRID)
    assert found.computed_images == 0
    path = load_dataset(pictures).images[11]
    np.testing.assert_allclose(
        found["layer4", "mac"]["images"][11],
        slow_descriptor(toynet, path, None, "layer4", SPECS[0]),
        rtol=2e-4,
        atol=1e-5,
    )


def test_a_damaged_shard_is_computed_again(things, toynet, store, small_shards, monkeypatch):
    stop = Shards.drop
    monkeypatch.setattr(Shards, "drop", lambda *_: None)
    whole = extract(things, toynet, store=store, parts=["images"], **GRID)
    monkeypatch.setattr(Shards, "drop", stop)
    expected = {name: np.array(whole[name]["images"]) for name in whole}
    shutil.rmtree(store.path / "descriptors")
    broken = sorted((store.path / "partial").rglob("*.shard"))[0]
    broken.write_bytes(broken.read_bytes()[:-7] + b"0123456")
    again = extract(things, toynet, store=Store(store.path), parts=["images"], **GRID)
    assert 0 < again.computed_images <= 16
    for name, values in expected.items():
        np.testing.assert_allclose(again[name]["images"], values, rtol=1e-5, atol=1e-6)


def test_a_damaged_entry_is_rebuilt(things, toynet, store):
    extract(things, toynet, store=store, parts=["images"], **GRID)
    folder = store.folder("descriptors", store.entries()[0].key)
    content = bytearray((folder / "values.npy").read_bytes())
    content[-1] ^= 1
    (folder / "values.npy").write_bytes(content)
    with pytest.warns(UserWarning, match="damaged and will be rebuilt"):
        extract(things, toynet, store=Store(store.path), parts=["images"], **GRID)
    assert Store(store.path).verify() == {}


def full_disk(monkeypatch, after: int) -> None:
    import errno

    write, count = Shards.write, [0]

    def writing(self, shard, columns):
        count[0] += 1
        if count[0] > after:
            with self.store.writing():
                raise OSError(errno.ENOSPC, "No space left on device")
        write(self, shard, columns)

    monkeypatch.setattr(Shards, "write", writing)


def test_on_a_full_disk_the_work_goes_on_in_memory(things, toynet, store, small_shards, monkeypatch):
    full_disk(monkeypatch, after=2)
    with pytest.warns(UserWarning, match=r"No space left on device.*kept in memory"):
        found = extract(things, toynet, store=store, parts=["images"], **GRID)
    monkeypatch.undo()
    monkeypatch.setattr(batches, "SHARD_IMAGES", 8)
    elsewhere = extract(things, toynet, store=Store(store.path.parent / "fresh"), parts=["images"], **GRID)
    for name in found:
        np.testing.assert_allclose(found[name]["images"], elsewhere[name]["images"], rtol=1e-5, atol=1e-6)
    resumed = extract(things, toynet, store=store, parts=["images"], **GRID)
    assert resumed.computed_images < 40  # the shards that were written before are used


def test_a_full_disk_and_too_much_for_memory_is_an_error_that_keeps_the_shards(
    things, toynet, store, small_shards, monkeypatch
):
    full_disk(monkeypatch, after=2)
    monkeypatch.setattr(local, "MEMORY_BYTES", 1000)
    with pytest.warns(UserWarning, match="kept in memory"), pytest.raises(StoreUnwritable, match="run again"):
        extract(things, toynet, store=store, parts=["images"], **GRID)
    monkeypatch.undo()
    monkeypatch.setattr(batches, "SHARD_IMAGES", 8)
    assert extract(things, toynet, store=store, parts=["images"], **GRID).computed_images < 40


def test_without_a_store_that_can_be_made_the_work_goes_on_in_memory(things, toynet):
    with pytest.warns(UserWarning, match=r"/dev/null/store: cannot write"):
        found = extract(things, toynet, store=Store("/dev/null/store"), parts=["images"], **GRID)
    assert found["layer4", "mac"]["images"].any(axis=1).all()


def test_the_estimate_is_what_the_store_then_grows_by(things, toynet, store):
    before = estimate(things, toynet, taps=TAPS, aggregations=SPECS, store=store)
    assert before.images == 40 + 24
    extract(things, toynet, store=store, **GRID)
    arrays = sum(entry.size_bytes for entry in store.entries())
    assert before.size_bytes <= arrays <= before.size_bytes + 256 * len(store.entries())
    assert before.free_bytes > 0
    after = estimate(things, toynet, taps=TAPS, aggregations=SPECS, store=store)
    assert (after.images, after.size_bytes) == (0, 0)


def test_a_run_that_cannot_fit_is_refused_before_it_begins(things, toynet, store, monkeypatch):
    monkeypatch.setattr(Store, "free_bytes", lambda _: 10**6)
    monkeypatch.setattr(local, "MEMORY_BYTES", 1000)
    monkeypatch.setattr("cbirlab.extract.planning.width", lambda *_: 10**9)
    with pytest.raises(StoreUnwritable, match=r"GB are needed and 0\.0 GB are free"):
        extract(things, toynet, store=store, **GRID)
    assert store.entries() == []


def test_decoding_ahead_is_bounded_and_in_order(things):
    items = batches.part_items(things, "images")
    single = [batches.Batch((row,), (48, 64)) for row in range(40)]
    started = []

    class Counting(list):
        def __getitem__(self, row):
            started.append(row)
            return super().__getitem__(row)

    stream = decode.decode_ahead(single, Counting(items), ahead_pixels=4 * 48 * 64, image_size=64)
    rows = [next(stream).rows for _ in range(3)]
    assert rows == [(0,), (1,), (2,)]
    assert len(started) <= 3 + 5
    stream.close()


def test_batches_hold_one_size_each_and_shards_whole_batches(things, store):
    items = batches.part_items(things, "images")
    prints = fingerprints([item.path for item in items], store)
    made = batches.make_batches(items, prints, image_size=64, scale=1.0, batch_pixels=5 * 48 * 64)
    dealt = [batch for shard in made.shards for batch in shard]
    assert sorted(row for batch in dealt for row in batch.rows) == list(range(40))
    for batch in dealt:
        assert len(batch.rows) <= 5
        assert {target_size(*images.size(items[row].path), 64) for row in batch.rows} == {batch.size}
    assert made == batches.make_batches(items, prints, image_size=64, scale=1.0, batch_pixels=5 * 48 * 64)


def test_fingerprints_are_remembered_until_a_file_changes(tmp_path, store, monkeypatch):
    from cbirlab.extract import fingerprint as room

    path = tmp_path / "a.png"
    Image.new("RGB", (20, 10), "red").save(path)
    first = fingerprints([path], store)[path]
    assert (first.height, first.width, first.problem) == (10, 20, "")
    looked = []
    original = room._look_at
    monkeypatch.setattr(room, "_look_at", lambda path: looked.append(path) or original(path))
    assert fingerprints([path], store)[path] == first
    assert looked == []
    time.sleep(0.01)
    Image.new("RGB", (30, 10), "blue").save(path)
    assert fingerprints([path], store)[path].width == 30
    assert looked == [path]
    assert "no such file" in fingerprints([tmp_path / "b.png"], store)[tmp_path / "b.png"].problem.lower()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "shape", [(3, 5, 7, 9), (2, 64, 1, 1), (4, 3, 60, 80), (5, 16, 13, 19), (2, 24, 90, 80), (2, 200, 9, 8)]
)
def test_pooling_together_is_pooling_one_by_one(layout, dtype, shape):
    generator = torch.Generator().manual_seed(sum(shape))
    maps = torch.randn(shape, generator=generator).relu().mul(3).to(dtype).to(memory_format=layout)
    names = ["mac", "spoc", "spoc(centre_prior=True)", "gem(p=3)"]
    for chosen in (names, ["gem(p=2.5)"], ["mac", "gem(p=1)", "gem(p=4.5)", "gem(p=10)"], ["spoc"]):
        specs = [Aggregation.parse(name) for name in chosen]
        pooled = pool(maps, specs)
        assert list(pooled) == [spec.key for spec in specs]
        for spec in specs:
            expected = spec.apply(maps.contiguous().float()).numpy()
            np.testing.assert_allclose(pooled[spec.key], expected, rtol=1e-5, atol=1e-7, err_msg=spec.key)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-7, 1e11, 1e30])
def test_pooling_together_neither_overflows_nor_underflows(scale):
    maps = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0)) * scale
    specs = [Aggregation.parse(name) for name in ("mac", "gem(p=3)")]
    for layout in (torch.contiguous_format, torch.channels_last):
        for key, values in pool(maps.to(memory_format=layout), specs).items():
            expected = Aggregation.parse(key).apply(maps).numpy()
            np.testing.assert_allclose(values, expected, rtol=3e-6, err_msg=key)


def test_a_pooling_method_defined_by_the_user_is_used(monkeypatch):
    emptied(monkeypatch, "mac")
    pooling("mac", title="Not MAC")(lambda maps: maps.amin((-2, -1)))
    maps = torch.rand(2, 3, 4, 5)
    np.testing.assert_array_equal(pool(maps, SPECS[:1])["mac"], maps.amin((-2, -1)).numpy())


def test_values_that_overflow_are_refused():
    with pytest.raises(FloatingPointError, match="precision='float32'"):
        pool(torch.full((1, 2, 3, 3), float("inf")), SPECS[:1])


def test_descriptors_name_what_they_have():
    with pytest.raises(KeyError, match=r"No descriptors of \('a', 'mac'\); there are \(b, mac\)"):
        Descriptors({("b", "mac"): {}}, {}, {})["a", "mac"]
    assert extract_name == "cbirlab.extract"


def test_bfloat16_is_near_float32(things, toynet, store):
    both = [
        extract(things, toynet, store=store, parts=["images"], precision=one, **GRID) for one in ("float32", "bfloat16")
    ]
    exact, rounded = (one["layer4", "gem(p=3)"]["images"] for one in both)
    cosine = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert cosine.min() > 0.999
    assert not np.array_equal(exact, rounded)


def test_memory_is_kept_while_anybody_extracts_and_handed_back_afterwards(monkeypatch):
    told = []

    class Library:
        def mallopt(self, parameter, value):
            told.append((parameter, value))

        def malloc_trim(self, pad):
            told.append("trimmed")

    monkeypatch.setattr(machine, "_glibc", Library)
    with machine.keep_memory():
        with machine.keep_memory():
            pass
        assert "trimmed" not in told
        assert told[-1][1] > 1 << 28
    assert told[-1] == "trimmed"
    assert dict(told[-3:-1]) == machine._USUAL
    monkeypatch.setattr(machine, "_glibc", lambda: None)
    told.clear()
    with machine.keep_memory():
        assert told == []
