"""Equal scores: average precision over all their orders, against walks through every one of them."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, Judged, evaluate, per_query_table, title_of
from cbirlab.evaluation.ties import Equals, expected_terms, tie_rate
from cbirlab.index import Ranking, lists, ranked
from cbirlab.study.choices import Judging

pytestmark = pytest.mark.filterwarnings("ignore:evaluate. :UserWarning")

TIES = ("map", "map_ties", "map_ties_worst", "map_ties_best")
METHODS = ("trapezoid", "finite-sum")


def made(labels: list[dict[str, list[int]]], images: int, protocol: str) -> Dataset:
    return Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(images)),
        queries=tuple(Query(Path(f"q{number}.jpg")) for number in range(len(labels))),
        labels=tuple({name: tuple(rows) for name, rows in one.items()} for one in labels),
        protocol=protocol,
    )


def of_groups(groups: list[tuple[int, int]]) -> tuple[Ranking, Dataset]:
    """One query; each group has (results, right ones), the right ones last in the order of the images."""
    sizes = [size for size, _ in groups]
    stops = np.cumsum(sizes)
    right = [row for stop, (_, count) in zip(stops, groups, strict=True) for row in range(stop - count, stop)]
    scores = -np.repeat(np.arange(len(groups)), sizes)[None]
    return ranked(scores), made([{"positive": right}], int(stops[-1]), "retrieval")


@pytest.mark.parametrize(
    ("groups", "method", "expected", "low", "high"),
    [
        ([(3, 2), (2, 1)], "finite-sum", 0.762037, 0.588889, 0.916667),
        ([(3, 2), (2, 1)], "trapezoid", 0.700463, 0.461111, 0.902778),
        ([(1, 0), (4, 2), (3, 1)], "finite-sum", 0.438360, None, None),
        ([(1, 0), (4, 2), (3, 1)], "trapezoid", 0.329034, None, None),
        ([(5, 1)], "finite-sum", 0.456667, 0.2, 1),
        ([(5, 1)], "trapezoid", 0.328333, 0.1, 1),
    ],
)
def test_golden_numbers(groups, method, expected, low, high):
    ranking, data = of_groups(groups)
    found = evaluate(ranking, data, average_precision=method, metrics=TIES, resamples=0).metrics
    assert found["map_ties"] == pytest.approx(expected, abs=5e-7)
    if low is not None:
        assert [found["map_ties_worst"], found["map_ties_best"]] == pytest.approx([low, high], abs=5e-7)
    assert found["map"] == found["map_ties_worst"]  # because the right ones are last


def orders_of(images: list[int], scores: list[float]) -> list[list[int]]:
    """Every order of one list that its scores allow."""
    runs = [[*run] for _, run in itertools.groupby(images, key=dict(zip(images, scores, strict=True)).get)]
    return [[*itertools.chain(*one)] for one in itertools.product(*map(itertools.permutations, runs))]


@settings(max_examples=150, deadline=None)
@given(
    scores=st.lists(st.sampled_from([0.5, 0.25, 0.125, -math.inf]), min_size=1, max_size=6),
    names=st.lists(st.sampled_from(["easy", "hard", "junk", ""]), min_size=8, max_size=8),
    cut=st.integers(1, 6),
    method=st.sampled_from(METHODS),
    k=st.integers(1, 7),
)
def test_all_orders_give_the_mean_and_its_bounds_at_every_level(scores, names, cut, method, k):
    """Rows beyond those with scores are positives that no list can hold; what a cut leaves out is not moved."""
    labels = {kind: [row for row, name in enumerate(names) if name == kind] for kind in ("easy", "hard", "junk")}
    data = made([labels], len(names), "revisited")
    ranking = ranked(np.array([scores + [-math.inf] * (len(names) - len(scores))])).top(cut)
    answers = ranking.answers()[0]
    orders = orders_of(ranking.images[0, :answers].tolist(), ranking.scores[0, :answers].tolist())
    metrics = [*TIES, *(f"{name}@{k}" for name in TIES)]
    found = evaluate(ranking, data, average_precision=method, metrics=metrics, resamples=0)
    for level in found.protocol.levels:
        right, junk = ({row for kind in some for row in labels[kind]} for some in (level.positive, level.junk))
        walked = [reference.average_precision(one, right, junk, method) for one in orders]
        counted = [cut_at(one, right, junk, method, k) for one in orders]
        for end, values in (("", walked), (f"@{k}", counted)):
            plain, mean, low, high = (found.metrics[f"{name}{end}{level.suffix}"] for name in TIES)
            if not right:
                assert np.isnan([plain, mean, low, high]).all()
                continue
            wanted = [math.fsum(values) / len(values), min(values), max(values)]
            assert [mean, low, high] == pytest.approx(wanted, abs=1e-12)
            assert low <= plain <= high
            assert low - 1e-12 <= mean <= high + 1e-12
            if len(orders) == 1:
                assert plain == mean == low == high, "without ties, bit for bit"


def cut_at(results: list[int], right: set[int], junk: set[int], method: str, k: int) -> float:
    """Average precision over the first k results, divided by the positives that fit in."""
    if not right:
        return math.nan
    rows = reference.without_junk(results, junk)[:k]
    return reference.average_precision(rows, right, set(), method) * len(right) / min(len(right), k)


def benchmark(queries: int, images: int, bits: int, seed: int = 0) -> tuple[Ranking, Dataset]:
    """Hamming distances of random codes, those of positives smaller by tendency."""
    random = np.random.default_rng(seed)
    kinds = random.choice(4, size=(queries, images), p=[0.96, 0.015, 0.015, 0.01])
    distances = random.binomial(bits, np.where((kinds == 1) | (kinds == 2), 0.4, 0.5))
    names = ("easy", "hard", "junk")
    labels = [{name: np.flatnonzero(row == code + 1).tolist() for code, name in enumerate(names)} for row in kinds]
    return ranked(1 - 2 * distances / bits), made(labels, images, "revisited")


def test_shuffled_ties_scatter_around_the_expected_value():
    ranking, data = benchmark(12, 300, 12)
    found = evaluate(ranking, data, metrics=TIES, resamples=0)
    random, values = np.random.default_rng(1), []
    for _ in range(400):
        order = np.lexsort((random.random(ranking.images.shape), -ranking.scores), axis=1)
        shuffled = Ranking(np.take_along_axis(ranking.images, order, axis=1), ranking.scores)
        values.append(evaluate(shuffled, data, resamples=0).metrics["map_medium"])
    mean, low, high = (found.metrics[f"{name}_medium"] for name in TIES[1:])
    assert low < min(values) < mean < max(values) < high
    assert abs(np.mean(values) - mean) < 4 * np.std(values) / np.sqrt(len(values))
    best, worst = (found.judged["medium"].best(), found.judged["medium"].worst())
    np.testing.assert_allclose(best.average_precision() - worst.average_precision(), found.tied["medium"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("before", "right_before"), [(0, 0), (1, 0), (50, 3), (63, 60), (64, 64), (10**6, 7)])
@pytest.mark.parametrize(("size", "right"), [(2, 1), (3, 3), (40, 2), (3000, 11)])
def test_long_lists_lose_no_digits(before, right_before, size, right, method):
    """One run behind so many results, against the sum over its places in fractions."""
    run = Equals(np.array([before]), np.array([size]))
    found = right * expected_terms(
        run, np.array([right]), np.array([right_before]), np.array([size]), trapezoid=method == "trapezoid"
    )
    total = Fraction(0)
    for i in range(1, size + 1):
        ahead = right_before + (Fraction((right - 1) * (i - 1), size - 1))
        after = (ahead + 1) / (before + i)
        just_before = ahead / (before + i - 1) if before + i > 1 else Fraction(1)
        total += Fraction(right, size) * (after if method == "finite-sum" else (after + just_before) / 2)
    assert found[0] == pytest.approx(float(total), rel=1e-12, abs=1e-14)


def test_lists_in_blocks_and_other_ways_to_judge_give_the_same_bit_for_bit(monkeypatch):
    """Two of the queries have no ties, one of them alone in its block."""
    ranking, data = benchmark(9, 400, 16)
    scores = ranking.scores.copy()
    scores[[0, 5]] = -np.arange(400)
    ranking, rules = Ranking(ranking.images, scores), PROTOCOLS["revisited"].with_metrics(*TIES)
    whole = evaluate(ranking, data, rules, resamples=0)
    monkeypatch.setattr(lists, "BLOCK", 400)
    same = evaluate(ranking, data, rules, resamples=0)
    assert same.metrics == whole.metrics
    for level in rules.levels:
        frame = per_query_table(same, data, level.name)
        plain, _, low, high = table = frame[[*TIES]].to_numpy().T
        assert (high > low).sum() == 7
        for name, values in zip(TIES, table, strict=True):
            assert values.mean() == pytest.approx(whole.metrics[name + level.suffix], abs=1e-15)
            assert values[[0, 5]].tolist() == plain[[0, 5]].tolist()
            judging = replace(Judging.of(rules, level.name), measure=name)
            np.testing.assert_array_equal(judging.values(ranking, data), values)


def test_a_list_without_scores_has_no_orders():
    with pytest.raises(ValueError, match="must have scores"):
        Judged(np.array([0]), np.array([0]), np.array([0]), np.array([1])).expected_average_precision()


def test_columns_of_ties_have_labels():
    assert title_of("map_ties") == "mAP, ties in any order"
    assert title_of("map_ties_worst_medium") == "mAP, ties at their worst (Medium)"
    assert title_of("map_ties@100_hard_low") == "mAP, ties in any order@100 (Hard), lower bound"


def test_the_tie_rate_counts_answers_that_share_their_score():
    scores = [[5, 5, 4, 3, 3, 3, -math.inf, -math.inf], [8, 7, 6, 5, 4, 3, 2, 1], [-math.inf] * 8]
    np.testing.assert_array_equal(tie_rate(ranked(np.array(scores))), [5 / 6, 0, np.nan])


@pytest.mark.benchmark
def test_ties_cost_less_than_twice_plain_average_precision(capsys):
    ranking, data = benchmark(96, 1000, 64)
    plain = best_ms(lambda: evaluate(ranking, data, resamples=0))
    more = best_ms(lambda: evaluate(ranking, data, metrics=["map_ties"], resamples=0))
    judged = evaluate(ranking, data, resamples=0).judged["medium"]
    alone = best_ms(judged.average_precision)
    expected = best_ms(judged.expected_average_precision)
    with capsys.disabled():
        print(
            f"\nevaluate 96 x 1000: {plain:.2f} ms, with map_ties {more:.2f} ms; AP alone {alone:.3f}, {expected:.3f}"
        )
    assert more < 2 * plain


def best_ms(call) -> float:
    best = math.inf
    for _ in range(20):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best * 1e3
