"""Labels without labels: every scheme against loops, and what is said about how much of a guess is true."""

from __future__ import annotations

import subprocess
import sys
import warnings
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from test_geometry import scene

from cbirlab.adaptation.grouping import clustered, half_whitened
from cbirlab.adaptation.judgements import Judged
from cbirlab.adaptation.labelling import PSEUDO, Guess, Labels, guess, precision_of, without_single
from cbirlab.adaptation.manifold_mining import MOST_PAIRS, kernel, local_maxima, stationary
from cbirlab.base.params import parameters
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.graph import mutual_graph

SMALL = {"mom": {"k": 6, "graph": 4}}
"""Parameters with which a scheme works on few rows."""

GROUPING = ("given", "kmeans", "mutual", "diffusion", "verified")

pytestmark = pytest.mark.filterwarnings("ignore:mom. it needs thousands")


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def around(groups: int, each: int, noise: float, dim: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows about `groups` centres, in mixed order, and which centre each is about."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(groups).repeat(each))
    return unit(rng.normal(size=(groups, dim))[truth] + noise * rng.normal(size=(len(truth), dim))), truth


def along(groups: int, each: int, dim: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows along arcs, on which the ends are nearer by the arc than to each other."""
    rng = np.random.default_rng(seed)
    truth = np.arange(groups).repeat(each)
    turn = np.tile(np.linspace(0, 3, each), groups)[:, None]
    axes = np.linalg.qr(rng.normal(size=(groups, dim, 3)))[0]
    rows = np.cos(turn) * axes[truth, :, 0] + np.sin(turn) * axes[truth, :, 1] + 0.5 * axes[truth, :, 2]
    return unit(rows + 0.05 * rng.normal(size=rows.shape)), truth


def by_truth(truth: np.ndarray):
    """Pictures that agree in 20 matches if they truly match, and in 3 if not."""
    return lambda pairs: np.where(truth[pairs[:, 0]] == truth[pairs[:, 1]], 20, 3)


def judged_by(truth: np.ndarray) -> Judged:
    """All pairs of the first three rows of four instances."""
    some = [row for one in range(4) for row in np.flatnonzero(truth == one)[:3].tolist()]
    pairs = np.array([*combinations(sorted(some), 2)], np.int64).reshape(-1, 2)
    return Judged(pairs, truth[pairs[:, 0]] == truth[pairs[:, 1]], tuple(map(str, range(len(truth)))))


def asked(truth: np.ndarray) -> dict:
    """What schemes may ask for beside rows and labels."""
    return {"pictures": by_truth(truth), "judged": judged_by(truth)}


def guessed(name: str, rows: np.ndarray, truth: np.ndarray, seed: int = 0, **params) -> Guess:
    return guess(Labels(name, {**SMALL.get(name, {}), **params}), rows, truth, seed=seed, **asked(truth))


def parts_of(found: Guess) -> list[np.ndarray]:
    return [one for one in (found.labels, found.positives, found.negatives, found.targets) if one is not None]


def as_groups(labels) -> set[frozenset[int]]:
    """Sets of rows with one label, -1 left out."""
    return {frozenset(np.flatnonzero(labels == one).tolist()) for one in set(labels.tolist()) - {-1}}


def grown(edges, count: int) -> set[frozenset[int]]:
    """Connected groups of two rows or more, by joining groups edge after edge."""
    groups = [{row} for row in range(count)]
    for one, other in edges:
        first, second = (next(group for group in groups if row in group) for row in (one, other))
        if first is not second:
            groups.remove(second)
            first |= second
    return {frozenset(group) for group in groups if len(group) > 1}


def nearest_by_loop(rows: np.ndarray, k: int) -> list[list[int]]:
    """The k nearest others of each row, nearest first."""
    products = rows.astype(np.float64) @ rows.T.astype(np.float64)
    return [[j for j in np.argsort(-one, kind="stable").tolist() if j != i][:k] for i, one in enumerate(products)]


def mutual_by_loop(rows: np.ndarray, k: int) -> set[tuple[int, int]]:
    near = nearest_by_loop(rows, k)
    return {(i, j) for i, j in combinations(range(len(rows)), 2) if j in near[i] and i in near[j]}


def affinities_by_loop(rows: np.ndarray, k: int) -> np.ndarray:
    """max(s, 0)^3 of mutual neighbours."""
    found = np.zeros((len(rows), len(rows)))
    for i, j in mutual_by_loop(rows, k):
        found[i, j] = found[j, i] = max(float(rows[i].astype(float) @ rows[j].astype(float)), 0) ** 3
    return found


def inverse_by_loop(rows: np.ndarray, k: int, alpha: float) -> np.ndarray:
    affinities = affinities_by_loop(rows, k)
    degrees = affinities.sum(axis=1)
    walk = np.zeros_like(affinities)
    for i, j in np.argwhere(affinities):
        walk[i, j] = affinities[i, j] / np.sqrt(degrees[i] * degrees[j])
    return np.linalg.inv(np.eye(len(rows)) - alpha * walk)


# Everything that is registered


@pytest.mark.parametrize("name", PSEUDO)
def test_every_scheme_says_what_it_needs_and_gives_labels_or_pairs_of_the_rows(name):
    info = PSEUDO.info(name)
    assert info.title
    assert {type(info.facts["true"]), type(info.facts["pictures"])} == {bool}
    assert Labels.parse(name).key == name
    assert Labels.parse(Labels(name, SMALL.get(name, {})).key).params == Labels(name, SMALL.get(name, {})).params
    rows, truth = along(6, 40)
    found = guessed(name, rows, truth)
    assert parts_of(found)
    if found.labels is not None:
        assert (found.labels.shape, found.labels.dtype, found.labels.min() >= -1) == (truth.shape, np.int64, True)
    for pairs in (found.positives, found.negatives):
        if pairs is not None:
            assert (pairs.shape[1], pairs.dtype) == (2, np.int64)
            assert pairs.min() >= 0
            assert pairs.max() < len(rows)
            assert (pairs[:, 0] != pairs[:, 1]).all()
    if found.targets is not None:
        assert (found.targets.shape, found.targets.dtype) == (rows.shape, np.float32)


@pytest.mark.parametrize("name", PSEUDO)
def test_the_seed_alone_decides_and_the_global_generator_is_left_alone(name):
    rows, truth = along(6, 40)
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = guessed(name, rows, truth, seed=5), guessed(name, rows.copy(), truth.copy(), seed=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for first, second in zip(parts_of(one), parts_of(other), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", [name for name in PSEUDO if not PSEUDO.info(name).facts["true"]])
def test_only_the_schemes_that_say_so_read_the_true_labels(name):
    rows, truth = along(6, 40)
    unknown = guess(Labels(name, SMALL.get(name, {})), rows, np.full(len(rows), -1), **asked(truth))
    for first, second in zip(parts_of(unknown), parts_of(guessed(name, rows, truth)), strict=True):
        np.testing.assert_array_equal(first, second)
    assert np.isnan(unknown.precision)
    assert np.isnan(unknown.negative_precision)


@pytest.mark.parametrize("name", [one for one in PSEUDO if one not in ("given", "shuffled", "views", "clicked")])
def test_rows_of_zeros_are_left_out_and_change_nothing(name):
    rows, truth = along(6, 40)
    places = np.sort(np.random.default_rng(0).permutation(len(rows) + 3)[3:])
    more, labels = np.zeros((len(rows) + 3, rows.shape[1]), np.float32), np.zeros(len(rows) + 3, np.int64)
    more[places], labels[places] = rows, truth
    one, other = guessed(name, rows, truth), guessed(name, more, labels)
    empty = np.flatnonzero(~more.any(axis=1))
    if one.labels is not None:
        np.testing.assert_array_equal(other.labels[places], one.labels)
        assert (other.labels[empty] == -1).all()
    if one.targets is not None:
        np.testing.assert_array_equal(other.targets[places], one.targets)
        assert not other.targets[empty].any()
    for first, second in ((one.positives, other.positives), (one.negatives, other.negatives)):
        if first is not None:
            np.testing.assert_array_equal(places[first], second)


@pytest.mark.parametrize("name", PSEUDO)
def test_bad_input_gets_a_sentence(name):
    rows, truth = along(6, 40)
    broken = rows.copy()
    broken[3, 2] = np.nan
    for bad, labels, sentence in (
        (broken, truth, "rows must be finite, got NaN"),
        (2 * rows, truth, "rows must be L2-normalised or zero, got a length of 2"),
        (rows[:1], truth[:1], r"of at least two pictures, got \(1, 8\); name more pictures"),
        (rows[0], truth, r"rows must be \(n, D\), of at least two pictures, got \(8,\)"),
        (rows, truth[1:], r"one whole number per row, \(240,\), -1 for none, got int64 \(239,\)"),
        (rows, truth.astype(float), r"got float64 \(240,\); see"),
        (rows, truth - 2, "-1 for none"),
    ):
        with pytest.raises(ValueError, match=sentence):
            guess(Labels(name, SMALL.get(name, {})), bad, labels, **asked(truth))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, one) for name in PSEUDO for one in parameters(PSEUDO[name]) if one in ("k", "graph")],
)
def test_as_many_neighbours_as_rows_get_a_sentence(name, parameter):
    rows, truth = along(2, 8)
    for value in (16, 40):
        with pytest.raises(ValueError, match=f"{name}: {parameter} must be less than .* descriptor, 16, got {value}; "):
            guessed(name, rows, truth, **{parameter: value})


@pytest.mark.parametrize("name", GROUPING)
def test_clusters_far_apart_are_found(name):
    rows, truth = around(2, 8, 0.05)
    if name == "mutual":
        found = guessed(name, rows, truth, k=5)
    else:
        found = guessed(name, rows, truth)
    assert (found.precision, found.negative_precision) == (1, 1)
    assert as_groups(found.labels) == as_groups(truth)


def test_importing_the_schemes_loads_nothing_heavy():
    code = (
        "import sys, types; import cbirlab; path = cbirlab.__path__[0] + '/adaptation';"
        "room = types.ModuleType('cbirlab.adaptation'); room.__path__ = [path];"
        "sys.modules['cbirlab.adaptation'] = room; import cbirlab.adaptation.manifold_mining;"
        "print([one for one in ('torch', 'scipy', 'sklearn', 'cv2') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# How much is true


@pytest.mark.parametrize("seed", range(20))
def test_precision_is_that_of_all_pairs_in_a_loop(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    labels, given = rng.integers(-1, 6, n), rng.integers(-1, 4, n)
    known = [(i, j) for i, j in combinations(range(n), 2) if min(labels[i], labels[j], given[i], given[j]) >= 0]
    alike = [given[i] == given[j] for i, j in known if labels[i] == labels[j]]
    others = [given[i] != given[j] for i, j in known if labels[i] != labels[j]]
    np.testing.assert_allclose(precision_of(labels, given), np.mean(alike) if alike else np.nan, rtol=1e-12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PSEUDO._entries, "views", lambda rows, *, given, seed: Guess(labels=labels))
        found = guess("views", np.zeros((n, 1)), given)
    np.testing.assert_allclose(found.precision, np.mean(alike) if alike else np.nan, rtol=1e-12)
    np.testing.assert_allclose(found.negative_precision, np.mean(others) if others else np.nan, rtol=1e-12)


def test_precision_of_corners():
    assert precision_of(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2])) == 1
    assert precision_of(np.array([0, 0, 0]), np.array([1, 1, 2])) == pytest.approx(1 / 3)
    for labels, given in (([0, 1, 2], [0, 0, 0]), ([-1, -1, -1], [0, 0, 0]), ([0, 0, 0], [-1, -1, 1])):
        assert np.isnan(precision_of(np.array(labels), np.array(given)))
    assert np.isnan(precision_of(np.zeros(0, int), np.zeros(0, int)))


def test_precision_of_many_rows_holds_no_matrix_of_pairs():
    import tracemalloc

    rng = np.random.default_rng(0)
    given = rng.integers(0, 4000, 200_000)
    tracemalloc.start()
    assert precision_of(np.zeros(200_000, int), given) == pytest.approx(1 / 4000, rel=0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**27


def test_precision_of_pairs_counts_those_of_known_truth():
    rows, truth = along(6, 40)
    some = np.where(np.arange(len(truth)) % 3 == 0, -1, truth)
    found = guessed("mom", rows, some)
    for pairs, share, right in (
        (found.positives, found.precision, lambda i, j: some[i] == some[j]),
        (found.negatives, found.negative_precision, lambda i, j: some[i] != some[j]),
    ):
        known = [right(i, j) for i, j in pairs if some[i] >= 0 and some[j] >= 0]
        assert 0 < len(known) < len(pairs)
        assert share == pytest.approx(np.mean(known))


# Groups


def test_single_rows_are_left_out():
    np.testing.assert_array_equal(without_single(np.array([4, 1, -1, 4, 2, 1])), [4, 1, -1, 4, -1, 1])
    np.testing.assert_array_equal(without_single(np.array([-1, 3])), [-1, -1])


def test_shuffled_labels_are_the_given_ones_in_another_order():
    rows, truth = around(6, 5, 0.1)
    truth[[2, 9, 17]] = -1
    truth[4] = 77
    given, dealt = guessed("given", rows, truth).labels, guessed("shuffled", rows, truth).labels
    np.testing.assert_array_equal(given, np.where(truth == 77, -1, truth))
    np.testing.assert_array_equal(np.sort(dealt), np.sort(given))
    np.testing.assert_array_equal(dealt == -1, given == -1)
    assert (dealt != given).sum() > 10
    assert (dealt != guessed("shuffled", rows, truth, seed=1).labels).any()
    assert guessed("given", rows, truth).precision == 1
    assert guessed("shuffled", rows, truth).precision < 0.5


def test_half_whitened_rows_are_axes_over_the_fourth_root_of_their_variance():
    rows = around(5, 30, 0.8, dim=80)[0]
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred / (len(rows) - 1))
    expected = (centred @ axes * values**-0.25)[:, ::-1][:, :64]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = half_whitened(rows)
    assert found.shape == (150, 64)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


@pytest.mark.parametrize("each", [4, 8, 1000])
def test_kmeans_is_that_of_scikit_learn(each):
    rows, truth = around(10, 6, 0.6)
    expected = KMeans(max(2, 60 // each), n_init=2, random_state=3).fit_predict(half_whitened(rows))
    found = guessed("kmeans", rows, truth, seed=3, each=each).labels
    assert as_groups(found) == {group for group in as_groups(expected) if len(group) > 1}


def test_kmeans_of_equal_rows_gives_fewer_clusters_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = clustered(np.eye(3).repeat(10, axis=0), 4, 0)
    assert as_groups(found) == {frozenset(range(start, start + 10)) for start in (0, 10, 20)}


@pytest.mark.parametrize("k", [1, 2, 5])
def test_mutual_groups_are_those_of_a_loop(k):
    rows, truth = around(8, 6, 0.9)
    found = PSEUDO["mutual"](rows, given=truth, seed=0, k=k).labels
    assert as_groups(found) == grown(mutual_by_loop(half_whitened(rows), k), len(rows))


def test_the_kernel_is_the_inverse_and_its_rows_are_clustered():
    rows, truth = around(8, 6, 0.7)
    white = half_whitened(rows)
    expected = inverse_by_loop(white, 10, 0.9)
    np.testing.assert_allclose(kernel(white), expected, rtol=1e-6, atol=1e-9)
    alike = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    best = KMeans(6, n_init=2, random_state=0).fit_predict(alike)
    assert adjusted_rand_score(best, clustered(alike, 8, 0)) == 1
    assert as_groups(guessed("diffusion", rows, truth).labels) == {one for one in as_groups(best) if len(one) > 1}


def test_diffusion_refuses_more_rows_than_its_kernel_holds(monkeypatch):
    monkeypatch.setattr("cbirlab.adaptation.manifold_mining.MOST_DENSE", 20)
    rows, truth = around(3, 7, 0.1)
    with pytest.raises(
        ValueError, match=r"diffusion: rows must be at most 20, .* got 21; take fewer pictures, or labels"
    ):
        guessed("diffusion", rows, truth)


@pytest.mark.parametrize("inliers", [3, 4, 20])
def test_verified_groups_are_those_of_a_loop(inliers):
    rows, truth = around(8, 6, 0.9)
    seen = []

    def count(pairs):
        seen.extend(map(tuple, pairs.tolist()))
        return by_truth(truth)(pairs)

    found = guess(Labels("verified", {"k": 3, "inliers": inliers}), rows, truth, pictures=count)
    edges = mutual_by_loop(half_whitened(rows), 3)
    assert sorted(seen) == sorted(edges)
    right = {(i, j) for i, j in edges if (20 if truth[i] == truth[j] else 3) >= inliers}
    assert as_groups(found.labels) == grown(right, len(rows))
    assert (found.precision == 1) == (inliers > 3)


def test_verified_needs_pictures():
    rows, truth = around(4, 5, 0.1)
    with pytest.raises(ValueError, match="labels 'verified' look at the pictures: give `pictures`, or take 'mutual'"):
        guess("verified", rows, truth)


def test_too_few_groups_get_a_sentence():
    rows, truth = around(2, 8, 0.05)
    with pytest.raises(
        ValueError, match=r"labels 'verified\(inliers=30\)' must give at least two groups .* got 0 among"
    ):
        guessed("verified", rows, truth, inliers=30)
    with pytest.raises(ValueError, match="got 1 among 16 rows; take more pictures, other parameters, or other labels"):
        guessed("mutual", rows, truth, k=15)
    for name in ("given", "shuffled"):
        with pytest.raises(
            ValueError, match=f"labels '{name}' must .* got 0 among 16 rows; name the instances of more"
        ):
            guessed(name, rows, np.full(16, -1))
    with pytest.raises(ValueError, match="must hold rows that differ, got 6 equal rows"):
        guessed("kmeans", unit(np.ones((6, 3))), np.zeros(6, int))
    empty = np.zeros((4, 3))
    empty[2, 1] = 1
    for name in ("kmeans", "mutual", "diffusion", "verified", "mom", "knn"):
        with pytest.raises(
            ValueError, match="rows must hold at least two that are not zero, got 1 of 4; name pictures"
        ):
            guessed(name, empty, np.zeros(4, int))


def test_every_view_is_an_instance_of_its_own():
    rows, truth = around(4, 5, 0.1)
    found = guessed("views", rows, truth)
    np.testing.assert_array_equal(found.labels, np.arange(20))
    assert np.isnan(found.precision)
    assert found.negative_precision == pytest.approx(150 / 190)


# Targets and pairs


@pytest.mark.parametrize("k", [1, 5])
def test_targets_are_means_of_a_row_and_its_nearest(k):
    rows, truth = around(8, 6, 0.9)
    found, near = guessed("knn", rows, truth, k=k), nearest_by_loop(rows, k)
    expected = [np.mean([rows[i], *(rows[j] for j in near[i])], axis=0) for i in range(len(rows))]
    np.testing.assert_allclose(found.targets, expected, atol=1e-6)
    assert sorted(map(tuple, found.positives.tolist())) == sorted((i, j) for i in range(len(rows)) for j in near[i])
    assert found.precision == pytest.approx(np.mean([truth[i] == truth[j] for i in range(len(rows)) for j in near[i]]))
    assert found.labels is found.negatives is None


def test_the_stationary_distribution_is_where_a_random_walk_ends():
    rows = half_whitened(along(2, 30)[0])
    affinities = affinities_by_loop(rows, 8)
    found = stationary(mutual_graph(Gallery(rows), 8, 3.0))
    walk = affinities / np.maximum(affinities.sum(axis=1, keepdims=True), 1e-300)
    lazy = 0.5 * walk + 0.5 * np.eye(len(rows))
    end = found.copy()
    np.testing.assert_allclose(found @ walk, found, atol=1e-12)
    for group in grown([tuple(pair) for pair in np.argwhere(affinities)], len(rows)):
        inside = np.array(sorted(group))
        end[inside] = found[inside].sum() / len(inside)
    for _ in range(4000):
        end = end @ lazy
    np.testing.assert_allclose(end, found, atol=1e-6)
    assert found.sum() == pytest.approx(1)


def test_local_maxima_are_at_least_as_large_as_their_neighbours():
    from scipy.sparse import csr_array

    graph = np.zeros((6, 6))
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 4)):
        graph[i, j] = graph[j, i] = 1
    values = np.array([0.3, 0.1, 0.2, 0.2, 0.1, 0.9])
    np.testing.assert_array_equal(local_maxima(csr_array(graph), values), [0, 2, 3, 5])
    np.testing.assert_array_equal(local_maxima(csr_array(graph), np.zeros(6)), [])


@pytest.mark.parametrize(("k", "graph", "alpha"), [(6, 4, 0.99), (10, 8, 0.9), (3, 5, 0.5)])
def test_mined_pairs_are_those_of_explicit_ranks(k, graph, alpha):
    rows, truth = along(4, 30)
    white = half_whitened(rows)
    affinities, inverse = affinities_by_loop(white, graph), inverse_by_loop(white, graph, alpha)
    degrees, n = affinities.sum(axis=1), len(rows)
    anchors = [
        i for i in range(n) if degrees[i] and all(degrees[i] >= degrees[j] for j in range(n) if affinities[i, j])
    ]
    products = white.astype(np.float64) @ white.T.astype(np.float64)
    positives, negatives = set(), set()
    for a in anchors:
        others = [j for j in range(n) if j != a]
        by_descriptor = {j: 1 + sum(products[a, m] > products[a, j] for m in others) for j in others}
        by_manifold = {
            j: 1 + sum(inverse[a, m] > inverse[a, j] for m in others) if inverse[a, j] > 1e-9 else n for j in others
        }
        positives |= {(a, j) for j in others if by_manifold[j] <= k < by_descriptor[j]}
        negatives |= {(a, j) for j in others if by_descriptor[j] <= k < by_manifold[j]}
    found = guessed("mom", rows, truth, k=k, graph=graph, alpha=alpha)
    assert positives
    assert set(map(tuple, found.positives.tolist())) == positives
    assert set(map(tuple, found.negatives.tolist())) == negatives
    assert len(found.positives) == len(positives)
    assert found.labels is found.targets is None


def test_an_anchor_has_at_most_fifty_pairs_of_a_kind():
    rows, truth = along(4, 150)
    found = guessed("mom", rows, truth, k=120, graph=5)
    for pairs in (found.positives, found.negatives):
        counts = np.unique(pairs[:, 0], return_counts=True)[1]
        assert counts.max() == MOST_PAIRS


@pytest.mark.filterwarnings("default:mom. it needs thousands")
def test_mining_of_few_pictures_warns_or_has_nothing_to_say():
    rows, truth = along(6, 40)
    with pytest.warns(UserWarning, match="mom: it needs thousands of pictures, got 240; look at the precision"):
        guessed("mom", rows, truth)
    rows, truth = around(3, 6, 0.05)
    with (
        pytest.warns(UserWarning, match="mom"),
        pytest.raises(ValueError, match=r"mom: none of \d+ anchors among 18 rows has both .* take more pictures"),
    ):
        guessed("mom", rows, truth, k=17, graph=4)
    rows, truth = along(25, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guessed("mom", rows, truth)


# Pictures


def test_inliers_of_pictures_are_those_of_their_keypoints(tmp_path, store):
    from cbirlab.adaptation.training import Training
    from cbirlab.adaptation.verifying import inlier_counter
    from cbirlab.reranking.keypoints import Keypoints
    from cbirlab.reranking.spatial import verify

    shown = [scene(seed=1), np.roll(scene(seed=1), 7, axis=1), scene(seed=2), np.roll(scene(seed=2), 5, axis=0)]
    paths = [tmp_path / f"{place}.png" for place in range(5)]
    for path, pixels in zip(paths, shown, strict=False):
        Image.fromarray(pixels).save(path)
    paths[4].write_bytes(b"no picture")
    count = inlier_counter(paths, Training(image_size=320), store)
    pairs = np.array([*combinations(range(5), 2)])[::-1]
    found = [Keypoints.found_in(one) for one in shown] + [Keypoints.of_no_picture()]
    expected = [verify(found[i], found[j])[1].inliers for i, j in pairs]
    np.testing.assert_array_equal(count(pairs), expected)
    assert count(np.zeros((0, 2), np.int64)).shape == (0,)
    assert min(count(np.array([[0, 1], [2, 3]]))) > 50
    rows = unit([[1, 0.1, 0], [1, 0, 0.1], [0, 1, 0.2], [0.1, 1, 0.3], [0.5, 0.5, 1]])
    labels = guess(Labels("verified", {"k": 4}), rows, np.full(5, -1), pictures=count).labels
    assert as_groups(labels) == {frozenset({0, 1}), frozenset({2, 3})}
