"""Real distractors: images of another dataset beside a database, described like it and judged as wrong answers."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import reference

from cbirlab import Recipe, load_backbone, run
from cbirlab.cli.parser import build_parser
from cbirlab.datasets import load_dataset
from cbirlab.extract import extract
from cbirlab.pipeline import described
from cbirlab.pipeline.bench import Bench
from cbirlab.pipeline.running import table_row
from cbirlab.store import Store
from cbirlab.whitening import normalise, project

FOREIGN, SHARED = 23, 3
SEARCHED = {"whitening": "pca(power=0.25)", "dimensions": 32}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A folder with images of Toytown's train split, and copies of a few that are evaluated, under other names."""
    folder, toytown = tmp_path_factory.mktemp("photos"), load_dataset("toytown")
    for number, path in enumerate(toytown.train[:: len(toytown.train) // FOREIGN][:FOREIGN]):
        shutil.copy(path, folder / f"{number:02}.jpg")
    for number, path in enumerate([*toytown.images[5:7], toytown.queries[0].path]):
        shutil.copy(path, folder / f"0{number}-again.jpg")
    return folder


@pytest.fixture(scope="module")
def warm(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("store"))
    run(Recipe(**SEARCHED), store=store, progress=False)
    return store


def bench_of(recipe: Recipe, store: Store) -> tuple[Bench, Recipe]:
    dataset, backbone = load_dataset("toytown"), load_backbone("toynet")
    recipe = recipe.resolved(dataset, backbone)
    return Bench(dataset, backbone, recipe, store=store, progress=False), recipe


def quietly(make):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "distractors: ")
        return make()


def foreign_of(photos: Path) -> list[Path]:
    return [path for path in load_dataset(photos).images if "again" not in path.name]


@pytest.mark.parametrize("fields", [SEARCHED, {}, {"tap": "layer3+0.5*layer4", **SEARCHED}])
def test_their_rows_are_what_extraction_and_whitening_give_for_them(warm, photos, fields, monkeypatch):
    monkeypatch.setattr(described, "BLOCK", 10)
    bench, recipe = bench_of(Recipe(distractors=str(photos), **fields), warm)
    rows = quietly(lambda: bench.database(recipe)).values
    assert isinstance(rows, np.memmap)
    assert [*(warm.path / "tmp" / "distractors").iterdir()] == [], "the file has no name"
    there, spec = foreign_of(photos), recipe.aggregation
    assert rows.shape[0] == 1000 + FOREIGN == 1000 + len(there)
    np.testing.assert_array_equal(rows[:1000], bench.pair(recipe)[0].values)
    names = [tap for _, tap in recipe.taps]
    alone = extract(
        load_dataset(photos), bench.backbone, taps=names, aggregations=[spec], image_size=recipe.image_size,
        parts=["images"], store=warm, progress=False,
    )  # fmt: skip
    kept = [row for row, path in enumerate(load_dataset(photos).images) if path in there]
    sides = [weight * normalise(alone[tap, spec]["images"][kept]) for weight, tap in recipe.taps]
    found = np.concatenate(sides, axis=1) if len(sides) > 1 else sides[0]
    if fields:
        fitted = bench.whitening(recipe)
        assert fitted is not None
        found = normalise(project(fitted, found if len(sides) > 1 else alone[names[0], spec]["images"][kept])[:, :32])
    np.testing.assert_allclose(rows[1000:], found, atol=1e-6)


def test_numbers_are_those_of_a_loop_and_evaluated_images_are_left_out(warm, photos):
    with pytest.warns(UserWarning, match=f"distractors: {SHARED} of the {FOREIGN + SHARED} images .* are left out"):
        found = run(Recipe(distractors=str(photos), **SEARCHED), store=warm, progress=False)
    plain = run(Recipe(**SEARCHED), store=warm, progress=False)
    assert found.distractors == FOREIGN
    assert found.ranking.images.shape == (96, 1000 + FOREIGN)
    loop = []
    for results, labels in zip(found.ranking.images.tolist(), load_dataset("toytown").labels, strict=True):
        positive = {*labels["easy"], *labels["hard"]}
        loop.append(reference.average_precision(results, positive, {*labels["junk"]}, "trapezoid"))
    assert found.metrics["map_medium"] == pytest.approx(np.mean(loop))
    for many, few in zip(found.ranking.images, plain.ranking.images, strict=True):
        np.testing.assert_array_equal(many[many < 1000], few)
    row = table_row(found)
    assert (row["distractors"], row["bytes_per_image"]) == (str(photos), 4 * 32)


def test_codes_graphs_and_rescoring_hold_them(warm, photos):
    fields = {"compression": "itq(bits=32)", "index": "hamming", "rescore": 50, "depth": 100}
    found = quietly(lambda: run(Recipe(distractors=str(photos), **SEARCHED, **fields), store=warm, progress=False))
    assert found.index_bytes == pytest.approx((1000 + FOREIGN) * 4, rel=0.01)
    assert found.ranking.images.shape == (96, 100)


def test_learning_on_them_is_a_leak(warm, photos):
    recipe = Recipe(distractors=str(photos), whitening="pca(power=0.25)", whitening_set=str(photos))
    bench, recipe = bench_of(recipe, warm)
    told = quietly(lambda: bench.leak(recipe))
    queries = {query.path.read_bytes() for query in bench.dataset.queries}
    evaluated = {path.read_bytes() for path in bench.dataset.images} | queries
    assert told == f"learned on {FOREIGN + SHARED} of the {len(evaluated) + FOREIGN} evaluated images"


def test_the_dataset_itself_and_unknown_names_are_refused(warm):
    with pytest.raises(ValueError, match="all 1000 images of 'toytown' are evaluated images of 'toytown'; they would"):
        run(Recipe(distractors="toytown"), store=warm, progress=False)
    with pytest.raises(LookupError, match="nowhere"):
        run(Recipe(distractors="nowhere"), store=warm, progress=False)


def test_what_a_bench_has_tells_of_them_and_the_command_line_takes_both(warm, photos):
    bench, recipe = bench_of(Recipe(distractors=str(photos)), warm)
    assert not bench.has(recipe)
    quietly(lambda: bench.fill([recipe]))
    assert bench.has(recipe)
    for text, value in (("12", 12), ("photos", "photos")):
        given = build_parser().parse_args(["run", "--distractors", text])
        assert Recipe(**vars(given.options)).distractors == value
