"""Evaluation against loops, scikit-learn and the golden numbers of the literature; protocols, intervals, refusals."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cbirlab.base.params import parameters
from cbirlab.base.registry import UnknownName
from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import (
    METRICS,
    PROTOCOLS,
    PairedTest,
    average_precision,
    bootstrap,
    evaluate,
    intervals,
    judge,
    largest,
    paired_difference,
    precision_at,
    query_groups,
    randomisation_p,
    recall_at,
    title_of,
    verdict,
)
from cbirlab.evaluation.metrics import measure
from cbirlab.exercises.base import told_apart
from cbirlab.index import Ranking
from cbirlab.widgets.parts.views import difference

LEVELS = {
    "easy": ({"easy"}, {"junk", "hard"}),
    "medium": ({"easy", "hard"}, {"junk"}),
    "hard": ({"hard"}, {"junk", "easy"}),
}


def dataset(labels, count, *, protocol="revisited", own=None, instances=()) -> Dataset:
    own = own or [None] * len(labels)
    return Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(count)),
        queries=tuple(Query(Path(f"q{query}.jpg"), index=index) for query, index in enumerate(own)),
        labels=tuple({label: tuple(rows) for label, rows in entry.items()} for entry in labels),
        protocol=protocol,
        instances=instances,
    )


def ranked(lists) -> Ranking:
    images = np.array(lists, dtype=np.int64)
    return Ranking(images, np.broadcast_to(-np.arange(images.shape[1], dtype=np.float32), images.shape))


def random_benchmark(rng, queries=9, count=60, cut=None) -> tuple[Ranking, Dataset]:
    """Random labels, some of them missing altogether, and random rankings."""
    labels = []
    for _ in range(queries):
        rows = rng.permutation(count)
        a, b, c = np.sort(rng.integers(0, 20, size=3))
        labels.append({"easy": rows[:a].tolist(), "hard": rows[a:b].tolist(), "junk": rows[b:c].tolist()})
    lists = [rng.permutation(count)[:cut] for _ in range(queries)]
    return ranked(lists), dataset(labels, count)


@pytest.mark.parametrize(
    ("ranks", "trapezoid", "finite_sum"),
    [([0, 1, 2], 1, 1), ([0, 2, 5], 0.677778, 0.722222), ([1], 0.25, 0.5), ([3, 4], 0.225, 0.325),
     ([0, 9], 0.577778, 0.6)],
)  # fmt: skip
def test_average_precision_has_the_golden_values_of_both_definitions(ranks, trapezoid, finite_sum):
    assert average_precision(ranks) == pytest.approx(trapezoid, abs=1e-6)
    assert average_precision(ranks, method="trapezoid") == pytest.approx(trapezoid, abs=1e-6)
    assert average_precision(ranks, method="finite-sum") == pytest.approx(finite_sum, abs=1e-6)


def test_junk_is_taken_out_before_ranks_are_counted():
    assert average_precision([1, 3, 5], junk_ranks=[0, 4]) == pytest.approx(0.763889, abs=1e-6)
    assert average_precision([1, 3, 5], [0, 4]) == average_precision([0, 2, 3])
    delf_positives, delf_junk = [0, 2, 6, 10, 20], [1, 8, 9, 30]
    assert average_precision(delf_positives, delf_junk) == average_precision([0, 1, 5, 7, 17])


def test_precision_ends_at_the_last_positive_and_recall_does_not():
    assert precision_at([0, 7], 10) == 0.25
    assert precision_at([0, 7], 5) == 0.2
    assert precision_at([0], 10) == 1.0
    assert precision_at([0, 7], 10, n_positive=3) == 0.2, "the third one is beyond the end of the list"
    assert precision_at([1, 8], 10, junk_ranks=[0]) == 0.25
    assert recall_at([0, 7], 5) == 0.5
    assert recall_at([0, 7], 10, n_positive=4) == 0.5


def test_positives_missing_from_a_cut_off_list_contribute_nothing():
    assert average_precision([0, 2], n_positive=4) == average_precision([0, 2]) / 2
    assert average_precision([], n_positive=4) == 0
    assert math.isnan(average_precision([]))
    assert math.isnan(precision_at([], 5))
    assert math.isnan(recall_at([], 5))


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_the_finite_sum_is_that_of_scikit_learn_and_the_trapezoid_is_never_larger(right):
    ranks = np.flatnonzero(right).tolist()
    finite_sum = average_precision(ranks, method="finite-sum")
    assert finite_sum == pytest.approx(average_precision_score(right, -np.arange(len(right))))
    trapezoid = average_precision(ranks)
    assert trapezoid <= finite_sum + 1e-12
    assert (trapezoid == pytest.approx(finite_sum)) == (ranks == list(range(len(ranks))))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1],), "positive_ranks must be different whole numbers"),
        (([-1],), "positive_ranks must be different whole numbers from 0"),
        (([0.5],), "positive_ranks must be"),
        (([0], [2, 2]), "junk_ranks must be"),
        (([0, 2], [2]), "a rank is in positive_ranks and in junk_ranks"),
        (([0, 2], (), 1), "n_positive must be at least 2, the number found, got 1"),
        (([0], (), None, "sum"), "method must be one of trapezoid, finite-sum, got 'sum'"),
    ],
)
def test_ranks_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        average_precision(*arguments)


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_cut_offs_that_make_no_sense_are_refused(k):
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        precision_at([0], k)


@pytest.mark.parametrize("method", ["trapezoid", "finite-sum"])
@pytest.mark.parametrize("cut", [None, 25, 1])
def test_evaluate_agrees_with_the_loops_at_every_level(method, cut):
    rng = np.random.default_rng(5)
    for _ in range(10):
        ranking, made = random_benchmark(rng, cut=cut)
        evaluation = evaluate(ranking, made, average_precision=method, resamples=0)
        for level, (right, ignored) in LEVELS.items():
            judged = [
                (
                    results,
                    {row for label in right for row in labels[label]},
                    {row for label in ignored for row in labels[label]},
                )
                for results, labels in zip(ranking.images.tolist(), made.labels, strict=True)
            ]
            expected = [reference.average_precision(*entry, method) for entry in judged]
            np.testing.assert_allclose(evaluation.per_query[level], expected, rtol=1e-12)
            assert evaluation.metrics[f"map_{level}"] == pytest.approx(np.nanmean(expected))
            for k in (1, 5, 10):
                precisions = [reference.precision_at(*entry, k) for entry in judged]
                assert evaluation.metrics[f"mp@{k}_{level}"] == pytest.approx(np.nanmean(precisions))
            recalling = replace(PROTOCOLS["revisited"], metrics=("recall@7",))
            recalls = [reference.recall_at(*entry, 7) for entry in judged]
            recalled = evaluate(ranking, made, recalling).metrics[f"recall@7_{level}"]
            assert recalled == pytest.approx(np.nanmean(recalls))


def test_golden_numbers_of_the_evaluator_of_delf():
    """Three rankings with the values DELF's tests of the revisited protocol expect; the third query has no positive."""
    made = dataset([{"easy": [0], "hard": [1], "junk": [2]}, {"easy": [0, 4]}, {}], 5)
    lists = [[4, 2, 0, 1, 3], [0, 2, 4, 1, 3], [0, 1, 2, 3, 4]]
    cut_offs = ("mp@1", "mp@2", "mp@5", "recall@1", "recall@2", "recall@5")
    evaluation = evaluate(ranked(lists), made, replace(PROTOCOLS["revisited"], metrics=("map", *cut_offs)))
    np.testing.assert_allclose(evaluation.per_query["medium"], [0.416667, 0.791667, np.nan], atol=1e-6)
    assert evaluation.metrics["map_medium"] == pytest.approx(0.604167, abs=1e-6)
    expected = dict(zip(cut_offs, (0.5, 0.5, 0.666667, 0.25, 0.5, 1.0), strict=True))
    assert {name: evaluation.metrics[f"{name}_medium"] for name in cut_offs} == pytest.approx(expected, abs=1e-6)
    precisions = [precision_at([0, 2, 5], k) for k in (1, 5, 10)]
    assert precisions == pytest.approx([1.0, 0.4, 0.5])
    assert [recall_at([0, 2, 5], k) for k in (1, 5, 10)] == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_queries_without_a_positive_do_not_count_and_a_level_without_any_is_nan():
    made = dataset([{"easy": [0]}, {"hard": [1]}, {"hard": [2]}], 4)
    evaluation = evaluate(ranked([[0, 1, 2, 3]] * 3), made)
    assert evaluation.metrics["map_easy"] == 1.0
    assert np.isnan(evaluation.per_query["easy"]).tolist() == [False, True, True]
    nothing_easy = evaluate(ranked([[0, 1, 2, 3]]), dataset([{"hard": [0]}], 4)).metrics
    assert math.isnan(nothing_easy["map_easy"])
    assert math.isnan(nothing_easy["map_easy_low"])
    assert nothing_easy["map_hard"] == 1.0


