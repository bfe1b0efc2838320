"""Protocols and their metrics: against loops on ten thousand lists, the fixtures of others, and by hand."""

from __future__ import annotations

import html
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
from scipy.io import loadmat

from cbirlab.base.registry import UnknownName
from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, Judged, average_precision, evaluate, interval, judge, paired, per_query_table
from cbirlab.evaluation.intervals import resample_micro
from cbirlab.evaluation.metrics import measure
from cbirlab.index import Ranking, ranked
from cbirlab.pipeline import Recipe, select_metrics


def dataset(labels, count, protocol, *, own=None, instances=()) -> Dataset:
    own = own or [None] * len(labels)
    return Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(count)),
        queries=tuple(Query(Path(f"q{query}.jpg"), index=index) for query, index in enumerate(own)),
        labels=tuple({name: tuple(rows) for name, rows in entry.items()} for entry in labels),
        protocol=protocol,
        instances=instances,
    )


def listed(lists, scores=None) -> Ranking:
    images = np.array(lists, dtype=np.int64)
    falling = np.broadcast_to(-np.arange(images.shape[1], dtype=np.float32), images.shape)
    return Ranking(images, falling if scores is None else np.array(scores, dtype=np.float32))


def drawn_labels(rng, count) -> dict[str, list[int]]:
    """Sometimes without easy, without hard or without any label."""
    rows = rng.permutation(count).tolist()
    a, b, c = sorted(rng.integers(0, 12, size=3) * rng.integers(0, 2))
    return {"easy": rows[:a], "hard": rows[a:b], "junk": rows[b:c]}


@pytest.mark.parametrize("method", ["trapezoid", "finite-sum"])
def test_ten_thousand_lists_with_junk_ties_missing_positives_and_empty_queries_agree_with_the_loops(method):
    rng, judged, empty, missing, tied = np.random.default_rng(8), 0, 0, 0, 0
    for _ in range(50):
        count, queries, cut = int(rng.integers(5, 40)), 100, int(rng.integers(3, 40))
        scores = rng.integers(0, 6, size=(queries, count)).astype(np.float32)
        made = dataset([drawn_labels(rng, count) for _ in range(queries)], count, "revisited")
        k = int(rng.integers(1, 12))
        cut_off = ("mp", "precision", "recall", "hit", "map")
        names = ["map", *(f"{name}@{k}" for name in cut_off), "r_precision", "map_r", "mrr", "ns"]
        found = evaluate(ranked(scores).top(min(cut, count)), made, average_precision=method, resamples=0)
        for level in PROTOCOLS["revisited"].levels:
            values = {name: measure(name, found.judged[level.name], method) for name in names}
            for query, labels in enumerate(made.labels):
                order = sorted(range(count), key=lambda row, one=scores[query]: (-one[row], row))[:cut]
                right, junk = ({row for name in part for row in labels[name]} for part in (level.positive, level.junk))
                expected = reference.retrieval_metrics(order, right, junk, k)
                expected["map"] = reference.average_precision(order, right, junk, method)
                for name, value in values.items():
                    slow = expected[name if "@" not in name else f"{name.split('@')[0]}@k"]
                    if name != f"map@{k}" or method == "finite-sum":
                        assert value[query] == pytest.approx(slow, abs=1e-12, nan_ok=True), (level.name, query, name)
                judged += 1
                empty += not right
                missing += bool(right - {*order})
                tied += len({*scores[query]}) < count
    assert judged == 15_000
    assert min(empty, missing, tied) > 1000, "the cases that the test is about"


def test_the_cut_off_trapezoid_counts_the_positives_that_fit():
    assert average_precision([0, 2, 5], k=3) == pytest.approx((1 + (0.5 + 2 / 3) / 2) / 3)
    assert average_precision([0, 2], n_positive=9, k=2, method="finite-sum") == 0.5
    assert average_precision([0, 1], n_positive=9, k=2) == 1
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        average_precision([0], k=0)


