"""Times in tables: measured when they are asked for, in one run for all rows, and of how many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cbirlab import Recipe, compare, run, run_fusion
from cbirlab.fusion import Fusion, fused_row
from cbirlab.live import Session
from cbirlab.pipeline import result as measured
from cbirlab.pipeline import table_row, timing

RECIPE = Recipe(dataset="things", weights="random")


def test_a_short_search_is_repeated_and_a_long_one_is_timed_as_it_is(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(measured.time, "perf_counter", lambda: next(clock) / 1000)
    made = []
    assert measured.time_again(lambda: made.append(1), 0.02) == (0.001,) * 4
    assert len(made) == measured.SEARCHES - 1
    assert measured.time_again(lambda: made.append(1), measured.BUDGET_SECONDS) == ()
    monkeypatch.setattr(measured.time, "perf_counter", lambda: 40 * next(clock) / 1000)
    assert len(measured.time_again(lambda: None, 0.05)) == 2, "until they have taken the budget together"


def test_milliseconds_per_query_are_the_best_of_the_searches(things, store):
    result = run(RECIPE, dataset=things, store=store, progress=False)
    row = table_row(result)
    assert row["best_of"] == 1 + len(result.searches) > 1
    slow = replace(result, seconds={**result.seconds, "search": 4.0}, searches=(2.0, 0.08, 3.0))
    assert table_row(slow)["ms_per_query"] == pytest.approx(1000 * 0.08 / 40)
    assert table_row(slow)["best_of"] == 4


def test_a_panel_measures_when_a_row_is_asked_for(things, store):
    session = Session(things, weights="random", aggregations=["spoc"], store=store)
    ranked = session.rank("layer4", "spoc")
    assert ranked.searches == ()
    assert session.table_row(ranked)["best_of"] > 1
    assert "ms_per_image" not in session.table_row(ranked)


def test_images_are_timed_where_that_is_asked_for_each_recipe_alone(things, store, monkeypatch):
    from cbirlab.extract import local

    assert "ms_per_image" not in compare(things, weights="random", whitenings="none", store=store, progress=False)
    described = []
    compute = local.compute_each

    def watched(shards, *given):
        labels = [f"{column.tap} {column.aggregation.key}" for column in shards[0].columns]
        described.append((sum(len(shard.items) for shard in shards), labels))
        return compute(shards, *given)

    monkeypatch.setattr(local, "compute_each", watched)
    options = {"taps": ["layer2", "layer4"], "aggregations": ["mac", "vlad(k=4)"], "whitenings": ["none", "pca"]}
    shared = {"weights": "random", "store": store, "progress": False, "fusions": "rrf", "time_images": True}
    frame = compare(things, **options, **shared)
    assert (frame["ms_per_image"] > 0).all()
    by_cell = frame[frame["fusion"] == ""].groupby(["tap", "aggregation"])["ms_per_image"].nunique()
    assert (by_cell == 1).all(), "whitened or not, a picture is described once"
    rounds = [labels for count, labels in described if count == timing.SAMPLE]
    assert all(len(labels) == 1 for labels in rounds)
    cells = [f"{tap} {name}" for tap in ("layer2", "layer4") for name in ("mac", "vlad(k=4)")]
    of_rows = rounds[1 : 1 + timing.ROUNDS * len(cells)]
    assert sorted(label.split("(")[0] for labels in of_rows for label in labels) == sorted(
        timing.ROUNDS * [cell.split("(")[0] for cell in cells]
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"tap": "layer3+0.5*layer4"},
        {"passes": "grid(rows=1, columns=2)"},
        {"scales": (1.0, 0.5)},
        {"aggregation": "rmac(learned=True)"},
        {"aggregation": "asmk(k=8)", "tap": "layer2"},
    ],
)
def test_every_way_to_describe_an_image_can_be_timed(things, store, changed):
    result = run(replace(RECIPE, **changed), dataset=things, store=store, progress=False, time_images=True)
    assert table_row(result)["ms_per_image"] > 0
    assert len([*store.entries()]) == len([*run_again(store, things, changed).entries()]), "nothing is kept of it"


def run_again(store, things, changed):
    run(replace(RECIPE, **changed), dataset=things, store=store, progress=False)
    return store


def test_the_members_of_a_fusion_are_timed_too(things, store):
    fusion = Fusion(members=tuple(replace(RECIPE, tap=tap) for tap in ("layer3", "layer4")), method="early")
    options = {"dataset": things, "store": store, "progress": False}
    assert "ms_per_image" not in fused_row(run_fusion(fusion, **options))
    row = fused_row(run_fusion(fusion, time_images=True, **options))
    assert row["ms_per_image"] > 0
    assert row["best_of"] > 1
