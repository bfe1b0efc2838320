"""Maps: the methods against their definitions, few and odd rows, the store, what a map is worth."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab import projection
from cbirlab.base.progress import Cancelled, listening
from cbirlab.base.registry import UnknownName
from cbirlab.projection import PROJECTIONS, cached, honesty, project, seed_stability, shared_neighbours
from cbirlab.projection.layouts import pca
from cbirlab.projection.neighbours import nearest, nearest_on_map
from cbirlab.store import Store

SLOW = [name for name in PROJECTIONS if name != "pca"]


def clusters(count=90, width=12, groups=6, seed=0):
    """Rows around a few centres, and the number of each row's centre."""
    random = np.random.default_rng(seed)
    of = np.arange(count) % groups
    rows = 2 * random.normal(size=(groups, width))[of] + random.normal(size=(count, width))
    return rows.astype(np.float32), of


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def same_up_to_signs(one, other, tolerance):
    signs = np.sign((one * other).sum(axis=0))
    np.testing.assert_allclose(one, other * signs, atol=tolerance)


# the methods


@pytest.mark.parametrize("shape", [(90, 12), (20, 64), (700, 600)])
def test_pca_is_scikit_learns(shape):
    from sklearn.decomposition import PCA

    rows, _ = clusters(*shape)
    points = project(rows, "pca").points
    exact = PCA(2, svd_solver="full").fit_transform(unit(rows))
    same_up_to_signs(points, exact, 2e-4)
    farthest = points[np.abs(points).argmax(axis=0), [0, 1]]
    assert (farthest > 0).all(), "maps of like descriptors do not flip"


def test_cosine_alone_counts():
    rows, _ = clusters()
    lengths = np.random.default_rng(1).uniform(0.1, 9, (len(rows), 1))
    np.testing.assert_allclose(project(rows * lengths, "pca").points, project(rows, "pca").points, atol=1e-5)


@pytest.mark.parametrize("method", SLOW)
def test_a_seed_gives_its_map_again_and_another_seed_another(method):
    rows, _ = clusters()
    first = project(rows, method, seed=3).points
    np.testing.assert_array_equal(project(rows, method, seed=3).points, first)
    assert np.abs(project(rows, method, seed=4).points - first).max() > 0.01


@pytest.mark.parametrize("method", SLOW)
def test_groups_are_apart_on_the_map(method):
    rows, of = clusters()
    points = project(rows, method).points
    found = nearest_on_map(points, 5)
    shuffled = np.random.default_rng(0).permutation(of)
    assert (of[found] == of[:, None]).mean() > 0.9
    assert (shuffled[found] == shuffled[:, None]).mean() < 0.5


@pytest.mark.parametrize("method", SLOW)
def test_slow_maps_are_more_trustworthy_than_pca(method):
    rows, _ = clusters(200, 24, 8)
    plain, made = honesty(rows, project(rows, "pca").points), honesty(rows, project(rows, method).points)
    assert made["trustworthiness"] > max(0.9, plain["trustworthiness"] + 0.02)
    assert made["neighbour_agreement"] > plain["neighbour_agreement"] + 0.05


@pytest.mark.parametrize("method", PROJECTIONS)
def test_the_longer_side_lies_along_the_first_axis(method):
    points = project(clusters()[0], method).points.astype(np.float64)
    spread = np.cov(points.T)
    assert spread[0, 0] > spread[1, 1]
    assert abs(spread[0, 1]) < 1e-4 * spread[0, 0]


# few and odd rows


@pytest.mark.parametrize("method", PROJECTIONS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_few_rows(method, count):
    made = project(clusters(count)[0], method)
    assert made.points.shape == (count, 2)
    assert made.points.dtype == np.float32
    assert np.isfinite(made.points).all()
    assert made.neighbours == max(2, min(15, count - 1))


@pytest.mark.parametrize("method", PROJECTIONS)
def test_three_rows_keep_their_distances(method):
    rows = clusters(3)[0]
    points = project(rows, method).points
    for a, b in ((0, 1), (0, 2), (1, 2)):
        true = np.linalg.norm(unit(rows)[a] - unit(rows)[b])
        assert np.linalg.norm(points[a] - points[b]) == pytest.approx(true, abs=1e-5)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_rows_of_zeros_stand_apart_and_change_nothing(method):
    rows, _ = clusters(40)
    holes = np.insert(rows, [0, 17, 40], 0, axis=0)
    made = project(holes, method)
    empty = ~holes.any(axis=1)
    np.testing.assert_array_equal(made.placed, ~empty)
    np.testing.assert_array_equal(made.points[~empty], project(rows, method).points)
    assert np.isfinite(made.points).all()
    assert (made.points[empty][:, 1] < made.points[~empty][:, 1].min()).all()
    assert len(np.unique(made.points[empty], axis=0)) == 3


@pytest.mark.parametrize("method", PROJECTIONS)
@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((6, 4)),
        np.ones((30, 4)),
        np.repeat(np.eye(3), 12, axis=0),
        np.tile([[-1], [1]], (6, 1)),
        np.full((20, 3), 1e-30),
        np.eye(8, dtype=np.float16),
        np.arange(24).reshape(8, 3),
    ],
    ids=["zeros", "all alike", "repeated", "one dimension", "tiny", "half precision", "whole numbers"],
)
def test_odd_rows_have_a_place(method, rows):
    assert np.isfinite(project(rows, method).points).all()


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.ones(4), {}, r"vectors must be \(N, D\)"),
        (np.ones((0, 4)), {}, "not empty"),
        (np.array([[1.0], [np.nan]]), {}, "row 1 of vectors holds NaN"),
        (np.ones((4, 2)), {"seed": -1}, r"seed must be a whole number in \[0"),
        (np.ones((4, 2)), {"seed": 1.5}, "seed must be"),
        (np.ones((4, 2)), {"neighbours": 1}, r"neighbours must be a whole number in \[2, 200\]"),
    ],
)
def test_what_is_not_allowed_is_said(vectors, options, message):
    with pytest.raises(ValueError, match=message):
        project(vectors, "pca", **options)