def test_the_querys_own_image_is_dropped_from_the_ranking_by_the_retrieval_protocol():
    labels = [{"positive": [0, 1, 2]}, {"positive": [0, 1]}]
    made = dataset(labels, 4, protocol="retrieval", own=[0, 3])
    ranking = ranked([[0, 3, 1, 2], [3, 0, 2, 1]])
    evaluation = evaluate(ranking, made)
    expected = [average_precision([1, 2]), average_precision([0, 2])]
    np.testing.assert_allclose(evaluation.per_query["map"], expected)
    assert list(evaluation.metrics) == ["map", "mp@1", "mp@5", "mp@10", "map_low", "map_high"]
    kept = evaluate(ranking, made, replace(PROTOCOLS["retrieval"], own_image="kept"))
    np.testing.assert_allclose(kept.per_query["map"], [average_precision([0, 2, 3]), average_precision([1, 3])])


def test_every_result_is_named_for_its_frame():
    made = dataset([{"easy": [2], "hard": [0], "junk": [3]}], 5)
    assert judge(ranked([[2, 4, 3, 1, 0]]), made).tolist() == [["easy", "", "junk", "", "hard"]]
    own = dataset([{"positive": [1]}, {"positive": [0]}], 3, protocol="retrieval", own=[0, 1])
    assert judge(ranked([[0, 1], [2, 0]]), own).tolist() == [["query", "positive"], ["", "positive"]]


