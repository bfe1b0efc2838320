"""What has no descriptor answers nothing: rows of zeros on every way to a number, and what equal scores decide."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab.datasets import Dataset, Query
from cbirlab.encoding.asmk import similarity
from cbirlab.evaluation import PROTOCOLS, Scorer, evaluate, judge
from cbirlab.fusion import FUSIONS
from cbirlab.fusion.members import Member, fuse, own_rows
from cbirlab.imported_features import SIMILARITY, evaluate_features, rank_features
from cbirlab.index import INDEXES, IndexMethod, Ranking, ranked
from cbirlab.passes import match
from cbirlab.study.choices import read_ranking
from cbirlab.study.choices.judging import Judging
from cbirlab.study.explain.missed_positives import positives
from cbirlab.study.perturbation.answers import answer_of
from cbirlab.study.perturbation.factors import pairs
from cbirlab.whitening import WHITENINGS, learn, normalise, whiten
from cbirlab.widgets.parts.results import results_of_query

SEEDS = st.integers(0, 2**32 - 1)


def made(seed: int, protocol: str = "retrieval", count: int = 12, outside: bool = False) -> tuple[Dataset, np.ndarray]:
    """Images with random labels for each query, some of which have none to find, and random descriptors with rows of
    zeros; queries are images of the database, or `outside` it."""
    random = np.random.default_rng(seed)
    names = sorted({name for level in PROTOCOLS[protocol].levels for name in level.positive + level.junk})
    paths = tuple(Path(f"{row}.jpg") for row in range(count))
    asked = random.permutation(count)[: count // 2]
    queries = tuple(Query(paths[row], index=None if outside else int(row)) for row in asked)
    labels = []
    for row in asked:
        code = random.integers(-1, len(names), count)
        code[row if not outside else []] = -1
        labels.append({name: tuple(np.flatnonzero(code == k).tolist()) for k, name in enumerate(names)})
    values = random.normal(size=(count + outside * len(asked), 5)).astype(np.float32)
    values[random.random(len(values)) < 0.3] = 0
    return Dataset("made", paths, queries, tuple(labels), protocol=protocol), values


def parts(data: Dataset, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of the database, and of the queries."""
    rows = [query.index for query in data.queries]
    return (values, values[rows]) if None not in rows else (values[: -len(rows)], values[-len(rows) :])


def shuffled(data: Dataset, values: np.ndarray, seed: int) -> tuple[Dataset, np.ndarray]:
    """The same benchmark, its images and its queries in another order."""
    random = np.random.default_rng(seed)
    rows, asked = (random.permutation(count) for count in (len(data.images), len(data.queries)))
    place = np.argsort(rows)
    queries = [data.queries[one] for one in asked]
    labels = [
        {name: tuple(sorted(place[list(members)].tolist())) for name, members in data.labels[one].items()}
        for one in asked
    ]
    moved = replace(
        data,
        images=tuple(data.images[row] for row in rows),
        queries=tuple(q if q.index is None else replace(q, index=int(place[q.index])) for q in queries),
        labels=tuple(labels),
    )
    database, others = parts(data, values)
    inside = queries[0].index is not None
    return moved, database[rows] if inside else np.concatenate([database[rows], others[asked]])


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


# every way to a ranking


def _exact(X: np.ndarray, Q: np.ndarray) -> Ranking:
    return INDEXES["exact"](block_mb=0.001).fit(X).search(Q)


WAYS = {
    "exact": _exact,
    **{
        name: lambda X, Q, name=name: rank_features(X, Q, _unlabelled(X, Q), similarity=name)
        for name in SIMILARITY.options
    },
    "views": lambda X, Q: ranked(
        match(*(one for rows in (Q, X) for one in (np.repeat(rows, 2, axis=0), np.full(len(rows), 2))))
    ),
    "asmk": lambda X, Q: ranked(similarity(Q, X, k=3)),
    **{f"whitened, {name}": lambda X, Q, name=name: _exact(*_whitened(name, X, Q)) for name in WHITENINGS},
    **{name: lambda X, Q, name=name: fuse([_member(X, Q), _member(X[:, :4], Q[:, :4])], name) for name in FUSIONS},
}