def test_unknown_methods_and_texts_are_refused():
    with pytest.raises(UnknownName, match="Did you mean 'umap'"):
        project(np.ones((4, 2)), "umpa")
    with pytest.raises(TypeError, match="real numbers"):
        project(np.array([["a"]]), "pca")


# neighbours


def test_nearest_is_exact_and_never_the_row_itself():
    rows = unit(clusters(30)[0])
    rows[[4, 9, 21]] = rows[2]  # equal rows: each has the other three first, by index
    found, cosines = nearest(rows, 7)
    for i in range(len(rows)):
        ranks = reference.ranks_by_cosine(rows, i)
        assert i not in found[i]
        np.testing.assert_allclose(cosines[i], np.sort(rows @ rows[i])[::-1][1:8], atol=1e-6)
        assert [ranks[j] for j in found[i]] == [*range(1, 8)] or i in (2, 4, 9, 21)
    np.testing.assert_array_equal(found[[2, 4, 9, 21], :3], [[4, 9, 21], [2, 9, 21], [2, 4, 21], [2, 4, 9]])


def test_neighbours_where_equal_rows_crowd_out_the_row_itself():
    rows = np.ones((9, 2), np.float32) / np.sqrt(np.float32(2))
    found, _ = nearest(rows, 3)
    assert all(i not in row and len(set(row)) == 3 for i, row in enumerate(found))
    assert all(i not in row for i, row in enumerate(nearest_on_map(np.zeros((9, 2)), 3)))