def test_results_after_the_last_positive_do_not_matter_and_better_places_are_better():
    made = dataset([{"easy": [0], "hard": [1]}], 6)
    score = [
        evaluate(ranked([order]), made).metrics["map_medium"]
        for order in (
            [0, 1, 2, 3, 4, 5],
            [0, 1, 5, 4, 3, 2],
            [0, 2, 1, 3, 4, 5],
            [2, 0, 1, 3, 4, 5],
            [5, 4, 3, 2, 1, 0],
        )
    ]
    assert score[0] == score[1] == 1.0
    assert score == sorted(score, reverse=True)
    assert len({*score}) == 4


@pytest.mark.parametrize(
    ("lists", "labels", "message"),
    [
        ([[0, 1]], [{"easy": [0]}, {"easy": [1]}], r"one row per query \(2\), got 1"),
        ([[0, 9]], [{"easy": [0]}], r"database rows in \[0, 3\]"),
        ([[0, -1]], [{"easy": [0]}], r"database rows in \[0, 3\]"),
        ([[1, 1]], [{"easy": [0]}], "at most once per query"),
        ([[0, 1]], [{"easy": [7]}], r"labels of 'made' must be rows in \[0, 3\]"),
        ([[0, 1]], [{"easy": [0], "junk": [0]}], "labels a database row twice"),
        ([[0, 1]], [{"positive": [0]}], "knows the labels easy, junk, hard; dataset 'made' has positive too"),
    ],
)
def test_rankings_and_labels_that_do_not_fit_are_refused(lists, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate(ranked(lists), dataset(labels, 4))


def test_a_dataset_without_ground_truth_has_no_metrics():
    made = replace(dataset([{}], 4), labels=())
    with pytest.raises(ValueError, match="'made' has no ground truth"):
        evaluate(ranked([[0, 1]]), made)
    assert query_groups(made).tolist() == []


def test_protocols_print_every_choice_and_names_are_checked():
    printed = str(PROTOCOLS["revisited"].with_average_precision("finite-sum"))
    for choice in ("easy or hard", "ignored = junk", "finite-sum", "dropped", "box", "image index", "mp@10"):
        assert choice in printed
    made = dataset([{"easy": [0]}], 4)
    with pytest.raises(UnknownName, match="Did you mean 'revisited'"):
        evaluate(ranked([[0]]), made, "revisted")
    with pytest.raises(UnknownName, match="Did you mean 'map'"):
        evaluate(ranked([[0]]), made, replace(PROTOCOLS["revisited"], metrics=("mapp",)))
    with pytest.raises(ValueError, match="average_precision must be one of trapezoid, finite-sum, got 'mean'"):
        evaluate(ranked([[0]]), made, average_precision="mean")
    with pytest.raises(ValueError, match="levels and metrics must hold at least one each"):
        replace(PROTOCOLS["revisited"], metrics=())
    with pytest.raises(ValueError, match="own_image must be"):
        replace(PROTOCOLS["revisited"], own_image="lost")
    with pytest.raises(ValueError, match="k must be"):
        evaluate(ranked([[0]]), made, replace(PROTOCOLS["revisited"], metrics=("mp@0",)))


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_at_its_best_for_a_perfect_ranking_and_within_bounds_otherwise(name):
    metric = f"{name}@5" if "k" in parameters(METRICS[name]) else name
    perfect = evaluate(ranked([range(8)]), dataset([{"positive": range(5)}], 8, protocol="retrieval"), "retrieval")
    assert measure(metric, perfect.judged["map"], "trapezoid").tolist() == [largest(metric)]
    ranking, other = random_benchmark(np.random.default_rng(1))
    found = evaluate(ranking, other, replace(PROTOCOLS["revisited"], metrics=(metric,))).metrics
    assert all(0 <= value <= largest(metric) for value in found.values())
    assert METRICS.info(name).title
    assert METRICS.info(name).reference


def test_columns_of_metrics_have_labels():
    labels = {
        "map": "mAP", "map_medium": "mAP (Medium)", "map@100": "mAP@100", "mp@10_hard": "mP@10 (Hard)", "ns": "N-S",
        "map_r": "MAP@R", "hit@1": "hit@1", "hit@1_low": "hit@1, lower bound", "dim": "dim",
    }  # fmt: skip
    assert {column: title_of(column) for column in labels} == labels
    assert (largest("ns"), largest("ns_low"), largest("map_easy"), largest("dim")) == (4, 4, 1, 1)


def test_queries_of_one_instance_are_one_group():
    labels = [{"easy": [0]}, {"hard": [1]}, {"easy": [2]}, {"junk": [3]}, {}]
    made = dataset(labels, 4, instances=("a", "a", "b", "b"))
    assert query_groups(made).tolist() == [0, 0, 1, 2, 3]
    assert query_groups(replace(made, instances=())).tolist() == [0, 1, 2, 3, 4]


def test_bootstrap_is_seeded_covers_the_mean_and_narrows_with_more_queries():
    values = np.random.default_rng(0).random(100)
    interval = bootstrap(values)
    assert interval == bootstrap(values)
    assert interval != bootstrap(values, seed=1)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high
    standard_error = values.std() / 10
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    wide = bootstrap(values[:25])
    assert wide.high - wide.low > 1.5 * (interval.high - interval.low)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        interval = bootstrap(rng.random(60), n=400)
        covered += interval.low <= 0.5 <= interval.high
    assert 178 <= covered <= 199


def test_bootstrap_of_groups_draws_whole_groups():
    """Pairs of equal queries carry half the information, so their interval is wider by the root of two."""
    values = np.random.default_rng(0).random(50)
    twice, groups = np.repeat(values, 2), np.repeat(np.arange(50), 2)
    grouped, alone = bootstrap(twice, groups=groups, n=8000), bootstrap(twice, n=8000)
    assert (grouped.high - grouped.low) / (alone.high - alone.low) == pytest.approx(2**0.5, rel=0.07)
    single = bootstrap(values, n=8000)
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=1e-9)