def _unlabelled(X: np.ndarray, Q: np.ndarray) -> Dataset:
    return Dataset("made", (Path("x.jpg"),) * len(X), (Query(Path("x.jpg")),) * len(Q))


def _whitened(name: str, X: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = np.random.default_rng(0).normal(size=(40, X.shape[1])) + 1, np.repeat(np.arange(10), 4)
    fitted = learn(name, rows, labels if WHITENINGS.info(name).facts["pairs"] else None)
    return whiten(fitted, X), whiten(fitted, Q)


def _member(X: np.ndarray, Q: np.ndarray) -> Member:
    X, Q = normalise(X), normalise(Q)
    return Member(_exact(X, Q), X, Q)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_rows_of_zeros_stand_last_and_answer_nothing(way, seed):
    random = np.random.default_rng(seed)
    X, Q = random.normal(size=(9, 6)).astype(np.float32), random.normal(size=(4, 6)).astype(np.float32)
    X[:, :2] += 0.1  # so that words and the first four dimensions are never empty
    none, asked_none = random.random(9) < 0.4, random.random(4) < 0.4
    X[none], Q[asked_none] = 0, 0
    ranking = WAYS[way](X, Q)
    answers = ranking.scores > -np.inf
    assert ranking.images.shape == (4, 9)
    assert (answers.sum(axis=1) == np.where(asked_none, 0, (~none).sum())).all()
    assert not none[ranking.images[answers]].any()
    for images, some in zip(ranking.images, answers, strict=True):
        assert (np.diff(images[~some]) > 0).all()


# what holds for every protocol


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_the_images_and_of_the_queries_changes_no_metric(protocol, outside, seed):
    first = made(seed, protocol, outside=outside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found, other = (evaluate(_exact(*parts(*one)), one[0], resamples=0) for one in (first, shuffled(*first, seed)))
    spans = {  # two queries in the database that find each other first have one score: micro average precision ties
        PROTOCOLS[protocol].main + level.suffix: float(found.tied[level.name].sum())
        for level in PROTOCOLS[protocol].levels
    }
    assert protocol == "gldv2_recognition" or not any(spans.values())
    for name, value in found.metrics.items():
        assert other.metrics[name] == pytest.approx(value, abs=1e-12 + spans.get(name, 0), nan_ok=True), name


@pytest.mark.parametrize("protocol", sorted({*PROTOCOLS} - {"gldv2_recognition"}))
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_an_image_that_becomes_readable_helps_where_it_is_right_and_stands_in_the_way_where_it_is_wrong(protocol, seed):
    """Micro average precision is left out: there one query stands in another's way too."""
    data, values = made(seed, protocol, outside=seed % 2 == 0)
    random = np.random.default_rng([seed, 1])
    row = int(random.integers(len(values)))
    values[row] = 0
    mended = values.copy()
    mended[row] = random.normal(size=values.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        before, after = (evaluate(_exact(*parts(data, one)), data, resamples=0) for one in (values, mended))
    kept = PROTOCOLS[protocol].own_image == "kept"
    for level in PROTOCOLS[protocol].levels:
        right, junk = (
            [{row for name in names for row in labels.get(name, ())} for labels in data.labels]
            for names in (level.positive, level.junk)
        )
        for query, (was, now) in enumerate(zip(before.per_query[level.name], after.per_query[level.name], strict=True)):
            own = data.queries[query].index
            itself = row == (own if own is not None else len(data.images) + query)
            if np.isnan(was):
                assert np.isnan(now)
            elif itself:
                assert was == 0 or (kept and own is None)
                assert now >= was
            elif row in right[query]:
                assert now >= was - 1e-12
            elif row in junk[query] or row >= len(data.images):
                assert now == was
            else:
                assert now <= was + 1e-12


def test_queries_without_a_descriptor_count_0_wherever_their_class_stands():
    paths = tuple(Path(f"{row}.jpg") for row in range(16))
    labels = tuple(
        {"positive": tuple(other for other in range(row // 4 * 4, row // 4 * 4 + 4) if other != row)}
        for row in range(16)
    )
    data = Dataset("made", paths, tuple(Query(path, index=row) for row, path in enumerate(paths)), labels)
    values = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    for first in (0, 4, 12):
        broken = values.copy()
        broken[first : first + 4] = 0
        for similarity_name in SIMILARITY.options:
            said = (
                rf"4 of 16 queries \({first}\.jpg, {first + 1}\.jpg, {first + 2}\.jpg and 1 more\) have no descriptor"
            )
            with pytest.warns(UserWarning, match=said):
                found = evaluate_features(broken, None, data, similarity=similarity_name)
            assert found.per_query["map"][first : first + 4].tolist() == [0] * 4
            assert (np.delete(found.per_query["map"], np.s_[first : first + 4]) > 0).all()
    with pytest.warns(UserWarning, match=r"4 of 16 images \(12\.jpg, .* no query finds them"):
        evaluate_features(broken, None, data)


@pytest.mark.parametrize("index", ["exact", "hnsw(ef=2)"])
def test_what_no_query_finds_is_said_to_lack_a_descriptor_or_to_come_after_the_end(index):
    """Images 0 to 2 have no descriptor; a short list holds only the images that lie nearest to its query."""
    data, values = made(3, "revisited", count=40, outside=True)
    database, queries = parts(data, values + 1)
    database[:3] = 0
    found = IndexMethod.parse(index).make().fit(database).search(queries)
    beyond = {*range(3, len(database))} - {
        image for row, count in zip(found.images, found.answers(), strict=True) for image in row[:count]
    }
    told = Scorer(data)
    told.add(found)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        told.warn(told.evaluation(resamples=0), described=lambda: database.any(axis=1))
    texts = [str(one.message) for one in said if "no query finds" in str(one.message)]
    count = len(database)
    assert texts[0].startswith(f"evaluate: 3 of {count} images (")
    assert texts[0].endswith(" have no descriptor, so no query finds them.")
    assert len(texts) == (2 if index != "exact" else 1)
    assert bool(beyond) == (index != "exact")
    if beyond:
        assert texts[1].startswith(f"evaluate: {len(beyond)} of {count} images (")
        assert texts[1].endswith(" come after the end of every list, so no query finds them.")


def test_a_gallery_a_probe_and_the_table_of_why_take_no_row_of_zeros_for_an_answer(quiet):
    data, values = made(5, "revisited", outside=True)
    database, queries = parts(data, values)
    queries = queries + 1
    queries[0] = 0
    ranking = _exact(database, queries)
    there = {*np.flatnonzero(database.any(axis=1)).tolist()}
    for query in range(len(queries)):
        one = Ranking(ranking.images[[query]], ranking.scores[[query]])
        shown = results_of_query(data, one, query, shown=12)
        assert {*shown.rows} == (there if query else set())
        assert {*answer_of(one, data, query).first} <= there
    assert "no descriptor" in results_of_query(data, ranking.top(12), 0, shown=12).title
    assert (judge(ranking, data)[0] == "no answer").all()
    assert ((judge(ranking, data) == "no answer") == (ranking.scores == -np.inf)).all()
    run: Any = SimpleNamespace(ranking=ranking, dataset=data, evaluation=evaluate(ranking, data, resamples=0))
    for query in range(len(queries)):
        assert {one.row for one in positives(run, query) if one.rank is not None} <= (there if query else set())
    known = tuple({"index": [row for rows in labels.values() for row in rows]} for labels in data.labels)
    frame = pairs(ranking, replace(data, metadata={"pairs": known}))
    lost = (frame["query"] == 0) | ~frame["image"].isin(there)
    assert (frame["auc"][lost] == 0).all()
    ours = Judging.of(PROTOCOLS["revisited"]).values(ranking, data)
    np.testing.assert_allclose(ours, evaluate(ranking, data, resamples=0).per_query["medium"])


# fusion


@pytest.mark.parametrize("how", [name for name in FUSIONS if FUSIONS.info(name).facts["stage"] != "descriptors"])
def test_where_a_member_has_no_descriptor_the_others_decide(how):
    """Of the first member, which ranks where `how` re-ranks, all is known."""
    random = np.random.default_rng(3)
    X, Q = random.normal(size=(2, 8, 5)).astype(np.float32)
    empty = np.zeros((8, 5), np.float32)
    data = replace(_unlabelled(X, Q), queries=tuple(Query(Path("x.jpg"), index=row) for row in range(8)))
    own = own_rows(data, PROTOCOLS["retrieval"])
    alone = fuse([_member(X, Q)], how, own=own)
    for other in (_member(empty, Q), _member(X, empty), _member(empty, empty)):
        both = fuse([_member(X, Q), other], how, own=own)
        assert both.images.tolist() == alone.images.tolist()
        assert (both.scores > -np.inf).all()
    nothing = fuse([_member(empty, Q), _member(X, empty)], how, own=own)
    assert (nothing.scores == -np.inf).all()


@pytest.mark.parametrize("how", ["minmax", "znorm"])
def test_scores_are_brought_to_their_range_by_the_answers_alone(how):
    scores = np.array([[0.9, 0.2, -np.inf, 0.4, -np.inf]])
    fused = FUSIONS[how]([scores, scores])[0]
    answers = np.isfinite(scores[0])
    assert fused[answers].tolist() == FUSIONS[how]([scores[:, answers]] * 2)[0].tolist()
    assert (fused[~answers] == -np.inf).all()
    other = np.array([[0.1, 0.3, 0.5, 0.2, -0.7]])
    assert FUSIONS[how]([scores, other])[0][2] == pytest.approx(FUSIONS[how]([other])[0][2])


def test_images_without_an_answer_share_the_points_that_are_left():
    ranks = np.array([[0, np.inf, 1, np.inf, 2.0]])
    assert FUSIONS["borda"]([ranks, np.array([[0, 1, 2, 3, 4.0]])]).tolist() == [[10, 5.5, 7, 3.5, 4]]


# equal scores


def _orders(images: np.ndarray, scores: np.ndarray) -> list[tuple[int, ...]]:
    """Every order of one list that its scores allow."""
    runs = [images[scores == score].tolist() for score in dict.fromkeys(scores.tolist())]
    return [tuple(itertools.chain(*some)) for some in itertools.product(*(itertools.permutations(run) for run in runs))]


@pytest.mark.parametrize("protocol", ["revisited", "ukbench", "gldv2", "category", "places"])
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_what_equal_scores_decide_is_what_all_their_orders_give(protocol, seed):
    random = np.random.default_rng(seed)
    data, _ = made(seed, protocol, count=6)
    data = replace(data, queries=data.queries[:1], labels=data.labels[:1])
    values = random.choice([0.1, 0.2, 0.3, -np.inf], size=(1, 6), p=[0.3, 0.3, 0.3, 0.1])
    ranking = ranked(values)
    if seed % 3 == 0:
        ranking = ranking.top(4)
    answers = ranking.answers()[0]
    orders = _orders(ranking.images[0, :answers], ranking.scores[0, :answers])
    lists = [[*order, *ranking.images[0, answers:]] for order in orders]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tied = evaluate(ranking, data, resamples=0).tied
        found = [evaluate(Ranking(np.array([one]), ranking.scores), data, resamples=0) for one in lists]
    for level, spans in tied.items():
        values = np.array([one.per_query[level][0] for one in found])
        assert spans[0] == pytest.approx(0 if np.isnan(values).any() else np.ptp(values), abs=1e-12)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_equal_first_scores_of_two_queries_decide_micro_average_precision(seed):
    random = np.random.default_rng(seed)
    data, _ = made(seed, "gldv2_recognition", count=4)
    ranking = ranked(random.choice([0.1, 0.2, 0.3], size=(2, 4)))
    every = [_orders(*one) for one in zip(ranking.images, ranking.scores, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tied = evaluate(ranking, data, resamples=0).tied["microap"]
        found = []
        for lists, swap in itertools.product(itertools.product(*every), ([0, 1], [1, 0])):
            moved = replace(
                data, queries=tuple(data.queries[k] for k in swap), labels=tuple(data.labels[k] for k in swap)
            )
            one = Ranking(np.array(lists)[swap], ranking.scores[swap])
            found.append(evaluate(one, moved, resamples=0).per_query["microap"][swap])
    np.testing.assert_allclose(tied, np.nan_to_num(np.ptp(found, axis=0)), atol=1e-12)


def test_evaluate_says_how_many_queries_equal_scores_decide():
    data, _ = made(1, "retrieval", outside=True)
    database, queries = np.random.default_rng(1).normal(size=(2, 12, 5))
    queries = queries[: len(data.queries)]
    counted = sum(bool(labels["positive"]) for labels in data.labels)
    with pytest.warns(
        UserWarning, match=rf"equal scores affect {counted} of {counted} queries: .* change map by up to"
    ):
        found = evaluate(_exact(np.ones_like(database), queries), data)
    assert (found.tied["map"] > 0).sum() == counted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not evaluate(_exact(database, queries), data).tied["map"].any()


# metrics that are nan, scores that are none


def test_nan_is_said_with_its_cause():
    paths = tuple(Path(f"{row}.jpg") for row in range(3))
    alone = Dataset(
        "alone", paths, tuple(Query(path, index=row) for row, path in enumerate(paths)), ({"positive": ()},) * 3,
        instances=("a", "b", "c"),
    )  # fmt: skip
    with pytest.warns(
        UserWarning, match=r"none of the 3 queries of 'alone' has a right answer: every image is the only"
    ):
        found = evaluate_features(np.eye(3), None, alone)
    assert np.isnan(found.metrics["map"])
    levels = replace(alone, labels=({"easy": (1,), "hard": ()}, {}, {}), protocol="revisited", instances=())
    with pytest.warns(UserWarning, match=r"none of the 3 queries of 'alone' has a right answer at the level hard"):
        evaluate_features(np.eye(3) + 0.1 * np.arange(9).reshape(3, 3), None, levels)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, wrong=st.sampled_from(["nan", "inf", "rising", "none"]))
def test_a_ranking_takes_falling_scores_alone(seed, wrong, tmp_path_factory):
    random = np.random.default_rng(seed)
    scores = -np.sort(random.normal(size=(3, 7)).astype(np.float32), axis=1)
    scores[:, 7 - random.integers(3) :] = -np.inf
    query, place = random.integers(3), random.integers(4)
    scores[query, place] = {"nan": np.nan, "inf": np.inf, "rising": -9, "none": scores[query, place]}[wrong]
    images = np.tile(np.arange(7), (3, 1))
    path = tmp_path_factory.mktemp("rankings") / "ranking.npz"
    np.savez(path, images=images, scores=scores)
    if wrong == "none":
        assert (read_ranking(path).scores == scores).all()
        return
    said = r"scores must not rise .* distances\?" if wrong == "rising" else "scores must be finite"
    for attempt in (lambda: Ranking(images, scores), lambda: read_ranking(path)):
        with pytest.raises(ValueError, match=said):
            attempt()
