"""What is learned on where a dataset has no train split: half of it, of which nothing is judged."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbirlab import Fusion, Recipe, compare, run, run_fusion
from cbirlab.datasets import Dataset, Query, load_dataset
from cbirlab.datasets import base as module
from cbirlab.datasets.base import hold_out
from cbirlab.evaluation import paired
from cbirlab.live import Session
from cbirlab.pipeline import table_row
from cbirlab.pipeline.learning_sets import learning_part
from cbirlab.study.choices import differences


def kinds(sizes: list[int], *, folder: str = "d", instances: bool = True) -> Dataset:
    """A dataset with so many images of each kind, all of them queries, and as many distractors as kinds."""
    names = [f"k{kind}" for kind, size in enumerate(sizes) for _ in range(size)] + [""] * len(sizes)
    paths = tuple(Path(f"{folder}/{name or 'other'}/{row}.jpg") for row, name in enumerate(names))
    asked = [row for row, name in enumerate(names) if name]
    return Dataset(
        name="d",
        images=paths,
        queries=tuple(Query(paths[row], index=row) for row in asked),
        labels=tuple(
            {"positive": tuple(other for other in asked if names[other] == names[row] and other != row)}
            for row in asked
        ),
        instances=tuple(names) if instances else (),
    )


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 3)
    monkeypatch.setattr(module, "ENOUGH_KINDS", 2)


@given(st.lists(st.integers(2, 9), min_size=2, max_size=12), st.booleans())
def test_nothing_that_is_judged_was_learned_on_and_kinds_stay_together(sizes, instances):
    dataset = kinds(sizes, instances=instances)
    held = hold_out(dataset)
    if held is None:
        return
    learned = set(held.learning.train)
    assert len(learned) <= sum(sizes) / 2
    assert not learned & set(held.evaluated)
    for query, labels, before in zip(dataset.queries, held.judged.labels, dataset.labels, strict=True):
        assert labels in ({}, before)
        answers = {dataset.images[row] for row in before["positive"]} | {query.path}
        assert answers <= learned if not labels else not answers & learned
    assert {dataset.images[row] for row in np.flatnonzero(held.rows)} == learned, "distractors stay"
    shown = dict(zip(held.learning.train, held.learning.train_instances, strict=True))
    for path, name in shown.items():
        assert {other for other in shown if shown[other] == name} == {
            other for other in dataset.images if other.parent == path.parent
        }


@given(st.lists(st.integers(2, 9), min_size=4, max_size=12), st.randoms(use_true_random=False))
def test_what_is_held_out_depends_on_names_alone(sizes, random):
    dataset = kinds(sizes)
    order = list(range(len(dataset.images)))
    random.shuffle(order)
    place = {row: new for new, row in enumerate(order)}
    asked = [query for query in order if query < len(dataset.queries)]
    moved = [Path("elsewhere") / path for path in dataset.images]
    shuffled = replace(
        dataset,
        images=tuple(moved[row] for row in order),
        queries=tuple(Query(moved[row], index=place[row]) for row in asked),
        labels=tuple({"positive": tuple(place[row] for row in dataset.labels[query]["positive"])} for query in asked),
        instances=tuple(dataset.instances[row] for row in order),
    )
    one, other = hold_out(dataset), hold_out(shuffled)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert {Path("elsewhere") / path for path in one.learning.train} == set(other.learning.train)


def test_answers_that_overlap_belong_together_and_a_query_outside_the_database_comes_along():
    paths = tuple(Path(f"d/{row}.jpg") for row in range(12))
    labels = tuple({"positive": (row, row + 1), "junk": (11,)} for row in (0, 1, 4, 8, 9))
    dataset = Dataset("d", paths, tuple(Query(Path(f"q/{n}.jpg")) for n in range(5)), labels)
    held = hold_out(dataset)
    assert held is not None
    parts = [{0, 1, 2}, {4, 5}, {8, 9, 10}]
    learned = {int(path.stem) for path in held.learning.train if path.parent.name == "d"}
    assert all(part <= learned or not part & learned for part in parts)
    assert learned
    assert any(path.parent.name == "q" for path in held.learning.train)


def test_there_is_nothing_to_hold_out_of_one_kind_without_labels_or_beside_a_train_split():
    assert hold_out(kinds([40])) is None
    assert hold_out(replace(kinds([9, 9, 9]), labels=())) is None
    assert hold_out(replace(kinds([9, 9, 9]), train=(Path("t.jpg"),))) is None
    assert hold_out(kinds([9, 9, 9])) is not None


@pytest.fixture
def own(pictures, few):
    """The drawn pictures as somebody's folder: 8 instances of 5, no train split."""
    return load_dataset(pictures, image_size=64)


RECIPE = Recipe(tap="layer2", aggregation="gem", whitening="pca(power=0.25)")


