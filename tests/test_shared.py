"""What recipes of one bench, and sessions of one panel, have in common: no field of a recipe is forgotten."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from cbirlab import Recipe, load_backbone
from cbirlab.live import Session
from cbirlab.pipeline import Bench
from cbirlab.pipeline.added import search_fields
from cbirlab.pipeline.recipe import OF_SETTING, right_of_maps
from cbirlab.widgets.panels import saved
from cbirlab.widgets.panels.sessions import Sessions, shared

OTHERS = {
    "passes": "grid(rows=1, columns=2, whole=True, combine='max', magnify=2)",
    "whitening_set": "database",
    "image_size": 48,
    "scales": (1.0, 0.5),
    "scale_pooling": "gem",
    "crop": "none",
    "resize": "square",
    "interpolation": "bilinear",
    "antialias": False,
    "precision": "bfloat16",
    "engine": "openvino",
    "depth": 7,
    "protocol": "holidays",
    "average_precision": "finite-sum",
    "metrics": ("recall@1",),
    "seed": 3,
}
"""Another value of each field than its default, but of distractors, which sessions refuse."""


@pytest.fixture
def unprepared(monkeypatch):
    """Sessions that extract nothing."""
    for name in ("prepare", "learn_ahead"):
        monkeypatch.setattr(Session, name, lambda *_, **__: None)


def test_every_field_is_one_that_a_setting_changes_or_one_that_is_shared():
    named = {"dataset", "backbone", "weights", "distractors", *OF_SETTING, *search_fields(), *OTHERS}
    assert named == {one.name for one in fields(Recipe)}
    assert set(shared(Recipe())) == {"distractors", *OTHERS}


@pytest.mark.parametrize("name", OTHERS)
def test_a_session_beside_another_one_has_every_field_of_it(things, store, unprepared, name):
    first = Session(things, weights="random", store=store, dataset_name="the things", **{name: OTHERS[name]})
    other = Sessions(first, {"toynet": None}).open("toynet")
    assert shared(other.common) == shared(first.common)
    assert getattr(other.common, name) == OTHERS[name]
    assert getattr(other.bench.shared, name) == getattr(first.bench.shared, name)
    assert other.common.dataset == other.bench.shared.dataset == "the things"


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("name", OTHERS)
def test_a_restored_session_has_every_field_of_the_saved_one(things, pictures, store, unprepared, name, given):
    common = Recipe(dataset=str(pictures), weights="random", **{name: OTHERS[name]})
    state = {"recipe": common.without(), "backbones": ["toynet"]}
    options = {"store": store}
    session = saved.session_in(state, options, things if given else None)
    assert shared(session.common) == shared(common)
    assert (session.common.backbone, session.common.weights) == ("toynet", "random")
    assert options == {"backbones": ["toynet"]}


def test_what_is_given_with_a_state_takes_the_place_of_what_was_saved(things, store, unprepared):
    state = {"recipe": Recipe(image_size=200, precision="bfloat16").without(), "backbones": ["toynet"]}
    session = saved.session_in(state, {"store": store, "image_size": 48, "weights": "random"}, things)
    assert (session.common.image_size, session.common.precision) == (48, "bfloat16")


@pytest.mark.parametrize("name", ["dataset", "backbone", "weights", *OTHERS])
def test_a_bench_refuses_a_recipe_that_differs_in_what_is_shared(things, store, name):
    backbone = load_backbone("toynet", "random")
    mine = Recipe(dataset="things", weights="random", image_size=64).resolved(things, backbone)
    bench = Bench(things, backbone, mine, store=store, progress=False)
    other = {**OTHERS, "dataset": "towers", "backbone": "handcrafted", "weights": None}[name]
    asked = replace(mine, **{name: other})
    doors = (lambda one: bench.fill([one]), bench.has, bench.run, bench.pair, bench.whitening)
    if name in right_of_maps():
        assert not bench.has(replace(asked, whitening_set=None))
        return
    for door in (*doors, lambda one: bench.search(one, [0]), lambda one: bench.rows(one, "images")):
        with pytest.raises(ValueError, match=f"Bench: recipes must share .*; {name} is "):
            door(asked)
