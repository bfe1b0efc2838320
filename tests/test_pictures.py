"""Features of pictures: described once, kept by content, never stale; and what they give on real pictures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from test_geometry import scene

from cbirlab import images
from cbirlab.backbones import load_backbone
from cbirlab.cli import main
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.base import Query
from cbirlab.evaluation import evaluate
from cbirlab.pipeline import Bench, Recipe, pictures
from cbirlab.pipeline.picture_kinds import kind_of, tap_from_last
from cbirlab.pipeline.pictures import DatasetPictures
from cbirlab.reranking import Answers, Gallery, rerank_answers
from cbirlab.store import Store

TURNED = 4  # the image that shows the query, turned and smaller


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Seven textured pictures; one shows another one turned by 30 degrees at .7 of its size."""
    where = tmp_path_factory.mktemp("textures")
    turn = cv2.getRotationMatrix2D((160, 120), 30, 0.7)
    for number in range(7):
        seen = cv2.warpAffine(scene(seed=100), turn, (320, 240)) if number == TURNED else scene(seed=number)
        Image.fromarray(seen).save(where / f"{number}.png")
    Image.fromarray(scene(seed=100)).save(where / "query.png")
    return where


@pytest.fixture
def textures(folder) -> Dataset:
    paths = tuple(folder / f"{number}.png" for number in range(7))
    query = folder / "query.png"
    asked = (Query(query), Query(query, (80.0, 60.0, 240.0, 180.0)), Query(query, (80.0, 60.0, 241.5, 180.0)))
    return Dataset("textures", paths, asked, tuple({"positive": (TURNED,)} for _ in asked), image_size=320)


def of(dataset: Dataset, store: Store, **fields) -> DatasetPictures:
    network = load_backbone("toynet", "random")
    recipe = Recipe(weights="random", **fields).resolved(dataset, network)
    return DatasetPictures(dataset, network, recipe, store=store, progress=False)


def answers_of(bench: Bench, recipe: Recipe, shown) -> Answers:
    rows, asked = (part.values for part in bench.pair(recipe))
    found = Answers.of_exact(asked, Gallery(rows))
    return replace(found, asked=np.arange(len(asked)), pictures=shown)