def test_groups_of_different_sizes_weigh_by_their_queries():
    assert bootstrap([0.3] * 7, groups=[0, 0, 0, 0, 0, 1, 2]) == pytest.approx((0.3, 0.3, 0.3))
    assert bootstrap([0.0, 0.0, 0.0, 1.0], groups=[0, 0, 0, 1]).mean == 0.25


def test_bootstrap_leaves_out_queries_that_do_not_count():
    values = np.array([0.2, np.nan, 0.8, np.nan])
    assert bootstrap(values) == bootstrap(values[[0, 2]])
    assert bootstrap(values, groups=[0, 0, 1, 2]) == bootstrap(values[[0, 2]], groups=[0, 1])
    assert all(math.isnan(number) for number in bootstrap([math.nan, math.nan]))
    assert bootstrap([0.4]) == pytest.approx((0.4, 0.4, 0.4))


def test_a_paired_difference_tells_methods_apart_where_single_intervals_overlap():
    rng = np.random.default_rng(2)
    b = rng.random(80)
    a = b + 0.02 + rng.normal(scale=0.02, size=80)
    first, second, difference = bootstrap(a), bootstrap(b), paired_difference(a, b)
    assert first.low < second.high
    assert 0 < difference.low < 0.02 < difference.high
    assert paired_difference(b, a).high == pytest.approx(-difference.low)
    assert paired_difference(a, a) == (0, 0, 0)
    a[0] = np.nan
    assert paired_difference(a, b) == paired_difference(a[1:], b[1:])