def test_the_literal_tables_of_pytorch_metric_learning():
    """Its nearest labels of five queries, each seen once among others (R = 3, 3, 5, 4, 5) and once without itself."""
    wanted = [1, 1, 2, 3, 4]
    nearest = np.array([[0, 1, 1, 2, 2], [1, 0, 1, 1, 3], [4, 4, 4, 4, 2], [3, 1, 3, 1, 3], [0, 0, 4, 2, 2]])
    counts = np.array([3, 3, 5, 4, 5])
    expected = {
        0: {
            "hit@1": [0, 1, 0, 1, 0],
            "r_precision": [2 / 3, 2 / 3, 1 / 5, 2 / 4, 1 / 5],
            "map_r": [(1 / 2 + 2 / 3) / 3, (1 + 2 / 3) / 3, 1 / 25, (1 + 2 / 3) / 4, 1 / 15],
            "map": [(1 / 2 + 2 / 3) / 2, (1 + 2 / 3 + 3 / 4) / 3, 1 / 5, (1 + 2 / 3 + 3 / 5) / 3, 1 / 3],
        },
        1: {
            "precision@1": [1, 0, 0, 0, 0],
            "r_precision": [1, 1 / 2, 1 / 4, 1 / 3, 1 / 4],
            "map_r": [1, 1 / 4, 1 / 16, 1 / 6, 1 / 8],
            "map": [1, (1 / 2 + 2 / 3) / 2, 1 / 4, (1 / 2 + 2 / 4) / 2, 1 / 2],
        },
    }
    assert np.mean(expected[0]["hit@1"]) == 0.4
    for first, values in expected.items():
        query, rank = np.nonzero(nearest[:, first:] == np.array(wanted)[:, None])
        every = np.ones(len(query), dtype=bool)
        judged = Judged.from_labelled(query, rank, every, ~every, counts - first)
        found_only = replace(judged, n_positive=np.bincount(query, minlength=5))  # its MAP ignores what was not found
        for name, slow in values.items():
            found = measure(name, found_only if name == "map" else judged, "finite-sum")
            np.testing.assert_allclose(found, slow, rtol=1e-12, err_msg=name)


def test_the_fixture_of_pytorch_metric_learning_on_places_of_one_line():
    """Ten references of the own class at distances 0, 1, 2, ..., ten of another between them."""
    right = [0, 1, 3, 5, 7, 9]
    found = Judged(np.zeros(6, int), np.array(right), np.arange(6), np.array([10])).average_precision("finite-sum", 9)
    assert found * 9 == pytest.approx(1 + 2 / 2 + 3 / 4 + 4 / 6 + 5 / 8)


@pytest.mark.parametrize(
    ("retrieved", "value", "trapezoid"),
    [([1, 33, 2, 4], 0.6041667, 0.5729167), ([1, 42], 0.25, 0.25), ([1, 42, 2, 3, 4], 0.8041667, 0.7666667)],
)
def test_the_average_precision_of_imagededup_is_the_finite_sum(retrieved, value, trapezoid):
    ranks = [rank for rank, name in enumerate(retrieved) if name in (1, 2, 3, 4)]
    assert average_precision(ranks, n_positive=4, method="finite-sum") == pytest.approx(value, abs=1e-7)
    assert average_precision(ranks, n_positive=4) == pytest.approx(trapezoid, abs=1e-7)


def test_the_ranks_without_junk_of_the_evaluator_of_delf():
    ranks, junk = np.array([0, 2, 6, 10, 20]), np.array([1, 8, 9, 30])
    order = np.argsort(np.concatenate([ranks, junk]))
    rank, right = np.concatenate([ranks, junk])[order], (np.arange(9) < 5)[order]
    judged = Judged.from_labelled(np.zeros(9, int), rank, right, ~right, np.array([5]))
    assert judged.rank.tolist() == [0, 1, 5, 7, 17]


def test_google_landmarks_retrieval_is_that_of_delf():
    """Four queries: one answered by nothing right, one at the second place, one of three found, one at once."""
    labels = [{"positive": rows} for rows in ([1, 2], [1], [3, 4, 5], [3])]
    made = dataset(labels, 9, "gldv2")
    ranking = listed([[0, 6], [0, 1], [4, 0], [3, 4]])
    assert evaluate(ranking, made).metrics["map@100"] == pytest.approx(0.458333, abs=1e-6)
    at_one = replace(PROTOCOLS["gldv2"], metrics=("map@1", "precision@1", "precision@2"))
    found = evaluate(ranking, made, at_one).metrics
    assert [found[name] for name in at_one.metrics] == pytest.approx([0.5, 0.5, 0.375])


def test_google_landmarks_recognition_is_that_of_delf():
    """Five queries, two of them distractors; the most confident prediction is a distractor's."""
    labels = [{"positive": [0, 1]}, {"positive": [2, 3, 4]}, {"positive": [5]}, {}, {}]
    made = dataset(labels, 8, "gldv2_recognition")
    ranking = listed([[7], [0], [5], [6], [7]], [[-1], [0.01], [10], [15], [-1]])
    found = evaluate(ranking, made)
    assert found.metrics["microap"] == pytest.approx(0.166667, abs=1e-6)
    assert found.metrics["hit@1"] == pytest.approx(0.333333, abs=1e-6)
    ignored = dataset(labels[:3], 8, "gldv2_recognition")
    assert evaluate(listed([[7], [0], [5]], [[-1], [0.01], [10]]), ignored).metrics["microap"] == pytest.approx(1 / 3)