def same(one, other) -> None:
    for name in ("places", "descriptors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.size == other.size


# What is described


def test_features_are_those_of_the_picture_as_its_descriptor_sees_it(textures, store):
    shown = of(textures, store, image_size=200)
    (found,) = shown.of_images("keypoints", [2])
    pixels = images.pixels(textures.images[2], image_size=200)
    same(found, pictures_of(pixels))
    assert found.size == (150, 200)
    whole, part, touched = shown.of_queries("keypoints", [0, 1, 2])
    assert (whole.size, part.size, touched.size) == ((150, 200), (75, 100), (75, 101))
    same(part, pictures_of(images.pixels(textures.queries[1].path, image_size=200, box=textures.queries[1].box)))
    assert of(textures, store, image_size=200, crop="box_resized").of_queries("keypoints", [1])[0].size == (150, 200)
    assert of(textures, store, image_size=200, crop="none").of_queries("keypoints", [1])[0].size == (150, 200)
    assert of(textures, store, image_size=200, resize="square").of_images("keypoints", [1])[0].size == (200, 200)


def pictures_of(pixels):
    from cbirlab.reranking.keypoints import Keypoints

    return Keypoints.found_in(pixels)


def test_maps_are_those_of_the_network(textures, store):
    shown = of(textures, store)
    (found,) = shown.of_images("maps/2", [3])
    assert (found.dtype, found.shape, type(found)) == (np.float32, (96, 15, 20), np.ndarray)
    network = load_backbone("toynet", "random")
    from cbirlab.extract.network import Network

    pixels = images.pixels(textures.images[3], image_size=320)
    expected = Network(network).maps(pixels[None].copy(), ["layer3"])["layer3"][0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    assert shown.of_images("maps/1", [3])[0].shape[0] == 192
    assert (tap_from_last(network, 1), tap_from_last(network, 5)) == ("layer4", "stem")


def test_kinds_that_are_not(textures, store):
    shown = of(textures, store)
    for wrong in ("keypoint", "keypoints/2", "maps", "maps/x"):
        with pytest.raises(ValueError, match="kind must be"):
            shown.of_images(wrong, [0])
    with pytest.raises(ValueError, match="tap must be the place of a map of toynet, counted from the deepest, got 9"):
        shown.of_images("maps/9", [0])
    with pytest.raises(ValueError, match="its maps: none"):
        kind_of("maps/1", load_backbone("handcrafted"), "float32")


def test_a_picture_from_outside_gets_what_one_of_the_dataset_gets(textures, store):
    shown = of(textures, store)
    path, box = textures.queries[1].path, textures.queries[1].box
    (part,) = shown.of_queries("keypoints", [1])
    for given in (path, str(path), Image.open(path), np.asarray(images.read(path))):
        same(shown.of_picture("keypoints", given, box), part)
    asked = shown.asked_with(path, box)
    same(asked.of_queries("keypoints", [-1])[0], part)
    assert asked.of_queries("keypoints", [-1])[0] is asked.of_queries("keypoints", [-1])[0]
    same(asked.of_images("keypoints", [2])[0], shown.of_images("keypoints", [2])[0])
    with pytest.raises(IndexError, match=r"queries must be in \[0, 2\], got -1; see `asked_with`"):
        shown.of_queries("keypoints", [-1])
    with pytest.raises(ValueError, match="the only query here is -1"):
        asked.of_queries("keypoints", [0])
    square = of(textures, store, resize="square", image_size=100)
    prepared = images.read(path).resize((90, 60))
    assert square.of_picture("keypoints", prepared).size == (100, 100)
    assert square.of_picture("keypoints", prepared, prepared=True).size == (60, 90)


# What is kept


def counted(monkeypatch) -> list[str]:
    """Files that are decoded from here on."""
    seen, decode = [], images.decode
    monkeypatch.setattr(pictures.images, "decode", lambda path, **how: (seen.append(path.name), decode(path, **how))[1])
    return seen


@pytest.mark.parametrize("kind", ["keypoints", "maps/1"])
def test_only_what_is_asked_for_is_described_and_only_once(textures, store, monkeypatch, kind):
    seen = counted(monkeypatch)
    shown = of(textures, store)
    first = shown.of_images(kind, [3, 1, 3])
    assert seen == ["3.png", "1.png"]
    assert first[0] is first[2]
    shown.of_images(kind, [1, 3])
    again = of(textures, store).of_images(kind, [1, 3])
    assert len(seen) == 2
    for one, other in zip(first[:2], again[::-1], strict=True):
        np.testing.assert_array_equal(getattr(one, "descriptors", one), getattr(other, "descriptors", other))
    of(textures, store, image_size=100).of_images(kind, [1])
    of(textures, store, interpolation="bilinear").of_images(kind, [1])
    assert seen[2:] == ["1.png", "1.png"]
    assert not store.verify()


def test_keypoints_are_kept_whatever_the_network(textures, store, monkeypatch):
    of(textures, store).of_images("keypoints", [1])
    seen = counted(monkeypatch)
    network = load_backbone("squeezenet1_1", "random")
    recipe = Recipe(backbone="squeezenet1_1", weights="random").resolved(textures, network)
    other = DatasetPictures(textures, network, recipe, store=store, progress=False)
    other.of_images("keypoints", [1])
    assert not seen
    other.of_images("maps/1", [1])
    assert seen == ["1.png"]


def test_a_changed_file_is_described_anew(folder, store, tmp_path):
    path = tmp_path / "one.png"
    path.write_bytes((folder / "1.png").read_bytes())
    shown = of(Dataset("one", (path,), (Query(path),), image_size=320), store)
    (before,) = shown.of_images("keypoints", [0])
    stat = path.stat()
    path.write_bytes((folder / "2.png").read_bytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (after,) = shown.of_images("keypoints", [0])
    same(after, pictures_of(np.asarray(Image.open(folder / "2.png"))))
    assert len(before) != len(after) or not np.array_equal(before.places, after.places)
    path.unlink()
    assert len(shown.of_images("keypoints", [0])[0]) == 0
    path.write_bytes((folder / "1.png").read_bytes())
    same(shown.of_images("keypoints", [0])[0], before)


def test_a_file_that_changes_meanwhile_is_refused_and_not_kept(folder, store, tmp_path, monkeypatch):
    path = tmp_path / "one.png"
    path.write_bytes((folder / "1.png").read_bytes())
    shown, decode = of(Dataset("one", (path,), (Query(path),), image_size=320), store), images.decode

    def late(where, **how):
        path.write_bytes((folder / "2.png").read_bytes())
        return decode(where, **how)

    monkeypatch.setattr(pictures.images, "decode", late)
    with pytest.raises(images.ImageError, match="was changed while it was described"):
        shown.of_images("keypoints", [0])
    assert not store.entries()


def test_missing_broken_and_synthetic_pictures_are_empty(textures, store, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(textures.images[0].read_bytes()[:900])
    lacking = replace(textures, images=(*textures.images[:3], broken, tmp_path / "gone.png"), labels=())
    shown = of(lacking, store)
    found = shown.of_images("keypoints", [0, 3, 4, 5, 99])
    assert [len(one) > 0 for one in found] == [True, False, False, False, False]
    assert [one.shape[1] > 0 for one in shown.of_images("maps/2", [0, 3, 4, 5])] == [True, False, False, False]


def test_a_store_that_cannot_be_written_to_costs_time_and_nothing_else(textures, tmp_path):
    (tmp_path / "file").touch()
    (found,) = of(textures, Store(tmp_path / "file" / "store")).of_images("keypoints", [2])
    same(found, pictures_of(np.asarray(Image.open(textures.images[2]))))


KILLED = """
import sys
from pathlib import Path
from test_pictures import of
from cbirlab.datasets import load_dataset
from cbirlab.datasets.base import Dataset, Query
from cbirlab.store import Store
paths = tuple(sorted(Path(sys.argv[1]).glob("?.png")))
shown = of(Dataset("textures", paths, (Query(paths[0]),), image_size=320), Store(sys.argv[2]))
for turn in range(1000):
    for row in range(len(paths)):
        print(turn, row, flush=True)
        shown = of(Dataset("textures", paths, (Query(paths[0]),), image_size=100 + turn), Store(sys.argv[2]))
        shown.of_images("keypoints", [row])
"""


def test_a_kill_in_the_middle_leaves_nothing_half(folder, store):
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ran = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(store.path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": here},
    )
    assert ran.stdout
    ran.stdout.readline()
    time.sleep(0.3)
    ran.send_signal(signal.SIGKILL)
    ran.wait()
    ran.stdout.close()
    assert not store.verify()
    assert all(entry.arrays or entry.size_bytes for entry in store.entries())
    store.prune()
    assert not [*(store.path / "tmp").iterdir()]


def test_the_list_of_a_store_has_one_row_for_all_pictures(textures, store, capsys):
    shown = of(textures, store)
    shown.of_images("keypoints", [0, 1, 2])
    shown.of_images("maps/2", [0, 1])
    assert main(["store", "list", "--store", str(store.path)]) == 0
    said = capsys.readouterr().out.splitlines()
    head, *rows = said[: said.index("")]
    entries = head.index("entries")
    assert sorted((row.split()[-1], row[entries:].split()[0]) for row in rows) == [("keypoints", "3"), ("maps", "2")]
    assert any(line.split()[:2] == ["pictures", "5"] for line in said)
    assert said[-1].startswith("5 entries")


# What it is good for


def test_what_shows_the_query_turned_and_smaller_comes_first(textures, store):
    shown = of(textures, store)
    bench = Bench(textures, shown.backbone, shown.recipe, store=store, progress=False)
    given = answers_of(bench, shown.recipe, shown)
    for model in ("single", "affine", "homography", "magsac"):
        found = rerank_answers(given, f"spatial(order=inliers, model={model})")
        assert found.ranking.images[:, 0].tolist() == [TURNED] * 3
    assert rerank_answers(given, "spatial(weight=3)").ranking.images[:, 0].tolist() == [TURNED] * 3


def test_toytown(tmp_path):
    data = load_dataset("toytown")
    data = replace(data, queries=data.queries[::4], labels=data.labels[::4])
    network, store = load_backbone("toynet"), Store(tmp_path)
    recipe = Recipe().resolved(data, network)
    bench = Bench(data, network, recipe, store=store, progress=False)
    given = answers_of(bench, recipe, DatasetPictures(data, network, recipe, store=store, progress=False))
    before = evaluate(given.ranking, data).metrics
    for method in ("spatial(top=15)", "columns(top=15)"):
        found = rerank_answers(given, method)
        after = evaluate(found.ranking, data).metrics
        gains = {name: round(after[name] - before[name], 3) for name in after if name.startswith("map")}
        print(method, gains)
        right = np.zeros(found.evidence["inliers"].shape, bool)
        for query, labels in enumerate(data.labels):
            right[query] = np.isin(found.evidence["verified"][query], [*labels["easy"], *labels["hard"]])
        inliers = found.evidence["inliers"]
        assert inliers[right].mean() > 1.5 * inliers[~right].mean()


def test_covers_photographed_with_a_phone(tmp_path):
    root = os.environ.get("CBIRLAB_TEST_DATA")
    where = Path(root or "") / "benchmarks" / "smvs_dvd_covers"
    if not root or not where.is_dir():
        pytest.skip("CBIRLAB_TEST_DATA names no folder with the covers of SMVS")
    data = load_dataset("smvs", root=where)
    step = len(data.queries) // 30
    data = replace(data, queries=data.queries[::step][:30], labels=data.labels[::step][:30])
    network, store = load_backbone("toynet"), Store(tmp_path)
    recipe = Recipe().resolved(data, network)
    bench = Bench(data, network, recipe, store=store, progress=False)
    given = answers_of(bench, recipe, DatasetPictures(data, network, recipe, store=store, progress=False))
    before = evaluate(given.ranking, data).metrics["map"]
    for order in ("blend", "inliers"):
        after = evaluate(rerank_answers(given, f"spatial(top=1000, order={order})").ranking, data).metrics["map"]
        print(f"SMVS, 30 photographs, {order}: {before:.3f} -> {after:.3f}")
        assert after > 0.95