# what a map is worth


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 24), st.integers(1, 12), st.integers(0, 10**6))
def test_honesty_is_that_of_slow_loops(count, k, seed):
    random = np.random.default_rng(seed)
    rows, points = random.normal(size=(count, 5)), random.normal(size=(count, 2))
    used = min(k, (count - 1) // 2)
    measured = honesty(rows, points, k)
    assert measured["k"] == used
    assert measured["trustworthiness"] == pytest.approx(reference.trustworthiness(rows, points, used))
    assert measured["neighbour_agreement"] == pytest.approx(reference.neighbour_agreement(rows, points, used))


def test_trustworthiness_is_scikit_learns():
    from sklearn.manifold import trustworthiness

    rows, _ = clusters(300, 16)
    points = project(rows, "pca").points
    for k in (1, 10, 60):
        theirs = trustworthiness(unit(rows), points, n_neighbors=k)
        assert honesty(rows, points, k)["trustworthiness"] == pytest.approx(theirs, abs=1e-9)


def test_a_true_map_is_trusted_and_a_shuffled_one_is_not():
    angles = np.sort(np.random.default_rng(0).uniform(0, 3, 120))
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert honesty(rows, rows)["trustworthiness"] == 1
    assert honesty(rows, rows)["neighbour_agreement"] == 1
    shuffled = honesty(rows, np.random.default_rng(1).permutation(rows))
    assert shuffled["trustworthiness"] < 0.7
    assert shuffled["neighbour_agreement"] < 0.25


def test_honesty_of_many_rows_is_a_mean_over_some():
    rows, _ = clusters(600)
    points = project(rows, "pca").points
    whole, part = honesty(rows, points), honesty(rows, points, rows=200)
    assert part != whole
    for name in ("trustworthiness", "neighbour_agreement"):
        assert part[name] == pytest.approx(whole[name], abs=0.03)


def test_honesty_leaves_out_rows_of_zeros():
    rows, _ = clusters(50)
    points = project(rows, "pca").points
    holes, places = np.insert(rows, 9, 0, axis=0), np.insert(points, 9, 0, axis=0)
    assert honesty(holes, places) == honesty(rows, points)


@pytest.mark.parametrize("count", [1, 2])
def test_honesty_of_too_few_rows_is_unknown(count):
    measured = honesty(np.eye(count), np.eye(count, 2))
    assert np.isnan(measured["trustworthiness"])
    assert measured["k"] == 0


def test_honesty_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"points \(N, 2\)"):
        honesty(np.ones((4, 3)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="k must be"):
        honesty(np.ones((4, 3)), np.ones((4, 2)), k=0)
    with pytest.raises(ValueError, match="alike"):
        shared_neighbours(np.ones((4, 2)), np.ones((5, 2)))


def test_shared_neighbours_are_those_of_slow_loops():
    one, other = np.random.default_rng(0).normal(size=(2, 25, 2))
    assert shared_neighbours(one, other, 4) == pytest.approx(reference.shared_neighbours(one, other, 4))
    assert shared_neighbours(one, one, 4) == 1
    assert shared_neighbours(one, -3 * one + 1, 4) == 1, "turned, moved and scaled is the same map"
    assert np.isnan(shared_neighbours(one[:1], one[:1]))


def test_seed_stability_is_the_mean_over_pairs_of_seeds():
    rows, _ = clusters(60)
    maps = [project(rows, "umap", seed=seed).points for seed in (0, 1, 5)]
    pairs = [shared_neighbours(maps[a], maps[b], 6) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert seed_stability(rows, "umap", seeds=(0, 1, 5), k=6) == pytest.approx(np.mean(pairs))
    assert min(pairs) < 1
    assert seed_stability(rows, "pca") == 1
    with pytest.raises(ValueError, match="two or more different"):
        seed_stability(rows, "pca", seeds=(3, 3))


# the store


@pytest.fixture
def counted(monkeypatch):
    """PCA by another name, that counts how often it is carried out."""
    calls = []

    def layout(rows, *, seed, neighbours):
        calls.append((seed, neighbours))
        return pca(rows) + seed

    PROJECTIONS.add("counted", layout, title="Counted", seeded=True, needs="numpy")
    yield calls
    PROJECTIONS.remove("counted")


def test_a_map_is_made_once(store, counted):
    rows, _ = clusters(20)
    assert not cached(rows, "counted", store=store)
    first = project(rows, "counted", store=store, key="a recipe")
    assert cached(rows, "counted", store=store)
    again = project(rows, "counted", store=Store(store.path))
    np.testing.assert_array_equal(again.points, first.points)
    assert len(counted) == 1
    entry = store.entries()[0]
    assert (entry.kind, entry.notes["key"]) == ("projection", "a recipe")
    assert store.verify() == {}


def test_whatever_a_map_depends_on_makes_another(store, counted):
    rows, _ = clusters(20)
    changed = rows.copy()
    changed[7, 3] += 1e-3
    project(rows, "counted", store=store, key="same")
    project(changed, "counted", store=store, key="same")
    project(rows, "counted", store=store, key="same", seed=1)
    project(rows, "counted", store=store, key="same", neighbours=7)
    assert counted == [(0, 15), (0, 15), (1, 15), (0, 7)]


def test_pca_has_one_map_for_all_seeds(store):
    rows, _ = clusters(20)
    project(rows, "pca", seed=1, store=store)
    assert cached(rows, "pca", seed=2, neighbours=30, store=store)


def test_a_store_that_cannot_be_written_to_costs_a_warning_only(tmp_path, counted):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot write"):
        made = project(clusters(20)[0], "counted", store=Store(tmp_path / "file" / "store"))
    assert len(made.points) == 20


# stopping and threads


@pytest.mark.parametrize(("method", "after"), [("umap", "neighbours"), ("umap", "UMAP"), ("tsne", "t-SNE")])
def test_a_listener_ends_a_map(method, after):
    heard = []

    def listen(what, done, total):
        heard.append((what, done, total))
        if what == after and done >= 1:
            raise Cancelled

    with pytest.raises(Cancelled), listening(listen):
        project(clusters()[0], method)
    assert heard[-1][:2] == (after, 1)
    assert np.isfinite(project(clusters()[0], method).points).all(), "the next one is undisturbed"


def test_two_threads_may_make_umaps_at_once():
    rows = [clusters(seed=seed)[0] for seed in range(2)]
    made = {}
    threads = [threading.Thread(target=lambda i=i: made.update({i: project(rows[i], "umap").points})) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for i in (0, 1):
        np.testing.assert_array_equal(made[i], project(rows[i], "umap").points)


def test_listing_the_methods_loads_nothing_heavy():
    probe = "import sys; from cbirlab.projection import PROJECTIONS; [PROJECTIONS.info(name) for name in PROJECTIONS]\n"
    probe += "print(*({'umap', 'sklearn', 'scipy', 'torch', 'numba'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_the_docstrings_say_that_a_map_is_not_the_search():
    assert "not to be searched" in projection.__doc__
    assert "not for searching" in project.__doc__