def recognised(rng, queries) -> tuple[Ranking, Dataset]:
    """First results of queries, half of them right, some of queries that have no right answer, many of equal scores."""
    labels = [{"positive": [query % 5]} if rng.random() < 0.7 else {} for query in range(queries)]
    lists = [[row, *({*range(6)} - {row})] for row in (q % 5 if rng.random() < 0.5 else 5 for q in range(queries))]
    scores = -np.sort(-rng.integers(0, 9, size=(queries, 6)), axis=1)
    return listed(lists, scores), dataset(labels, 6, "gldv2_recognition", instances=tuple("abcabc"))


def test_micro_average_precision_and_its_interval_agree_with_the_loops():
    rng = np.random.default_rng(0)
    ranking, made = recognised(rng, 40)
    found = evaluate(ranking, made)
    right = [row[0] in labels.get("positive", ()) for row, labels in zip(ranking.images, made.labels, strict=True)]
    confidence, counted = ranking.scores[:, 0].tolist(), np.array([bool(labels) for labels in made.labels])
    predictions = list(zip(confidence, right, strict=True))
    assert found.metrics["microap"] == pytest.approx(reference.micro_average_precision(predictions, counted.sum()))
    samples = resample_micro(np.array(right), np.array(confidence), counted, found.groups, 50, 3)
    names = sorted({*found.groups.tolist()})
    for sample, draw in zip(samples, np.random.default_rng(3).integers(len(names), size=(50, len(names))), strict=True):
        times = [int((draw == names.index(group)).sum()) for group in found.groups]
        order = sorted(range(40), key=lambda query: -confidence[query])
        copies = [predictions[query] for query in order for _ in range(times[query])]
        with_positive = sum(n for n, one in zip(times, counted, strict=True) if one)
        expected = reference.micro_average_precision(copies, with_positive) if with_positive else math.nan
        assert sample == pytest.approx(expected, nan_ok=True)
    assert found.metrics["microap_low"] < found.metrics["microap"] < found.metrics["microap_high"]
    assert interval(found) == (found.metrics["microap"], found.metrics["microap_low"], found.metrics["microap_high"])


def test_confidence_is_the_score_of_the_first_result_that_is_not_junk():
    labels = [{"positive": [2]}, {"positive": [1]}, {"positive": [0]}, {"positive": [3]}]
    own = [0, 0, 3, 2]
    ranking = listed([[0, 2], [1, 0], [3, 1], [2, 3]], [[9, 4], [8, 7], [6, 5], [4, 3]])
    judged = evaluate(ranking, dataset(labels, 4, "gldv2_recognition", own=own)).judged["microap"]
    assert judged.confidence.tolist() == [4, 8, 5, 3]
    alone = evaluate(ranking.top(1), dataset(labels, 4, "gldv2_recognition", own=own)).judged["microap"]
    assert alone.confidence.tolist() == [-np.inf, 8, -np.inf, -np.inf]
    with pytest.raises(ValueError, match="the list must have scores"):
        replace(judged, confidence=None).micro_average_precision()


def test_ukbench_counts_the_query_itself_and_ends_at_four():
    labels = [{"positive": [0, 1, 2, 3]}] * 2
    made = dataset(labels, 6, "ukbench", own=[0, 1])
    perfect = evaluate(listed([[0, 1, 2, 3, 4, 5], [1, 0, 3, 2, 4, 5]]), made)
    assert (perfect.metrics["ns"], perfect.metrics["map"]) == (4, 1)
    found = evaluate(listed([[0, 4, 1, 5, 2, 3], [1, 0, 3, 4, 5, 2]]), made)
    assert found.per_query["ns"].tolist() == [2, 3]
    assert found.metrics["ns"] == 2.5
    assert 2 <= found.metrics["ns_low"] <= 2.5 <= found.metrics["ns_high"] <= 3
    assert judge(listed([[0, 4, 1, 5, 2, 3], [1, 0, 3, 4, 5, 2]]), made)[0, 0] == "positive"


def test_the_own_image_is_right_in_classic_oxford_and_dropped_in_holidays():
    classic = dataset([{"good": [0], "ok": [2], "junk": [1]}], 5, "classic", own=[0])
    assert evaluate(listed([[0, 1, 3, 2, 4]]), classic).metrics["map"] == pytest.approx(average_precision([0, 2]))
    holidays = dataset([{"positive": [0, 2]}], 5, "holidays", own=[0])
    assert evaluate(listed([[0, 1, 2, 3, 4]]), holidays).metrics["map"] == pytest.approx(average_precision([1]))
    with pytest.raises(ValueError, match="knows the labels positive; dataset 'made' has good, junk, ok too"):
        evaluate(listed([[0, 1, 2, 3, 4]]), classic, "holidays")


