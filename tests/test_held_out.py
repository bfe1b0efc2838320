"""What is learned on where a dataset has no train split: half of it, of which nothing is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbirlab.datasets import Dataset, Query
from cbirlab.datasets import held_out as module
from cbirlab.datasets.held_out import hold_out


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
    monkeypatch.setattr(module, "LEAST", 3)


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


def test_there_is_nothing_to_hold_out_of_one_kind_of_few_images_without_labels_or_beside_a_train_split():
    assert hold_out(kinds([40])) is None
    assert hold_out(kinds([2, 2])) is None
    assert hold_out(replace(kinds([9, 9, 9]), labels=())) is None
    assert hold_out(replace(kinds([9, 9, 9]), train=(Path("t.jpg"),))) is None
    assert hold_out(kinds([9, 9, 9])) is not None
