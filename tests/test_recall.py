"""Recall of the exact list, against a loop over all images, with planted duplicates and rows without a descriptor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab.index import ExactIndex, Ranking, Rows, ranked
from cbirlab.index.recall import recall_of_exact


def by_loop(lists: list[list[int]], queries: np.ndarray, images: np.ndarray, k: int) -> list[float]:
    """Of the first k results of a list, those whose score the exact k-th does not exceed, over how many there are."""
    shares = []
    for results, query in zip(lists, queries, strict=True):
        scores = {
            row: np.float32(math.fsum(float(a) * float(b) for a, b in zip(query, image, strict=True)))
            for row, image in enumerate(images)
            if any(image) and any(query)
        }
        best = sorted(scores.values(), reverse=True)[:k]
        right = sum(row in scores and scores[row] >= best[-1] for row in results[:k])
        shares.append(right / len(best) if best else math.nan)
    return shares


def planted(seed: int, count: int, distinct: int) -> np.ndarray:
    """Rows of small integers, many of them equal, some of them zero: products are the same in any order of summing."""
    random = np.random.default_rng(seed)
    some = random.integers(-2, 3, (distinct, 4)).astype(np.float32)
    return some[random.integers(distinct, size=count)] * (random.random((count, 1)) > 0.1)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 14),
    distinct=st.integers(1, 6),
    k=st.integers(1, 16),
    width=st.integers(1, 16),
)
def test_it_is_that_of_the_loop(seed, count, distinct, k, width):
    random = np.random.default_rng(seed)
    images, queries = planted(seed, count, distinct), planted(seed + 1, 5, distinct + 2)
    scores = random.normal(size=(5, count)).astype(np.float32)
    scores[random.random((5, count)) < 0.2] = -np.inf
    found = ranked(scores).top(min(width, count))
    lists = [rows[:stop].tolist() for rows, stop in zip(found.images, found.answers(), strict=True)]
    shares = recall_of_exact(found, queries, images, k)
    np.testing.assert_allclose(shares, by_loop(lists, queries, images, k), atol=1e-12)
    exact = ExactIndex().fit(images).search(queries)
    np.testing.assert_array_equal(recall_of_exact(found, Rows(queries), Rows(images), k, exact=exact), shares)
    itself = recall_of_exact(exact, queries, images, k)
    np.testing.assert_array_equal(itself, np.where(np.isnan(shares), np.nan, 1))


def test_any_of_the_images_with_the_last_score_counts():
    """Images 1 to 4 are one; the exact list of two keeps image 1 of them."""
    images = np.array([[1, 0], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [0, 1]], np.float32)
    query = np.array([[1, 0]], np.float32)
    for second in (1, 2, 3, 4):
        assert recall_of_exact(_list(0, second), query, images, 2) == [1]
    assert recall_of_exact(_list(0, 5), query, images, 2) == [0.5]
    assert recall_of_exact(_list(3, 4), query, images, 2) == [1], "ids would say 0"
    assert recall_of_exact(_list(3, 4), query, images, 1) == [0]
    assert recall_of_exact(_list(0), query, images, 4) == [0.25]


def _list(*rows: int) -> Ranking:
    return Ranking(np.array([rows]), -np.arange(len(rows), dtype=np.float32)[None])


def test_the_exact_list_has_all_of_itself_whatever_the_rounding():
    random = np.random.default_rng(0)
    images, queries = (random.normal(size=(count, 300)).astype(np.float32) for count in (500, 40))
    images[250:] = images[:250]
    exact = ExactIndex().fit(images).search(queries, 11)
    assert recall_of_exact(exact, queries, images).tolist() == [1] * 40
    other = (exact.images + 250) % 500
    moved = Ranking(other, exact.scores)
    assert recall_of_exact(moved, queries, images, 9).tolist() == [1] * 40, "the ninth by its double"


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        (_list(0, 0), {}, "one twice for query 0"),
        (_list(0, 3), {}, r"different images in \[0, 2\]"),
        (_list(-1, 0), {}, r"different images in \[0, 2\]"),
        (_list(0, 1), {"k": 0}, "k must be a whole number of at least 1, got 0"),
        (_list(0, 1), {"exact": _list(0)}, r"exact with 3 results or more, got 1 lists and \(1, 1\)"),
        (Ranking(np.zeros((2, 1), int), np.zeros((2, 1), np.float32)), {}, "a list for each of 1 queries"),
    ],
)
def test_what_does_not_fit_is_refused(found, options, message):
    with pytest.raises(ValueError, match=message):
        recall_of_exact(found, np.eye(3)[:1], np.eye(3), **options)


def test_the_end_of_a_padded_list_is_no_answer():
    padded = Ranking(np.array([[2, 0, 0]]), np.array([[1, -np.inf, -np.inf]], np.float32))
    assert recall_of_exact(padded, np.eye(3)[2:], np.eye(3), 1) == [1]