def test_recall_of_metric_learning_is_not_the_share_that_was_found():
    made = dataset([{"positive": [1, 2, 3]}, {"positive": [0, 2, 3]}, {}], 6, "category", own=[0, 1, 5])
    found = evaluate(listed([[0, 4, 1, 2, 3, 5], [1, 5, 4, 2, 0, 3], [5, 0, 1, 2, 3, 4]]), made).metrics
    assert [found[f"hit@{k}"] for k in (1, 2, 4, 8)] == [0, 0.5, 1, 1]
    assert found["precision@1"] == found["hit@1"]
    assert found["precision@10"] == 0.3
    both = evaluate(listed([[0, 4, 1, 2, 3, 5], [1, 5, 4, 2, 0, 3], [5, 0, 1, 2, 3, 4]]), made,
                    replace(PROTOCOLS["category"], metrics=("hit@2", "recall@2")))  # fmt: skip
    assert both.metrics["recall@2"] == pytest.approx(1 / 6)
    assert both.metrics["hit@2"] == 0.5


def test_places_count_a_query_as_found_by_any_of_its_place():
    made = dataset([{"positive": [3, 4]}, {"positive": [0], "junk": [1]}], 30, "places")
    far = [row for row in range(30) if row not in (3, 4)]
    found = evaluate(listed([[*far[:6], 3, 4, *far[6:]], [1, 0, *range(2, 30)]]), made)
    assert [found.metrics[f"hit@{k}"] for k in (1, 5, 10, 20)] == [0.5, 0.5, 1, 1]
    assert found.per_query["hit@1"].tolist() == [0, 1]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_judges_and_says_how(name):
    protocol = PROTOCOLS[name]
    level = protocol.level()
    labels = [{level.positive[0]: [1, 2]}, {level.positive[0]: [0]}]
    found = evaluate(listed([[1, 0, 2, 3], [2, 0, 1, 3]]), dataset(labels, 4, name), resamples=200)
    main = protocol.headline
    assert main == protocol.main + level.suffix
    assert found.metrics[f"{main}_low"] <= found.metrics[main] <= found.metrics[f"{main}_high"]
    assert [one.name for one in protocol.levels] == list(found.per_query)
    assert all(f"{metric}{one.suffix}" in found.metrics for metric in protocol.metrics for one in protocol.levels)
    assert found.metrics[main] == pytest.approx(np.nanmean(found.per_query[level.name]))
    printed = str(protocol)
    for words in (protocol.title, protocol.own_image, protocol.crop, protocol.ties, protocol.remark, *protocol.metrics):
        assert words in printed
    assert printed.splitlines()[1] in html.unescape(protocol._repr_html_())


@pytest.mark.parametrize(("name", "images"), [("oxford5k", 5063), ("paris6k", 6392)])
def test_the_classic_protocol_on_the_published_ground_truth(name, images):
    """Every query stands among its own right answers, so a ranking that begins with it starts with a right one."""
    folder = os.environ.get("CBIRLAB_TEST_DATA")
    if not folder:
        pytest.skip("CBIRLAB_TEST_DATA names no folder with ground truth")
    truth = loadmat(Path(folder, "benchmarks/oxford_paris_gnd", f"gnd_{name}.mat"), simplify_cells=True)
    labels = [{key: (np.atleast_1d(one[key]) - 1).tolist() for key in ("ok", "junk")} for one in truth["gnd"]]
    own = (truth["qidx"] - 1).tolist()
    made = dataset(labels, len(truth["imlist"]), "classic", own=own)
    assert (len(made.images), len(made.queries)) == (images, 55)
    assert all(row in entry["ok"] for row, entry in zip(own, labels, strict=True))
    scores = np.random.default_rng(0).random((55, images)).astype(np.float32)
    for query, entry in enumerate(labels):
        scores[query, entry["ok"]] += 0.4
        scores[query, own[query]] = 2
    ranking = ranked(scores)
    found, both = evaluate(ranking, made), replace(PROTOCOLS["classic"], own_image="dropped")
    sides = [({*entry["ok"]}, {*entry["junk"]}) for entry in labels]
    for metric, slow in (("mp@1", 1.0), ("map", np.mean([reference.average_precision(row, *side, "trapezoid")
                         for row, side in zip(ranking.images.tolist(), sides, strict=True)]))):  # fmt: skip
        assert found.metrics[metric] == pytest.approx(slow)
    assert evaluate(ranking, made, both).metrics["map"] < found.metrics["map"]


