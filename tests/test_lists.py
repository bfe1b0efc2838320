"""Large rankings: made, judged and kept block by block, they are those of one piece, bit for bit."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbirlab import Recipe, complementarity, run, run_fusion
from cbirlab.base.recent import Recent
from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, Evaluation, evaluate, per_query_table
from cbirlab.fusion import Fusion
from cbirlab.index import ExactIndex, Ranking, lists, ranked
from cbirlab.index.lists import Kept, Lists, lists_of
from cbirlab.live import Session
from cbirlab.pipeline.bench import Column
from cbirlab.store import Store
from cbirlab.study.choices import Judging, differences, ranking_differences, read_ranking, write_ranking
from cbirlab.study.explain import positives

pytestmark = pytest.mark.filterwarnings("ignore:evaluate. :UserWarning")


def made(protocol: str, queries: int, images: int, seed: int) -> Dataset:
    """Labels of every kind that a protocol knows, some queries without any, some in the database."""
    random, rules = np.random.default_rng(seed), PROTOCOLS[protocol]
    names = list(dict.fromkeys(name for level in rules.levels for name in level.positive + level.junk))
    labels = []
    for _ in range(queries):
        kinds = random.integers(-2, len(names), images)
        labels.append({name: tuple(np.flatnonzero(kinds == code).tolist()) for code, name in enumerate(names)})
    own = [int(row) if row < images else None for row in random.permutation(2 * images + queries)[:queries]]
    return Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(images)),
        queries=tuple(Query(Path(f"q{number}.jpg"), index=row) for number, row in enumerate(own)),
        labels=tuple(labels),
        protocol=protocol,
        instances=tuple(str(row % 3) for row in range(images)),
    )


def tied(queries: int, images: int, seed: int) -> Ranking:
    """Scores of few values, some of them no answers, and a query that has none."""
    scores = np.random.default_rng(seed).integers(-1, 4, (queries, images)).astype(np.float32)
    scores[scores < 0] = -np.inf
    scores[seed % queries] = -np.inf
    return ranked(scores)


def same(one: Evaluation, other: Evaluation) -> None:
    assert list(one.metrics) == list(other.metrics)
    np.testing.assert_array_equal([*one.metrics.values()], [*other.metrics.values()])
    np.testing.assert_array_equal(one.groups, other.groups)
    for level in one.per_query:
        np.testing.assert_array_equal(one.per_query[level], other.per_query[level])
        np.testing.assert_array_equal(one.tied[level], other.tied[level])
        for name in ("query", "rank", "order", "n_positive", "confidence"):
            np.testing.assert_array_equal(getattr(one.judged[level], name), getattr(other.judged[level], name))


@settings(max_examples=60, deadline=None)
@given(
    protocol=st.sampled_from([*PROTOCOLS]),
    shape=st.tuples(st.integers(1, 9), st.integers(4, 14)),
    cut=st.integers(1, 14),
    block=st.integers(1, 60),
    seed=st.integers(0, 10**6),
)
@example(protocol="gldv2_recognition", shape=(5, 4), cut=1, block=1, seed=895)  # whose metric pools all queries
def test_lists_judged_in_blocks_are_judged_as_in_one_piece(protocol, shape, cut, block, seed):
    queries, images = shape
    dataset, ranking = made(protocol, queries, images, seed), tied(queries, images, seed).top(min(cut, images))
    whole = evaluate(ranking, dataset, resamples=40)
    usual = Judging.of(PROTOCOLS[protocol])
    judgings = [usual, replace(usual, junk="wrong", own_image="right"), replace(usual, measure="finite-sum", results=3)]
    values = [one.values(ranking, dataset) for one in judgings]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lists, "BLOCK", block)
        same(evaluate(ranking, dataset, resamples=40), whole)
        made_again = Lists(
            ranking.images.shape, lambda: lambda rows: Ranking(ranking.images[rows], ranking.scores[rows])
        )
        same(evaluate(made_again, dataset, resamples=40), whole)
        for one, found in zip(judgings, values, strict=True):
            np.testing.assert_array_equal(one.values(ranking, dataset), found)


def test_an_index_asked_in_blocks_answers_as_in_one_piece():
    database = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32).round(1)
    database[7] = 0
    whole = ExactIndex().fit(database).search(database)
    for size in (1, 7, 40):
        for start in range(0, 90, size):
            part = ExactIndex().fit(database).search(database[start : start + size])
            np.testing.assert_array_equal(part.images, whole.images[start : start + size])
            np.testing.assert_array_equal(part.scores, whole.scores[start : start + size])


RECIPES = {
    "vectors": {},
    "whitened": {"whitening": "pca", "dimensions": 8},
    "words": {"aggregation": "asmk(k=8, local_dims=None)", "tap": "layer2"},
    "counts": {"aggregation": "bow(k=16)", "tap": "layer2"},
    "views": {"passes": "grid(rows=1, columns=2, combine='match')"},
}


@pytest.fixture
def large(monkeypatch):
    """Everything is large: four places are kept, seven queries are ranked at a time."""
    monkeypatch.setattr(lists, "WHOLE", 40 * 3)
    monkeypatch.setattr(lists, "FIRST", 4)
    monkeypatch.setattr(lists, "BLOCK", 7 * 40)
    monkeypatch.setattr("cbirlab.fusion.members.BLOCK", 3 * 40)


def carried_out(things: Dataset, store: Store, **changed) -> tuple:
    recipe = Recipe(dataset="things", weights="random", **changed)
    return recipe, lambda: run(recipe, dataset=things, store=store, progress=False)


@pytest.mark.parametrize("changed", RECIPES.values(), ids=RECIPES)
def test_a_large_run_has_the_numbers_and_first_places_of_one_in_one_piece(things, warm, changed, request):
    _, again = carried_out(things, warm, **changed)
    whole = again()
    request.getfixturevalue("large")
    cut = again()
    assert whole.ranking.complete is None
    assert cut.ranking.images.shape == (40, 4)
    same(cut.evaluation, whole.evaluation)
    np.testing.assert_array_equal(cut.ranking.images, whole.ranking.images[:, :4])
    np.testing.assert_array_equal(cut.ranking.scores, whole.ranking.scores[:, :4])
    np.testing.assert_array_equal(lists_of(cut.ranking).whole().images, whole.ranking.images)
    np.testing.assert_array_equal(lists_of(cut.ranking).of(33).images, whole.ranking.images[33:34])
    np.testing.assert_array_equal(cut.ranking.top(9).images, whole.ranking.images[:, :9])
    assert cut.ranking.top(3).complete is None
    assert cut.metrics == whole.metrics


def test_whatever_judges_a_large_run_judges_all_of_it(things, warm, request, tmp_path):
    recipe, again = carried_out(things, warm, tap="layer3")
    _, again_other = carried_out(things, warm, tap="layer4")

    def reports() -> list:
        a, b = again(), again_other()
        level = Judging.of(PROTOCOLS["retrieval"])
        frames = [complementarity({"a": a, "b": b}, fusion=one) for one in ("rrf", "minmax", "cascade(depth=5)")]
        frames += [ranking_differences(a.ranking, things), per_query_table(a.evaluation, things)]
        frames.append(
            differences(recipe, dataset=things, store=warm, progress=False, choices=["junk", "results", "scales"])
        )
        values = [level.values(a.ranking, things).tolist(), evaluate(a.ranking, things).metrics["map"]]
        values.append([positives(a, query) for query in range(40)])
        return [*(frame.drop(columns=[]).to_csv() for frame in frames), *values]

    whole = reports()
    request.getfixturevalue("large")
    assert reports() == whole
    with pytest.warns(UserWarning, match="holds the first 4 of 40 places"):
        write_ranking(again().ranking, tmp_path / "ranking.npz")
    assert read_ranking(tmp_path / "ranking.npz").images.shape == (40, 4)


@pytest.mark.parametrize("method", ["early", "minmax", "borda", "rrf", "cascade(depth=5)"])
@pytest.mark.parametrize("weights", [None, "learned"])
def test_a_large_fusion_is_that_of_one_piece(things, warm, request, method, weights):
    labelled = replace(things, train_instances=tuple(str(row // 2) for row in range(len(things.train))))
    members = tuple(Recipe(dataset="things", weights="random", tap=tap) for tap in ("layer3", "layer4"))
    fusion = Fusion(members=members, method=method, weights=weights)

    def fused():
        return run_fusion(fusion, dataset=labelled, store=warm, progress=False)

    whole = fused()
    request.getfixturevalue("large")
    cut = fused()
    assert cut.ranking.images.shape == (40, 4)
    assert cut.member_weights == whole.member_weights
    same(cut.evaluation, whole.evaluation)
    np.testing.assert_array_equal(lists_of(cut.ranking).whole().images, whole.ranking.images)
    np.testing.assert_array_equal(lists_of(cut.ranking).whole().scores, whole.ranking.scores)


@pytest.mark.parametrize(
    ("queries", "images", "places"), [(70, 1000, 1000), (70, 10**6, 2**20 // 70), (30_000, 30_000, 100)]
)
def test_small_rankings_are_kept_whole_and_of_large_ones_the_first_places(queries, images, places):
    assert Kept(queries, images).places == places


COUNT = 2500


def unextracted(monkeypatch) -> Session:
    """A session on many pictures that are not there, with descriptors drawn at random."""
    paths = tuple(Path(f"/nowhere/{row}.jpg") for row in range(COUNT))
    dataset = Dataset(
        name="many",
        images=paths,
        queries=tuple(Query(path, index=row) for row, path in enumerate(paths)),
        labels=tuple({"positive": tuple(4 * (row // 4) + one for one in range(4))} for row in range(COUNT)),
        image_size=48,
    )
    session = Session(dataset, weights="random", aggregations=["gem(p=3)"], whitening_set="database")
    random = np.random.default_rng(0)
    values = random.normal(size=(COUNT, 64)).astype(np.float32)
    column = Column(values, np.ones(COUNT, np.int64), "drawn")
    for part in ("images", "queries", "many/images"):
        session.bench._columns["layer4", "gem(p=3)", part] = column
    session.bench._leaks["many/images"] = ""
    return session


def test_a_move_of_a_large_panel_adds_little(monkeypatch, tmp_path):
    session = unextracted(monkeypatch)
    session.bench.store = Store(tmp_path)
    session.rank("layer4", "gem(p=3)", "pca", 8)
    tracemalloc.start()
    before, moves = tracemalloc.get_traced_memory()[0], range(16, 40, 4)
    for dimensions in moves:
        session.rank("layer4", "gem(p=3)", "pca", dimensions)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown / len(moves) <= 10 * 2**20, "lists of 2,500 x 2,500 are 50 MB"
    images, queries = session.bench.pair(session.recipe("layer4", "gem(p=3)", "pca", 8))
    assert images is queries, "every image is a query"


def test_what_stays_is_bounded_in_bytes_and_the_last_two_stay_however_large():
    recent = Recent(50, most_bytes=100, size=lambda value: value)
    for size in (10, 20, 30, 40):
        recent.get(size, lambda size=size: size)
    assert recent.size_bytes == 100
    recent.get(25, lambda: 25)
    assert recent.size_bytes == 95
    made = []
    for size in (500, 600, 500):
        recent.get(size, lambda size=size: made.append(size) or size)
    assert made == [500, 600]
    assert recent.size_bytes == 1100
