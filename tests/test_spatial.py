"""Spatial verification as a method of re-ranking: scores against loops, and orders on pictures made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_geometry import scene

from cbirlab.index.ranking import ranked
from cbirlab.reranking import RERANKERS, Answers, Gallery, Reranking, rerank_answers
from cbirlab.reranking.keypoints import Keypoints
from cbirlab.reranking.spatial import (
    blended,
    by_inliers,
    mean_column,
    unit_columns,
    verify,
    verify_map,
)


class Shown:
    """Features in memory, and what was asked for."""

    def __init__(self, queries, images) -> None:
        self.queries, self.images = queries, images
        self.asked: list[int] = []

    def of_queries(self, kind, queries):
        return [self.queries[query] for query in queries]

    def of_images(self, kind, images):
        self.asked += images
        return [self.images[image] for image in images]


def answers(scores, pictures, own=None) -> Answers:
    """Answers with these scores (Q, N)."""
    scores = np.asarray(scores, np.float32)
    queries, images = scores.shape
    rows = np.eye(images, 4, dtype=np.float32)
    none = np.full(queries, -1)
    given = Answers.of_exact(rows[:queries], Gallery(rows))
    own = none if own is None else np.asarray(own)
    return replace(given, ranking=ranked(scores), own=own, asked=np.arange(queries), pictures=pictures)


SEEN = scene(seed=1)
PART = SEEN[40:200, 60:260]


@pytest.fixture(scope="module")
def shown() -> Shown:
    pictures = [scene(seed=2), scene(seed=3), SEEN, np.full((90, 90, 3), 7, np.uint8), scene(seed=4)]
    images = [*(Keypoints.found_in(one) for one in pictures), Keypoints.of_no_picture()]
    queries = [Keypoints.found_in(PART), Keypoints.of_no_picture(), Keypoints.found_in(scene(seed=4))]
    return Shown(queries, images)


SCORES = np.array([[0.9, 0.8, 0.5, 0.4, 0.3, 0.7], [0.9, 0.8, 0.5, 0.4, 0.3, 0.7], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])


@pytest.mark.parametrize("order", ["blend", "inliers"])
@pytest.mark.parametrize("model", ["single", "affine", "homography", "magsac"])
def test_what_shows_the_query_comes_first(shown, model, order):
    found = rerank_answers(answers(SCORES, shown), f"spatial(model={model}, order={order})")
    assert found.ranking.images[:, 0].tolist() == [2, 0, 4]
    np.testing.assert_array_equal(found.ranking.images[1], [0, 1, 5, 2, 3, 4])  # the query shows nothing
    np.testing.assert_array_equal(found.evidence["verified"], ranked(SCORES).images)
    inliers = found.evidence["inliers"]
    assert inliers[0].argmax() == 3
    assert inliers[0, 3] > 50 > 10 > np.delete(inliers[0], 3).max()
    assert not inliers[1].any()


def test_inliers_are_those_of_each_pair(shown):
    found = rerank_answers(answers(SCORES, shown), "spatial(ratio=0.9, pixels=4, model=affine)")
    for q in range(3):
        for place, image in enumerate(found.evidence["verified"][q]):
            pairs, fit = verify(shown.queries[q], shown.images[image], ratio=0.9, pixels=4, model="affine")
            assert len(fit.inside) == len(pairs)
            assert found.evidence["inliers"][q, place] == fit.inliers


def test_a_query_alone_gets_what_it_gets_among_others(shown):
    together = rerank_answers(answers(SCORES, shown), "spatial")
    for q in range(3):
        one = Shown(shown.queries[q : q + 1], shown.images)
        alone = rerank_answers(answers(SCORES[q : q + 1], one), "spatial")
        np.testing.assert_array_equal(alone.ranking.images[0], together.ranking.images[q])
        np.testing.assert_array_equal(alone.ranking.scores[0], together.ranking.scores[q])


def test_only_the_first_are_looked_at_and_what_follows_keeps_its_order(shown):
    shown.asked = []
    found = rerank_answers(answers(SCORES[:1], shown), "spatial(top=4, order=inliers)")
    assert sorted(shown.asked) == [0, 1, 2, 5]
    assert found.ranking.images[0].tolist() == [2, 0, 1, 5, 3, 4]
    assert (np.diff(found.ranking.scores[0]) <= 0).all()
    assert rerank_answers(answers(SCORES[:1], shown), "spatial(top=1000)").evidence["verified"].shape == (1, 6)


def test_what_is_no_answer_stays_none_and_is_not_looked_at(shown):
    scores = SCORES[:1].copy()
    scores[0, [2, 5]] = -np.inf
    shown.asked = []
    found = rerank_answers(answers(scores, shown), "spatial")
    assert sorted(shown.asked) == [0, 1, 3, 4]
    assert found.ranking.images[0, 4:].tolist() == [2, 5]
    assert (found.ranking.scores[0, 4:] == -np.inf).all()
    shown.asked = []
    silent = rerank_answers(answers(np.full((1, 6), -np.inf), shown), "spatial(order=inliers)")
    assert silent.ranking.images[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert not shown.asked


def test_one_image_and_equal_scores(shown):
    assert rerank_answers(answers([[0.5]], shown), "spatial").ranking.images.tolist() == [[0]]
    for order in ("blend", "inliers"):
        found = rerank_answers(answers(np.full((1, 6), 0.5), shown), f"spatial(order={order})")
        assert found.ranking.images[0].tolist() == [2, 0, 1, 3, 4, 5]


def test_answers_without_pictures_are_refused():
    for method in ("spatial", "columns"):
        with pytest.raises(ValueError, match=f"{method}: it looks at pictures"):
            rerank_answers(answers([[0.5, 0.4]], None), method)


def test_they_say_what_they_read():
    assert Reranking.parse("dba > spatial(top=50)").needs == {"neighbours", "pictures"}
    assert (RERANKERS.info("columns").facts["needs"], Reranking.parse("columns").transductive) == ("maps", False)


# Scores


@given(st.integers(1, 8), st.integers(0, 10**6), st.floats(0, 3))
def test_a_blend_is_what_loops_give(images, seed, weight):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(1, images)).round(1).astype(np.float32)
    scores[rng.random((1, images)) < 0.2] = -np.inf
    inliers, others = rng.integers(0, 30, (1, images)), rng.random((1, images)) < 0.8
    known = [float(s) for s, other in zip(scores[0], others[0], strict=True) if s > -np.inf and other]
    spread = max(known) - min(known) if known and max(known) > min(known) else 1.0
    found = blended(scores, inliers, weight, others)
    for s, v, mine in zip(scores[0], inliers[0], found[0], strict=True):
        if s > -np.inf:
            assert mine == pytest.approx(float(s) + weight * spread * v / (v + 10), abs=1e-9)
        assert np.isfinite(mine)


@given(st.integers(1, 40), st.integers(0, 10**6))
def test_by_inliers_first_and_then_by_score(images, seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(1, images)).round(1).astype(np.float32)
    inliers = rng.integers(0, 4, (1, images)) * rng.choice([1, 300])
    before = ranked(scores)
    mine = np.take_along_axis(inliers, before.images, 1)
    found = ranked(by_inliers(before.scores, mine))
    expected = sorted(range(images), key=lambda i: (-inliers[0, i], -scores[0, i], i))
    assert before.images[0][found.images[0]].tolist() == expected


def test_orders_are_exact_at_the_longest_list():
    scores = np.arange(1000, 0, -1, dtype=np.float32)[None] / 1000
    found = by_inliers(scores, np.full((1, 1000), 1000)).astype(np.float32)
    assert (np.diff(found[0]) < 0).all()
    assert by_inliers(scores[:, :2], np.array([[0, 1000]])).argmax() == 1


def test_the_query_itself_does_not_widen_the_range(shown):
    scores = np.array([[1.0, 0.5, 0.4, 0.3, 0.2, 0.1]])
    found = rerank_answers(answers(scores, shown, own=[0]), "spatial(weight=1)")
    v = found.evidence["inliers"][0]
    listed = found.ranking.images[0].tolist()
    assert found.ranking.scores[0, listed.index(2)] == pytest.approx(0.4 + 0.4 * v[2] / (v[2] + 10), abs=1e-6)


# Columns of maps


def maps(seed: int, height: int = 12, width: int = 16, channels: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).random((channels, height, width)).astype(np.float16)


def test_unit_columns_are_those_of_loops():
    one, middle = maps(0), mean_column([maps(0), maps(1, 5, 4)])
    every = [
        m[:, y, x].astype(float) for m in (maps(0), maps(1, 5, 4)) for y in range(m.shape[1]) for x in range(m.shape[2])
    ]
    np.testing.assert_allclose(middle, np.mean(every, axis=0), rtol=1e-5)
    rows = unit_columns(one, middle)
    for place, row in enumerate(rows):
        column = one[:, place // 16, place % 16].astype(float) - middle
        np.testing.assert_allclose(row, column / np.linalg.norm(column), atol=1e-5)


def test_columns_find_the_part_of_a_map():
    whole = maps(3)
    part = whole[:, 2:10, 3:13]
    others = [maps(seed) for seed in (4, 5, 6)]
    shown = Shown([part, maps(9)[:, :0, :0]], [others[0], whole, others[1], maps(7)[:, :0, :0], others[2]])
    scores = np.tile([0.9, 0.5, 0.8, 0.7, 0.6], (2, 1))
    for order in ("blend", "inliers"):
        found = rerank_answers(answers(scores, shown), f"columns(order={order})")
        assert found.ranking.images.tolist() == [[1, 0, 2, 3, 4], [0, 2, 3, 4, 1]]
        assert found.evidence["inliers"][0, 4] == part[0].size
    pairs, fit = verify_map(part, whole, mean_column([whole]))
    np.testing.assert_allclose(fit.model, [[1, 0, 3], [0, 1, 2], [0, 0, 1]], atol=1e-5)
    assert [divmod(cell, 16) for cell in pairs[:2, 1]] == [(2, 3), (2, 4)]
    np.testing.assert_allclose(fit.box(part.shape[1:]), [[3, 2], [13, 2], [13, 10], [3, 10]], atol=1e-4)


def test_maps_that_are_all_alike_change_nothing():
    flat = np.ones((8, 6, 6), np.float16)
    found = rerank_answers(answers([[0.5, 0.4, 0.6]], Shown([flat], [flat, flat, flat])), "columns(order=inliers)")
    assert found.ranking.images.tolist() == [[2, 0, 1]]
