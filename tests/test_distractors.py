"""Distractors: the rows that are drawn, the recipes that ask for them, how lists with them are judged, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import reference

from cbirlab import Fusion, Recipe, evaluate, run
from cbirlab.datasets import load_dataset
from cbirlab.index import ranked
from cbirlab.live import Session
from cbirlab.pipeline import distractors
from cbirlab.pipeline.distractors import BLOCK, Mixture, beside
from cbirlab.pipeline.running import table_row
from cbirlab.store import Store


def clusters(count: int = 400, width: int = 12, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    X = 3 * random.normal(size=(4, width))[random.integers(4, size=count)] + random.normal(size=(count, width)) * (
        np.arange(1, width + 1) ** -0.5
    )
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def warm(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("store"))
    run(Recipe(whitening="pca(power=0.25)", dimensions=32), store=store, progress=False)
    return store


def ran(store: Store, **fields):
    recipe = Recipe(**{"whitening": "pca(power=0.25)", "dimensions": 32, **fields})
    return run(recipe, store=store, progress=False)


def test_rows_depend_on_the_seed_and_on_their_block_alone(tmp_path):
    X = clusters()
    mixture = Mixture.fitted(X, 0)
    few, many = (beside(X, mixture.drawn(count, 3), count, tmp_path) for count in (1000, 2 * BLOCK + 5))
    assert many.shape == (400 + 2 * BLOCK + 5, 12)
    np.testing.assert_array_equal(few[:400], X)
    np.testing.assert_array_equal(few, many[:1400])
    np.testing.assert_array_equal(many[400 + BLOCK : 400 + 2 * BLOCK], Mixture.fitted(X, 0).block(1, 3))
    assert not np.array_equal(mixture.block(0, 3), mixture.block(0, 4))
    assert not np.array_equal(mixture.block(0, 3), mixture.block(1, 3))
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    assert [*tmp_path.iterdir()] == [], "the file has no name"
    with pytest.raises(ValueError, match="read-only"):
        many[0] = 0


def test_rows_stand_where_the_learning_set_does_and_spread_as_it_does():
    X = clusters(2000)
    rows = np.concatenate([Mixture.fitted(X, 0).block(number, 0) for number in range(3)])
    np.testing.assert_allclose(rows.mean(axis=0), X.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(np.cov(rows.T), np.cov(X.T), atol=0.03)
    nearest = [np.sort((rows[:500] @ X.T).max(axis=1)), np.sort((X[:500] @ X.T - 2 * np.eye(500, 2000)).max(axis=1))]
    assert np.abs(np.median(nearest[0]) - np.median(nearest[1])) < 0.05, "they are as near as its own rows"


def test_zeros_are_not_learned_and_too_few_rows_are_refused():
    X = clusters(60)
    with_zeros = np.concatenate([X, np.zeros((30, 12), np.float32)])
    np.testing.assert_array_equal(Mixture.fitted(with_zeros, 0).block(0, 0), Mixture.fitted(X, 0).block(0, 0))
    with pytest.raises(ValueError, match="need at least 2 images to learn on, got 1; choose a whitening_set"):
        Mixture.fitted(X[:1], 0)


def test_recipes_keep_their_keys_and_check_the_number():
    assert {"distractors", "seed"}.isdisjoint(json.loads(Recipe().to_json()))
    grown = Recipe(distractors=1000, seed=4)
    assert Recipe.from_json(grown.to_json()) == grown
    assert len({Recipe().key(), grown.key(), Recipe(distractors=1000).key()}) == 3
    for wrong in (-1, 1.5, True, "-1", "1.5", "nan", "", b"photos", ["photos"]):
        with pytest.raises((ValueError, TypeError), match="distractors must be"):
            Recipe(distractors=wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"got -3\.$"):
        Recipe(distractors="-3")
    assert Recipe(distractors="1000", seed=4) == grown
    real = Recipe(distractors="photos")
    assert Recipe.from_json(real.to_json()) == real
    assert real.resolved().whitening_set is None, "real ones learn nothing"
    assert grown.resolved().whitening_set == "toytown/train"
    with pytest.raises(ValueError, match="compares words or views; it needs distractors 0, got 5"):
        Recipe(aggregation="asmk", distractors=5)


@pytest.mark.parametrize("count", [700, 6000])
def test_numbers_are_those_of_a_loop_over_lists_with_wrong_answers(warm, count):
    dataset, found = load_dataset("toytown"), ran(warm, distractors=count)
    places = 1700 if count == 700 else 1000
    assert found.ranking.images.shape == (96, places)
    assert (found.ranking.images >= 1000).any()
    whole = [found.ranking.images[query].tolist() for query in range(96)]
    loop = []
    for results, labels in zip(whole, dataset.labels, strict=True):
        positive = {*labels["easy"], *labels["hard"]}
        loop.append(reference.average_precision(results, positive, {*labels["junk"]}, "trapezoid"))
    assert found.metrics["map_medium"] == pytest.approx(np.mean(loop))
    row = table_row(found)
    assert (row["distractors"], row["bytes_per_image"]) == (count, 4 * 32)
    assert json.loads(row["recipe"])["distractors"] == count


def test_more_distractors_take_places_from_right_answers_and_the_seed_is_another_draw(warm):
    plain, some, other = (
        ran(warm, **fields) for fields in ({}, {"distractors": 3000}, {"distractors": 3000, "seed": 1})
    )
    values = [one.metrics["map_medium"] for one in (plain, some, other)]
    assert values[0] > values[1] != values[2]
    images = some.ranking.images
    for query in range(0, 96, 7):
        kept = images[query][images[query] < 1000]
        np.testing.assert_array_equal(kept, plain.ranking.images[query][: len(kept)])


def test_codes_and_graphs_hold_them_and_recall_is_judged_with_them(warm):
    fields = {"distractors": 2000, "compression": "itq(bits=32)", "index": "hamming", "rescore": 50}
    found = ran(warm, **fields)
    assert found.index_bytes == pytest.approx(3000 * 4, rel=0.01)
    assert 0 < found.recall < 1
    assert ran(warm, distractors=2000, index="hnsw(ef=200)").recall > 0.95


def test_held_out_images_leave_lists_with_distractors(tmp_path):
    rng = np.random.default_rng(0)
    whole = ranked(rng.normal(size=(3, 20)).astype(np.float32))
    from cbirlab.index.lists import without

    gone = np.pad(np.arange(12) < 5, (0, 8))
    assert all(
        row.tolist() == [one for one in images if one >= 5]
        for row, images in zip(without(whole, gone).images, whole.images, strict=True)
    )


def test_evaluate_takes_rows_behind_the_dataset_only_if_it_is_told(warm):
    dataset, found = load_dataset("toytown"), ran(warm, distractors=700)
    with pytest.raises(ValueError, match=r"must hold database rows in \[0, 999\]"):
        evaluate(found.ranking, dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = evaluate(found.ranking, dataset, distractors=700)
    assert told.metrics["map_medium"] == found.metrics["map_medium"]


def test_what_needs_pictures_refuses_them(warm):
    from cbirlab.live.folders import find_pictures
    from cbirlab.widgets.parts.results import ranked_gallery

    grown = Recipe(distractors=10)
    asks = {
        "Session": lambda: Session(distractors=10, store=warm),
        "Fusion": lambda: Fusion(members=(grown, Recipe(tap="layer3"))),
        "search": lambda: find_pictures(grown, ["a.jpg"], store=warm),
        "ranked_gallery": lambda: ranked_gallery(ran(warm, distractors=10)),
    }
    for owner, ask in asks.items():
        with pytest.raises(
            ValueError, match=rf"{owner}: works with the images of the dataset alone, .* distractors=0 here, got 10"
        ):
            ask()


MEMORY = """
import resource, sys
import numpy as np
from pathlib import Path
from cbirlab.index import ExactIndex
from cbirlab.pipeline.distractors import Mixture, beside
X = np.random.default_rng(0).normal(size=(600, 64)).astype(np.float32)
X /= np.linalg.norm(X, axis=1, keepdims=True)
mixture = Mixture.fitted(X, 0)
ExactIndex().fit(X).search(X[:5], 5)
status = lambda: next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = status()
rows = beside(X, mixture.drawn(100_000, 0), 100_000, Path(sys.argv[1]))
found = ExactIndex().fit(rows).search(X[:96], 1000)
print(status() - before - rows.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_the_rows_and_a_block(tmp_path):
    told = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert int(told.stdout) < 200 * 2**20


def test_they_are_made_a_block_at_a_time(tmp_path, monkeypatch):
    X, drawn = clusters(), []
    mixture, block = Mixture.fitted(X, 0), Mixture.block
    monkeypatch.setattr(Mixture, "block", lambda self, *place: drawn.append(place) or block(self, *place))
    rows = beside(X, mixture.drawn(BLOCK + 1, 7), BLOCK + 1, tmp_path)
    assert drawn == [(0, 7), (1, 7)]
    assert isinstance(rows, np.memmap)
    assert distractors.BLOCK == BLOCK