def test_intervals_of_many_groups_are_drawn_in_blocks_alike(monkeypatch):
    values, groups = np.random.default_rng(1).random(40), np.arange(40) // 2
    whole, p = bootstrap(values, groups=groups), randomisation_p(values, values[::-1], groups)
    monkeypatch.setattr(intervals, "BLOCK", 777)
    assert bootstrap(values, groups=groups) == pytest.approx(whole, abs=1e-12)
    assert randomisation_p(values, values[::-1], groups) == p


def test_the_randomisation_test_is_that_of_scipy():
    from scipy.stats import permutation_test

    rng = np.random.default_rng(3)
    a = rng.random(9)
    b = a - rng.normal(0.03, 0.05, 9)
    exact = permutation_test((a, b), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
                             n_resamples=np.inf, vectorized=True).pvalue  # fmt: skip
    assert 0.01 < exact < 0.9
    assert randomisation_p(a, b, n=40_000) == pytest.approx(exact, abs=0.01)
    assert randomisation_p(b, a) == randomisation_p(a, b)
    assert randomisation_p(a, a) == 1
    assert randomisation_p(a + 1, a, n=999) == pytest.approx(2 / 2**9, abs=0.004)
    assert math.isnan(randomisation_p([math.nan], [0.5]))


def test_the_randomisation_test_tosses_whole_groups():
    b = np.random.default_rng(0).random(8)
    a = b + np.array([0.2, 0.1, 0.3, -0.1, 0.2, 0.1, -0.1, 0.1])
    twice = randomisation_p(np.repeat(a, 2), np.repeat(b, 2), groups=np.repeat(np.arange(8), 2))
    assert twice == pytest.approx(randomisation_p(a, b), abs=0.02)
    assert randomisation_p(np.repeat(a, 2), np.repeat(b, 2)) < twice


def test_intervals_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="same queries, got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"one entry per value \(2\), got 3"):
        bootstrap([1, 2], groups=[0, 0, 1])
    with pytest.raises(ValueError, match="one number per query"):
        bootstrap(np.zeros((2, 2)))
    for wrong in ({"n": 0}, {"confidence": 1.0}):
        with pytest.raises(ValueError, match="n must be at least 1 and confidence"):
            bootstrap([1, 2], **wrong)


@pytest.mark.benchmark
def test_a_slider_need_not_wait_for_the_evaluation(capsys):
    """96 queries x 1000 images: 10 ms to judge, 50 ms for the intervals. Fails at five times that: machines differ."""
    ranking, made = random_benchmark(np.random.default_rng(0), queries=96, count=1000)
    judging = _best_ms(lambda: evaluate(ranking, made, resamples=0))
    both = _best_ms(lambda: evaluate(ranking, made))
    with capsys.disabled():
        print(f"\nevaluate 96 x 1000: {judging:.1f} ms, with bootstrap {both:.1f} ms")
    assert judging < 50
    assert both - judging < 250


def _best_ms(call) -> float:
    best = math.inf
    for _ in range(7):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


@pytest.mark.parametrize("groups", [4, 5, 8, 12])
def test_with_few_groups_the_verdict_goes_by_p(groups):
    """Of four or five groups no p can be small, however narrow the interval; of more the two mostly agree."""
    random = np.random.default_rng(groups)
    disagreed = 0
    for _ in range(60):
        b = random.random(groups)
        a = b + random.normal(0.1, 0.12, groups)
        test = PairedTest(*paired_difference(a, b, n=300), randomisation_p(a, b, n=2000))
        said = verdict(test, groups)
        assert test.apart == ((test.low > 0 or test.high < 0) and test.p <= 0.05)
        assert ("does not tell" in said) == (not test.apart)
        assert f"form only {groups} groups: go by p" in said
        disagreed += (test.low > 0 or test.high < 0) and not test.apart
        assert ("excludes 0, but p is" in said) == ((test.low > 0 or test.high < 0) and not test.apart)
        wins = pd.DataFrame()
        wins.attrs = {"mean_difference": test.mean, "low": test.low, "high": test.high, "p": test.p}
        word, told = told_apart(wins)
        assert (word == "cannot tell") == (not test.apart)
        assert f"p {test.p:.2g}" in told
        assert ("could be chance" in difference(*test)) == (not test.apart)
    assert disagreed
    pooled = PairedTest(0.1, 0.05, 0.15, float("nan"))
    assert pooled.apart
    assert verdict(pooled, 4) == "which tells the two apart"
