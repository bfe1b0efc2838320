"""Matches and models against slow loops and planted transformations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbirlab.handcrafted.sift import detect, root_sift, rooted
from cbirlab.reranking import geometry
from cbirlab.reranking.geometry import MODELS, UPRIGHT, carried_box, carry, fit_affine, fit_single, fit_upright
from cbirlab.reranking.keypoints import Keypoints
from cbirlab.reranking.matching import match_by_ratio, match_mutually

SAMPLED = [name for name in MODELS if name != "single"]


def scene(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    """Many blurred rectangles: corners of all sizes."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(120):
        corner = tuple(int(value) for value in rng.integers(0, (width, height)))
        opposite = tuple(int(a + b) for a, b in zip(corner, rng.integers(6, 50, 2), strict=True))
        cv2.rectangle(image, corner, opposite, rng.integers(0, 256, 3).tolist(), -1)
    return cv2.GaussianBlur(image, (0, 0), 1.0)


def unit(count: int, width: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(
    right: int, wrong: int, scale: float, turn: float, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matches of which the first `right` follow one similarity, up to noise, and the others nothing."""
    rng = np.random.default_rng(seed)
    n = right + wrong
    first = np.stack([*rng.uniform(0, (320, 240), (n, 2)).T, rng.uniform(2, 20, n), rng.uniform(0, 2 * np.pi, n)], 1)
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    places = first[:, :2] @ turned.T + (30, -20) + rng.uniform(-noise, noise, (n, 2))
    second = np.stack([*places.T, first[:, 2] * scale, first[:, 3] + turn], 1)
    second[right:] = np.stack(
        [*rng.uniform(-1000, 1000, (wrong, 2)).T, rng.uniform(2, 20, wrong), rng.uniform(0, 2 * np.pi, wrong)], 1
    )
    model = np.eye(3)
    model[:2, :2], model[:2, 2] = turned, (30, -20)
    return first.astype(np.float32), second.astype(np.float32), model


def agreeing(model: np.ndarray, first: np.ndarray, second: np.ndarray, tolerance: float) -> list[bool]:
    """Which matches a model carries to less than the tolerance, place by place."""
    found = []
    for (x, y, *_), (u, v, *_) in zip(first.astype(float), second.astype(float), strict=True):
        across, down, depth = (row[0] * x + row[1] * y + row[2] for row in model)
        found.append(bool(((across / depth - u) ** 2 + (down / depth - v) ** 2) ** 0.5 < tolerance))
    return found


# Keypoints


def test_places_come_with_the_very_descriptors_of_the_tap():
    image = scene()
    places, descriptors = detect(image)
    raw = cv2.SIFT.create(nfeatures=1000, contrastThreshold=0.02).detectAndCompute(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None
    )
    assert len(places) == len(descriptors) > 100
    np.testing.assert_array_equal(descriptors, raw[1])  # bytes hold them exactly
    assert places[7].tolist() == pytest.approx([*raw[0][7].pt, raw[0][7].size, np.radians(raw[0][7].angle)], rel=1e-6)
    before = np.sqrt(raw[1] / np.maximum(raw[1].sum(axis=1, keepdims=True), 1e-12))
    np.testing.assert_array_equal(root_sift(image), before)
    np.testing.assert_array_equal(rooted(descriptors), before)
    found = Keypoints.found_in(image)
    np.testing.assert_array_equal(found.rows, before)
    assert (found.size, found.nbytes) == ((240, 320), len(found) * (16 + 128))


def test_a_flat_picture_has_no_keypoints():
    found = Keypoints.found_in(np.full((40, 60, 3), 90, np.uint8))
    assert (len(found), found.rows.shape, found.size) == (0, (0, 128), (40, 60))


# Matches


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.5, 1.0), st.integers(0, 10**6))
def test_matches_by_ratio_are_those_of_loops(n, m, ratio, seed):
    queries, rows = unit(n, 4, seed), unit(m, 4, seed + 1)
    holders: dict[int, tuple[float, int]] = {}
    for i, query in enumerate(queries.astype(float)):
        away = sorted((float(np.linalg.norm(query - row)), j) for j, row in enumerate(rows.astype(float)))
        if len(away) > 1 and away[0][0] < ratio * away[1][0]:
            holders[away[0][1]] = min(holders.get(away[0][1], (9.0, 0)), (away[0][0], i))
    expected = sorted([i, j] for j, (_, i) in holders.items())
    assert match_by_ratio(queries, rows, ratio).tolist() == expected


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 10**6))
def test_mutual_matches_are_those_of_loops(n, m, seed):
    queries, rows = unit(n, 4, seed), unit(m, 4, seed + 1)
    expected = []
    for i, query in enumerate(queries.astype(float)):
        j = max(range(m), key=lambda j: float(query @ rows[j]), default=-1)
        if j >= 0 and max(range(n), key=lambda k: float(queries[k] @ rows[j].astype(float))) == i:
            expected.append([i, j])
    assert match_mutually(queries, rows).tolist() == expected


def test_what_looks_the_same_twice_is_no_match_by_ratio():
    row = unit(1, 8, 0)
    same = np.repeat(row, 3, axis=0)
    assert len(match_by_ratio(same, same, 1.0)) == 0
    assert len(match_by_ratio(row, row, 0.9)) == 0  # there is no second
    assert match_mutually(same, same).tolist() == [[0, 0]]
    assert match_by_ratio(same, np.concatenate([row, -row]), 0.9).tolist() == [[0, 0]]  # a place is seen once


# Models


def slow_single(first: np.ndarray, second: np.ndarray, tolerance: float) -> list[bool]:
    """Every match as a similarity by complex numbers, counted place by place; the best refitted twice."""
    first, second = first.astype(float), second.astype(float)
    best: list[bool] = [False] * len(first)
    for p, r in zip(first, second, strict=True):
        scale, turn = r[2] / p[2], r[3] - p[3]
        if not 0.2 <= scale <= 5:
            continue
        a, b = scale * np.cos(turn), scale * np.sin(turn)
        model = np.array([[a, -b, r[0] - a * p[0] + b * p[1]], [b, a, r[1] - b * p[0] - a * p[1]], [0, 0, 1]])
        inside = agreeing(model, first, second, tolerance)
        if sum(inside) > sum(best):
            best = inside
    for _ in range(2):
        if sum(best) < 3:
            break
        known = np.c_[first[best, :2], np.ones(sum(best))]
        model = np.vstack([np.linalg.lstsq(known, second[best, :2], rcond=None)[0].T, [0, 0, 1]])
        again = agreeing(model, first, second, tolerance)
        if sum(again) < sum(best):
            break
        best = again
    return best


@given(st.integers(3, 20), st.integers(0, 20), st.floats(0.25, 4), st.floats(-3.2, 3.2), st.integers(0, 10**6))
def test_single_correspondences_are_those_of_loops(right, wrong, scale, turn, seed):
    first, second, _ = planted(right, wrong, scale, turn, 3.0, seed)
    second[:, 2:] *= np.random.default_rng(seed).uniform(0.9, 1.1, (len(second), 2))  # so that hypotheses differ
    found = fit_single(first, second, 8.0)
    assert found.model is not None
    assert found.inside.tolist() == agreeing(found.model, first, second, 8.0)
    strip = np.linalg.svd(first[found.inside, :2] - first[found.inside, :2].mean(0), compute_uv=False)
    if found.inliers > 3 and strip[1] > 0.1 * strip[0]:
        assert found.inside.tolist() == slow_single(first, second, 8.0)


@given(st.integers(2, 15), st.integers(0, 15), st.sampled_from(UPRIGHT), st.integers(0, 10**6))
def test_upright_models_are_those_of_loops(right, wrong, scale, seed):
    first, second, _ = planted(right, wrong, scale, 0.0, 0.3, seed)
    found, most = fit_upright(first[:, :2], second[:, :2], 1.0), 0
    for p, r in zip(first.astype(float), second.astype(float), strict=True):
        for size in UPRIGHT:
            model = np.array([[size, 0, r[0] - size * p[0]], [0, size, r[1] - size * p[1]], [0, 0, 1]])
            most = max(most, sum(agreeing(model, first, second, 1.0)))
    assert found.inliers == most >= right
    assert found.inside.tolist() == agreeing(found.model, first, second, 1.0)


@pytest.mark.parametrize("name", MODELS)
@given(st.integers(12, 40), st.integers(0, 25), st.floats(0.25, 4), st.floats(-3.2, 3.2), st.integers(0, 10**6))
def test_a_similarity_is_found_among_outliers(name, right, wrong, scale, turn, seed):
    first, second, model = planted(right, min(wrong, right), scale, turn, 0.5, seed)
    found = MODELS[name](first, second, 4.0)
    assert found.inside[:right].all()
    assert found.inliers <= right + 6  # a few of those that follow nothing may lie near by chance
    assert found.model is not None
    assert found.inside.tolist() == agreeing(found.model, first, second, 4.0)
    np.testing.assert_allclose(carry(found.model, first[:right, :2]), carry(model, first[:right, :2]), atol=4.0)


@pytest.mark.parametrize("name", ["homography", "magsac"])
def test_homographies_find_a_plane_seen_askew_and_affine_maps_do_not(name):
    rng = np.random.default_rng(3)
    first = np.c_[rng.uniform(0, (320, 240), (40, 2)), np.full(40, 5.0), np.zeros(40)].astype(np.float32)
    askew = np.array([[1.0, 0.1, 5], [0.05, 0.9, 8], [0.002, 0.001, 1]])
    second = first.copy()
    second[:, :2] = carry(askew, first[:, :2])
    assert MODELS[name](first, second, 1.0).inliers == 40
    assert fit_affine(first, second, 1.0).inliers < 25


@pytest.mark.parametrize("name", MODELS)
def test_twice_the_same_whatever_was_drawn_before(name):
    first, second, _ = planted(9, 40, 1.3, 0.4, 2.0, 5)
    found = []
    for seed in (0, 1, 2):
        cv2.setRNGSeed(seed)
        cv2.randu(np.zeros((9, 9)), 0, 1)
        found.append(MODELS[name](first, second, 3.0))
    assert all(np.array_equal(one.inside, found[0].inside) for one in found)
    assert all(np.array_equal(one.model, found[0].model) for one in found)


@pytest.mark.parametrize(("scale", "inliers"), [(0.19, 0), (0.21, 15), (4.9, 15), (5.1, 0)])
def test_single_correspondences_keep_to_possible_scales(scale, inliers):
    first, second, _ = planted(15, 0, scale, 0.3, 0.0, 1)
    assert fit_single(first, second, 1.0).inliers == inliers


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", range(5))
def test_few_matches_give_few_inliers_and_no_error(name, count):
    first, second, _ = planted(count, 0, 1.0, 0.0, 0.0, 0)
    needed = {"single": 1, "affine": 3}.get(name, 4)
    assert MODELS[name](first, second, 2.0).inliers == (count if count >= needed else 0)


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("what", ["line", "point", "target"])
def test_degenerate_matches_are_no_geometry(name, what):
    first, second, _ = planted(12, 0, 1.0, 0.0, 0.0, 2)
    if what == "line":
        first[:, :2] = second[:, :2] = np.stack([np.arange(12), 2 * np.arange(12)], 1)
    elif what == "point":
        first[:, :2] = second[:, :2] = 10
    else:  # everything lands on one spot
        second[:, :2] = 50
    found = MODELS[name](first, second, 2.0)
    assert found.inliers == 0 or found.box((240, 320)) is None


def test_matches_on_a_line_keep_the_similarity():
    first, second, model = planted(12, 0, 1.5, 0.5, 0.0, 2)
    first[:, 1] = 7
    second[:, :2] = carry(model, first[:, :2])
    found = fit_single(first, second, 1.0)
    assert found.inliers == 12
    np.testing.assert_allclose(found.model, model, atol=1e-3)


# The box


def crosses(a, b, c, d) -> bool:
    """Whether the segments ab and cd cross."""

    def side(p, q, r) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8), st.integers(1, 300), st.integers(1, 300))
def test_a_credible_box_is_one_that_a_camera_could_see(numbers, height, width):
    a, b, c, d, x, y, g, h = numbers
    model = np.array([[a, b, 100 * x], [c, d, 100 * y], [g / 300, h / 300, 1]])
    found = carried_box(model, (height, width))
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    depths = [model[2] @ (*corner, 1) for corner in corners]
    if found is None:
        if min(depths) <= 0 <= max(depths):
            return
        found = np.array([(model @ (*corner, 1))[:2] / depth for corner, depth in zip(corners, depths, strict=True)])
        area = sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(found, np.roll(found, -1, 0), strict=True)) / 2
        assert not height * width / 25 * 1.001 < area < height * width * 25 / 1.001
        return
    area = sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(found, np.roll(found, -1, 0), strict=True)) / 2
    assert height * width / 25 <= area * 1.001
    assert area <= height * width * 25 * 1.001
    assert not crosses(found[0], found[1], found[2], found[3])
    assert not crosses(found[1], found[2], found[3], found[0])
    for corner, seen in zip(corners, found, strict=True):
        expected = (model @ (*corner, 1))[:2] / (model[2] @ (*corner, 1))
        np.testing.assert_allclose(seen, expected, rtol=1e-6, atol=1e-6)


def test_boxes_that_no_camera_sees():
    size = (200, 300)
    assert carried_box(np.eye(3), size).tolist() == [[0, 0], [300, 0], [300, 200], [0, 200]]
    assert carried_box(-np.eye(3), size).tolist() == [[0, 0], [300, 0], [300, 200], [0, 200]]  # the same map
    for wrong in (np.diag([-1, 1, 1]), np.diag([0.19, 0.19, 1]), np.diag([5.1, 5.1, 1]), np.zeros((3, 3))):
        assert carried_box(wrong.astype(float), size) is None
    horizon = np.array([[1, 0, 0], [0, 1, 0], [-0.005, 0, 1.0]])  # runs through x = 200
    assert carried_box(horizon, size) is None
    assert carried_box(np.diag([0.21, 0.21, 1]), size) is not None
    assert carried_box(np.diag([4.9, 4.9, 1]), size) is not None


def test_many_matches_are_tried_in_blocks_with_the_same_answer(monkeypatch):
    random = np.random.default_rng(3)
    places = random.uniform(0, 60, (300, 2))
    others = np.where(random.random((300, 1)) < 0.4, 2**0.5 * places + (3, -2), random.uniform(0, 80, (300, 2)))
    whole = geometry.fit_upright(places, others, 1.5)
    monkeypatch.setattr(geometry, "HELD", 7 * 5 * 300)
    parts = geometry.fit_upright(places, others, 1.5)
    assert (parts.inside == whole.inside).all()
    assert (parts.model == whole.model).all()
    assert whole.inside.sum() >= 100