def test_a_dataset_without_a_train_split_learns_on_one_half_and_is_judged_on_the_other(own, warm):
    done = run(RECIPE, dataset=own, store=warm, progress=False)
    held = own.held_out
    assert held is not None
    assert done.recipe.whitening_set == f"{own.name}/held_out" == table_row(done)["whitening_set"]
    assert done.leak == ""
    assert done.evaluation is not None
    judged = ~np.isnan(done.evaluation.per_query["map"])
    assert judged.tolist() == [bool(labels) for labels in held.judged.labels]
    assert done.ranking.images.shape == (len(own.queries), len(own.images)), "all images are searched"
    again = run(Recipe.from_json(done.recipe.to_json()), dataset=own, store=warm, progress=False)
    assert again.metrics == done.metrics


def test_the_half_that_is_judged_is_judged_as_a_dataset_of_its_own(own, warm):
    held = own.held_out
    done = run(RECIPE, dataset=own, store=warm, progress=False)
    rows = np.flatnonzero(~held.rows)
    place = {int(row): new for new, row in enumerate(rows)}
    asked = [query for query, labels in enumerate(held.judged.labels) if labels]
    apart = replace(
        own,
        name="apart",
        images=tuple(own.images[row] for row in rows),
        queries=tuple(replace(own.queries[query], index=place[own.queries[query].index]) for query in asked),
        labels=tuple({"positive": tuple(place[row] for row in own.labels[query]["positive"])} for query in asked),
        instances=tuple(own.instances[row] for row in rows),
        train=held.learning.train,
        train_instances=held.learning.train_instances,
    )
    alone = run(RECIPE, dataset=apart, store=warm, progress=False)
    np.testing.assert_array_equal(alone.evaluation.per_query["map"], done.evaluation.per_query["map"][asked])
    assert alone.metrics == pytest.approx(done.metrics)


def test_rows_of_one_table_and_settings_of_one_panel_are_judged_on_the_same_half(own, warm):
    options = {"taps": "layer2", "aggregations": "gem", "store": warm, "progress": False}
    frame = compare(own, whitenings=["none", "pca"], **options)
    assert set(frame["whitening_set"]) == {f"{own.name}/held_out"}
    alone = compare(own, whitenings="none", **options)
    assert alone["whitening_set"].tolist() == [""], "where nothing is learned, all is judged"
    session = Session(own, aggregations=["gem"], store=warm)
    plain, whitened = (session.rank("layer2", "gem", kind).evaluation for kind in ("none", "pca"))
    assert paired(plain, whitened).mean == pytest.approx(frame["map"][0] - frame["map"][1])


def test_other_sets_are_there_by_name_and_held_out_says_where_it_cannot_be(own, warm, monkeypatch):
    for name, called in (("toytown", "toytown"), ("database", f"{own.name}/images")):
        assert replace(RECIPE, whitening_set=name).resolved(own).whitening_set == called
    assert learning_part("toytown/train", own)[1] == "train"
    single = replace(own, name="single", instances=("one",) * len(own.images))
    assert RECIPE.resolved(single).whitening_set == "toytown/train"
    with pytest.raises(ValueError, match=r"whitening_set 'held_out' needs a dataset .* 'single' is not"):
        replace(RECIPE, whitening_set="held_out").resolved(single)
    for name in ("ENOUGH", "ENOUGH_KINDS"):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 1000)
            assert RECIPE.resolved(own).whitening_set == "toytown/train"
            assert replace(RECIPE, whitening_set="held_out").resolved(own).whitening_set == f"{own.name}/held_out"


def test_what_is_held_out_is_judged_by_no_choice_and_in_no_fusion(own, warm):
    asked = sum(map(bool, own.held_out.judged.labels))
    frame = differences(RECIPE, dataset=own, store=warm, progress=False, choices=["whitening_set", "average_precision"])
    assert set(frame["queries"]) == {asked}
    fused = Fusion(members=(RECIPE, replace(RECIPE, tap="layer3", whitening="none")), method="minmax")
    values = run_fusion(fused, dataset=own, store=warm, progress=False).evaluation.per_query["map"]
    assert np.count_nonzero(~np.isnan(values)) == asked


def test_whitening_in_full_on_few_images_is_told_and_tempered_or_cut_it_is_not(own, warm):
    few = replace(RECIPE, whitening="pca")
    with pytest.warns(UserWarning, match=r"'pca' is learned on 20 images for 48 dimensions.*at most 10 dimensions"):
        run(few, dataset=own, store=warm, progress=False)
    for recipe in (RECIPE, replace(few, dimensions=8), replace(few, whitening_set="toytown")):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run(recipe, dataset=own, store=warm, progress=False)
        assert not [one for one in said if "is learned on" in str(one.message)]