def test_a_level_is_found_by_name():
    protocol = PROTOCOLS["revisited"]
    assert (protocol.level().name, protocol.level("hard").name) == ("medium", "hard")
    assert PROTOCOLS["classic"].level().name == "map"
    with pytest.raises(ValueError, match=r"versus: level must be one of easy, medium, hard, got 'harder'\."):
        protocol.level("harder", "versus")


def two_evaluations(protocol="retrieval"):
    """The second of them a little worse for most queries."""
    rng = np.random.default_rng(2)
    scores = rng.random((60, 50)).astype(np.float32)
    labels = [{"positive": rng.permutation(50)[:5].tolist()} for _ in range(60)]
    made = dataset(labels, 50, protocol, instances=tuple(str(row // 5) for row in range(50)))
    for query, entry in enumerate(labels):
        scores[query, entry["positive"]] += 0.5
    worse = scores + rng.random((60, 50)).astype(np.float32)
    return evaluate(ranked(scores), made), evaluate(ranked(worse), made), made


@pytest.mark.parametrize("protocol", ["retrieval", "gldv2_recognition"])
def test_two_recipes_are_told_apart_by_a_paired_test(protocol):
    a, b, _ = two_evaluations(protocol)
    main = a.protocol.main
    test = paired(a, b)
    assert 0 < test.low < test.mean < test.high
    assert test.mean == pytest.approx(a.metrics[main] - b.metrics[main])
    assert paired(b, a)[:3] == pytest.approx((-test.mean, -test.high, -test.low))
    assert paired(a, a)[:3] == (0, 0, 0)
    assert math.isnan(test.p) if protocol == "gldv2_recognition" else 0 < test.p < 0.05
    other = evaluate(listed([[0, 1, 2, 3, 4]]), dataset([{"easy": [0]}], 5, "revisited"))
    with pytest.raises(ValueError, match=r"same queries under one protocol, got 'retrieval'.* and 'revisited' with 1"):
        paired(two_evaluations()[0], other)


def test_the_table_of_queries_has_every_metric_and_averages_to_the_evaluation():
    a, _, made = two_evaluations()
    table = per_query_table(a, made)
    assert list(table.columns) == ["query", "image", "group", "positives", "first", *a.protocol.metrics]
    assert table["image"][3] == "q3.jpg"
    for metric in a.protocol.metrics:
        assert table[metric].mean() == pytest.approx(a.metrics[metric])
    assert (table["positives"] == 5).all()
    assert ((table["first"] == 1) == (table["mp@1"] == 1)).all()
    revisited = dataset([{"easy": [1], "hard": [2]}, {"junk": [0]}], 4, "revisited")
    found = evaluate(listed([[0, 1, 2, 3], [0, 1, 2, 3]]), revisited)
    hard = per_query_table(found, revisited, "hard")
    assert hard["first"].tolist()[0] == 2
    assert hard.isna().to_numpy()[1, 4:].all()
    with pytest.raises(ValueError, match="must cover the 60 queries of 'made', got 2"):
        per_query_table(found, made)


def test_further_metrics_stand_beside_the_protocols_own_and_change_nothing():
    _, _, made = two_evaluations()
    ranking = ranked(np.random.default_rng(0).random((60, 50)).astype(np.float32))
    usual = evaluate(ranking, made)
    found = evaluate(ranking, made, metrics=["recall@1", "hit@5,mp@3"])
    assert found.metrics == usual.metrics | {name: found.metrics[name] for name in ("recall@1", "hit@5", "mp@3")}
    assert found.protocol == usual.protocol.with_metrics("recall@1", "hit@5", "mp@3", "map")
    assert found.protocol.headline == usual.protocol.headline
    judged = found.judged["map"]
    assert found.metrics["recall@1"] == pytest.approx(np.nanmean(judged.recall_at(1)))
    assert select_metrics(found) == select_metrics(usual) | {
        name: found.metrics[name] for name in ("recall@1", "hit@5", "mp@3")
    }
    assert {"recall@1", "hit@5", "mp@3"} <= {*per_query_table(found, made).columns}
    for wrong, error in (("hits@5", UnknownName), ("hit@0", ValueError), ("mrr@3", TypeError), (5, TypeError)):
        with pytest.raises(error):
            Recipe(metrics=wrong)
    assert Recipe.from_json(Recipe(metrics="recall@1, hit@5").to_json()).metrics == ("recall@1", "hit@5")
    assert "metrics" not in Recipe().to_json()
