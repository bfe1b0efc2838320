"""Whitening against scikit-learn, faiss, loops and published figures, and the corners where whitening breaks."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator

from cbirlab.base.params import parameters
from cbirlab.store import Store
from cbirlab.whitening import WHITENINGS, Whitening, l2, learn, normalise, project, whiten
from cbirlab.whitening.base import ledoit_wolf
from cbirlab.whitening.learned import PARTNERS, matching_pairs

PCAWhitening = WHITENINGS["pca"]
ShrinkageWhitening = WHITENINGS["shrinkage"]
ZCAWhitening = WHITENINGS["zca"]
LearnedWhitening = WHITENINGS["lw"]
LEARNED = [name for name in WHITENINGS if WHITENINGS.info(name).facts["learned"]]
DETERMINED = [name for name in LEARNED if name not in ("head", "autoencoder")]  # by the data alone, not by descent
ORDERED = [name for name in LEARNED if WHITENINGS.info(name).facts["ordered"]]


def descriptors(count, width, seed=0, decay=0.9) -> np.ndarray:
    """Non-negative rows with a falling spectrum in a random basis, as pooled activations have."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (rng.normal(size=(count, width)) * decay ** np.arange(width) @ basis + 3).astype(np.float32)


def instances(count, of=4) -> np.ndarray:
    """Labels of rows that show one instance after another."""
    return np.array([f"instance {row // of}" for row in range(count)])


def views(count, width, seed=0, of=4) -> np.ndarray:
    """Rows of `of` views per instance, where instances and views vary along different axes."""
    rng = np.random.default_rng(seed)
    within, between = (rng.normal(size=(width, width)) * 0.9 ** rng.permutation(width) for _ in range(2))
    return rng.normal(size=(-(-count // of), width)).repeat(of, axis=0)[:count] @ between + (
        0.5 * rng.normal(size=(count, width)) @ within
    )


def up_to_sign(ours, theirs) -> np.ndarray:
    """`theirs` with the signs of the rows of `ours`."""
    return theirs * np.sign((ours * theirs).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("name", WHITENINGS)
def test_every_whitening_passes_the_checks_of_scikit_learn(name):
    for outcome in check_estimator(WHITENINGS[name](), on_fail=None, on_skip=None):
        assert outcome["status"] in ("passed", "skipped"), (outcome["check_name"], outcome["exception"])


@pytest.mark.parametrize(("count", "width"), [(200, 12), (12, 12), (13, 12), (9, 40), (2, 5), (50, 1)])
def test_pca_whitening_is_that_of_scikit_learn_up_to_sign(count, width):
    X, Y = descriptors(count, width), descriptors(30, width, seed=1)
    ours = PCAWhitening().fit(X)
    rank = min(count - 1, width)
    theirs = PCA(n_components=rank, whiten=True, svd_solver="full").fit(X.astype(np.float64))
    assert ours.n_components_ == rank
    np.testing.assert_allclose(ours.spectrum_[:rank], theirs.explained_variance_, rtol=1e-9)
    expected = theirs.transform(Y.astype(np.float64))
    signs = np.sign((ours.components_ * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours.transform(Y), expected * signs, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


def test_whitened_training_rows_have_unit_covariance():
    X = descriptors(400, 10)
    whitened = PCAWhitening().fit_transform(X).astype(np.float64)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(10), atol=1e-5)
    assert whitened.dtype == np.float64
    assert PCAWhitening().fit_transform(X).dtype == np.float32


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 1.0])
def test_power_goes_from_a_rotation_over_full_whitening_to_weak_axes_first(power):
    X = descriptors(300, 6)
    fitted = PCAWhitening(power=power).fit(X)
    variance = fitted.transform(X).astype(np.float64).var(axis=0, ddof=1)
    np.testing.assert_allclose(variance, fitted.spectrum_ ** (1 - 2 * power), rtol=1e-4)


@pytest.mark.parametrize(("count", "width"), [(100, 8), (8, 100)])
def test_axes_are_orthonormal_descending_real_and_of_a_fixed_sign(count, width):
    X = descriptors(count, width)
    fitted = PCAWhitening().fit(X)
    d = fitted.n_components_
    np.testing.assert_allclose(fitted.components_ @ fitted.components_.T, np.eye(d), atol=1e-7)
    assert (np.diff(fitted.spectrum_) <= 0).all()
    largest = np.abs(fitted.components_).argmax(axis=1)
    assert (fitted.components_[np.arange(d), largest] > 0).all()
    flipped = PCAWhitening().fit(-X)
    np.testing.assert_allclose(flipped.components_, fitted.components_, atol=1e-9)


def test_few_rows_give_few_real_dimensions_where_others_give_complex_noise():
    """N = 20 rows of 64 dimensions: a known evaluator returns a complex projection with entries of 6.5e8 here."""
    X = normalise(descriptors(20, 64))
    fitted = PCAWhitening().fit(X)
    assert fitted.n_components_ == 19
    matrix = fitted.components_ / np.sqrt(fitted.spectrum_[:19, None])
    assert matrix.dtype == np.float64
    assert np.abs(matrix).max() < 1e5
    assert np.isfinite(fitted.transform(X)).all()


def test_duplicates_and_dead_channels_do_not_count_as_rank():
    X = np.repeat(descriptors(5, 16), 8, axis=0)
    X[:, 3] = 0
    assert PCAWhitening().fit(X).n_components_ == 4
    assert PCAWhitening().fit(X.astype(np.float64)).n_components_ == 4


def test_asking_for_more_dimensions_than_can_be_learned_warns_and_keeps_those_there_are():
    X = descriptors(10, 30)
    with pytest.warns(UserWarning, match="20 dimensions were asked for, but only 9 can be learned; keeping 9"):
        fitted = PCAWhitening(20).fit(X)
    assert fitted.transform(X).shape == (10, 9)
    with pytest.warns(UserWarning, match="keeping 9"):
        assert fitted.truncate(12).n_components_ == 9


@pytest.mark.parametrize("count", [7, 60])
def test_truncating_is_fitting_with_fewer_and_is_slicing(count):
    X = descriptors(count, 12)
    whole = PCAWhitening().fit(X)
    fitted, cut = PCAWhitening(5).fit(X), whole.truncate(5)
    np.testing.assert_array_equal(cut.transform(X), fitted.transform(X))
    np.testing.assert_allclose(whole.transform(X)[:, :5], cut.transform(X), rtol=1e-6)
    assert whole.n_components_ == min(count - 1, 12), "truncate must leave the original alone"
    assert len(cut.get_feature_names_out()) == 5
    np.testing.assert_allclose(normalise(project(whole, X)[:, :5]), whiten(whole, X, 5), rtol=1e-5, atol=1e-7)


def test_fitting_leaves_the_descriptors_alone_and_repeats_bit_for_bit():
    X = descriptors(50, 9)
    before = X.copy()
    first, second = PCAWhitening().fit(X), clone(PCAWhitening()).fit(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(first.components_, second.components_)


def test_rows_are_worked_on_block_by_block(tmp_path, monkeypatch):
    X = descriptors(500, 7)
    expected = PCAWhitening().fit(X).transform(X)
    np.save(tmp_path / "x.npy", X)
    monkeypatch.setattr("cbirlab.whitening.base.BLOCK", 64)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_allclose(PCAWhitening().fit(mapped).transform(mapped), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((1, 4)), "minimum of 2"),
        (np.ones((6, 4)), "6 equal rows"),
        (np.full((6, 4), np.float32(0.1)), "6 equal rows"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), "NaN"),
        (np.ones(4), "2D array"),
    ],
)
def test_training_sets_that_teach_nothing_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        PCAWhitening().fit(X)


@pytest.mark.parametrize("given", [{"power": 1.2}, {"clip": 0.5}, {"n_components": 0}, {"n_components": 2.5}])
def test_parameters_outside_what_is_declared_are_refused_by_fit(given):
    with pytest.raises(ValueError, match=f"PCAWhitening: {next(iter(given))} must be"):
        PCAWhitening(**given).fit(descriptors(9, 4))


def test_none_leaves_descriptors_as_they_are_and_does_not_pretend_to_order_channels():
    X = descriptors(6, 5)
    fitted = learn("none", X)
    np.testing.assert_allclose(whiten(fitted, X), normalise(X), rtol=1e-6)
    assert fitted.truncate(5).n_components_ == 5
    with pytest.raises(ValueError, match=r"dimensions must be 5.*got 3; use whitening 'pca'"):
        fitted.truncate(3)


@pytest.mark.parametrize("name", WHITENINGS)
def test_the_convention_gives_rows_of_length_one_and_keeps_zero_rows_zero(name):
    X, y = descriptors(40, 6), instances(40)
    X[[3, 17]] = 0
    whitened = whiten(learn(name, X, y), X)
    lengths = np.linalg.norm(whitened, axis=1)
    assert whitened.dtype == np.float32
    assert not whitened[[3, 17]].any()
    np.testing.assert_allclose(np.delete(lengths, [3, 17]), 1, rtol=1e-6)
    without = learn(name, np.delete(X, [3, 17], axis=0), np.delete(y, [3, 17]))
    np.testing.assert_allclose(whiten(without, X), whitened, atol=1e-6)


def test_the_length_of_a_descriptor_does_not_matter_to_the_convention():
    X = descriptors(40, 6)
    scales = np.random.default_rng(0).uniform(0.01, 100, size=(40, 1)).astype(np.float32)
    np.testing.assert_allclose(whiten(learn("pca", X), X), whiten(learn("pca", X * scales), X * scales), atol=1e-4)


@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from([1e-8, 1.0, 1e30]), st.integers(0, 99))
def test_normalised_rows_have_length_one_whatever_their_size(count, width, scale, seed):
    X = (np.random.default_rng(seed).uniform(0.1, 1, size=(count, width)) * scale).astype(np.float32)
    unit = normalise(X)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit * np.linalg.norm(X.astype(np.float64), axis=1)[:, None], X, rtol=1e-5)


def test_normalise_keeps_zero_rows_float64_and_nan_and_refuses_a_single_vector():
    assert not normalise(np.zeros((2, 3))).any()
    assert normalise(np.ones((1, 4))).dtype == np.float64
    assert l2(np.ones((1, 4), dtype=np.float16)).dtype == np.float32
    assert np.isnan(normalise(np.array([[np.nan, 1.0]]))).all()
    with pytest.raises(ValueError, match=r"X must be \(N, D\), one row per image, got \(4,\)"):
        normalise(np.ones(4))


def test_a_whitening_is_read_from_text_and_shows_what_differs_from_the_defaults():
    assert Whitening.parse("pca(power=0.25)").key == "pca(power=0.25)"
    assert Whitening.parse("pca(power=0.5)").key == Whitening.parse("pca").key == "pca"
    assert Whitening.parse("shrinkage(amount=0.1)").parameters == {"clip": 1e-9, "amount": 0.1}
    assert Whitening("lw", {"form": "published"}).key == "lw(form='published')"
    assert Whitening.parse("lw").key == "lw(form='rank-safe')", "the default is not the method that is cited"
    assert Whitening.parse("lw(clip=1e-6)").key == "lw(form='rank-safe', clip=1e-06)"
    for name in WHITENINGS:
        assert Whitening.parse(Whitening(name).key) == Whitening(name)
    with pytest.raises(TypeError, match="pca: unknown parameter 'n_components'"):
        Whitening.parse("pca(n_components=3)")
    with pytest.raises(ValueError, match=r"power must be in \[0, 1\]"):
        Whitening.parse("pca(power=2)")


def test_parameters_are_declared_for_controls_and_dimensions_are_not_among_them():
    declared = {name: list(parameters(WHITENINGS[name])) for name in WHITENINGS}
    assert declared == {
        "none": [],
        "pca": ["clip", "power"],
        "shrinkage": ["clip", "amount"],
        "zca": ["clip", "eps"],
        "lw": ["form", "clip"],
        "head": ["loss", "start", "labels", "classes", "each", "steps", "rate", "held_out", "seed"],
        "autoencoder": ["width", "activation", "steps", "rate", "seed"],
    }


def test_learning_takes_text_a_whitening_or_parameters():
    X = descriptors(30, 5)
    expected = PCAWhitening(power=0.25).fit(normalise(X)).transform(normalise(X))
    for fitted in (
        learn("pca(power=0.25)", X),
        learn(Whitening("pca", {"power": 0.25}), X),
        learn("pca", X, power=0.25),
        learn("pca(power=1)", X, power=0.25),
    ):
        np.testing.assert_array_equal(project(fitted, X), expected)


@pytest.mark.parametrize("name", DETERMINED)
@pytest.mark.parametrize(("count", "width"), [(60, 8), (8, 8), (9, 8), (8, 30), (2, 5), (20, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_results_are_real_and_finite_whatever_the_shape_and_type(name, count, width, dtype):
    X = descriptors(count, width).astype(dtype)
    fitted = WHITENINGS[name]().fit(X, instances(count))
    whitened = fitted.transform(X)
    assert whitened.dtype == np.float32
    assert fitted.components_.dtype == fitted.spectrum_.dtype == fitted.mean_.dtype == np.float64
    assert np.isfinite(whitened).all()
    assert (np.diff(fitted.spectrum_) <= 0).all()
    assert whitened.shape == (count, width if name == "zca" else min(count - 1, width))
    assert fitted.n_components_ == whitened.shape[1] == len(fitted.get_feature_names_out())


@pytest.mark.parametrize("name", LEARNED)
def test_constant_rows_teach_nothing_and_are_refused(name):
    with pytest.raises(ValueError, match="6 equal rows"):
        WHITENINGS[name]().fit(np.ones((6, 4)), instances(6))


@pytest.mark.parametrize("name", DETERMINED)
def test_duplicated_rows_and_dead_channels_are_not_amplified(name):
    X = np.repeat(normalise(descriptors(12, 16)), 5, axis=0) + 0.0
    X[:, 3] = 0
    X[::2, :3] *= 1.01
    fitted = WHITENINGS[name]().fit(X, instances(60, of=5))
    dead = np.zeros((1, 16), dtype=np.float32)
    dead[0, 3] = 1
    moved = fitted.transform(X[:1] + dead) - fitted.transform(X[:1])
    np.testing.assert_allclose(moved, 0, atol=1e-3)


@given(
    count=st.integers(2, 24),
    width=st.integers(1, 12),
    power=st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]),
    seed=st.integers(0, 999),
)
def test_the_whitened_covariance_is_the_spectrum_to_what_the_power_leaves(count, width, power, seed):
    X = descriptors(count, width, seed, decay=0.8).astype(np.float64)
    fitted = PCAWhitening(power=power).fit(X)
    covariance = np.cov(fitted.transform(X).astype(np.float64).T, ddof=1).reshape(fitted.n_components_, -1)
    left = fitted.spectrum_[: fitted.n_components_] ** (0.5 - power)
    np.testing.assert_allclose(covariance / np.outer(left, left), np.eye(len(left)), atol=1e-4)


@given(st.integers(3, 24), st.integers(1, 12), st.integers(0, 999))
def test_zca_whitens_the_kept_subspace_and_gives_the_rest_zero(count, width, seed):
    X = descriptors(count, width, seed, decay=0.8).astype(np.float64)
    fitted = ZCAWhitening().fit(X)
    axes = PCAWhitening().fit(X).components_
    covariance = np.cov(fitted.transform(X).astype(np.float64).T).reshape(width, width)
    np.testing.assert_allclose(covariance, axes.T @ axes, atol=1e-4)
    np.testing.assert_allclose(fitted.components_, fitted.components_.T)


@given(st.integers(4, 24), st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
def test_cutting_equals_fitting_with_fewer_dimensions(count, width, dimensions, seed):
    X, y = descriptors(count, width, seed), instances(count, of=3)
    for name in set(ORDERED) & set(DETERMINED):
        whole = WHITENINGS[name]().fit(X, y)
        kept = min(dimensions, whole.n_components_)
        cut, fitted = whole.truncate(kept), WHITENINGS[name](kept).fit(X, y)
        np.testing.assert_array_equal(cut.transform(X), fitted.transform(X))
        np.testing.assert_allclose(whole.transform(X)[:, :kept], cut.transform(X), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(cut.spectrum_, whole.spectrum_)


@pytest.mark.parametrize("name", LEARNED)
def test_what_was_learned_survives_the_store(name, tmp_path):
    X, y = descriptors(30, 7), instances(30)
    method = Whitening(name)
    fitted = learn(method, X, y)
    state = {attribute: value for attribute, value in vars(fitted).items() if attribute not in fitted.get_params()}
    arrays = {attribute: value for attribute, value in state.items() if isinstance(value, np.ndarray)}
    numbers = {attribute: value for attribute, value in state.items() if attribute not in arrays}
    assert all(type(value) is int for value in numbers.values())
    store = Store(tmp_path)
    store.put("fitted", {"whitening": method.key}, arrays, numbers=numbers)
    entry = store.get("fitted", {"whitening": method.key})
    again = WHITENINGS[name](**method.parameters)
    for attribute, value in {**entry.arrays, **entry.notes["numbers"]}.items():
        setattr(again, attribute, value)
    np.testing.assert_array_equal(whiten(again, X), whiten(fitted, X))
    if name in ORDERED:
        np.testing.assert_array_equal(whiten(again, X, 3), whiten(fitted, X, 3))


@pytest.mark.parametrize(("count", "width"), [(300, 6), (40, 40)])
def test_pca_whitening_is_that_of_faiss_up_to_sign_and_the_scale_that_normalising_takes_away(count, width):
    """faiss takes eigenvalues of the scatter, not of the covariance: its answer is ours over the root of N - 1."""
    faiss = pytest.importorskip("faiss")
    X = descriptors(count, width)
    theirs = faiss.PCAMatrix(width, 5, -0.5)
    theirs.train(X)
    ours = PCAWhitening(5).fit(X).transform(X)
    expected = up_to_sign(ours.T, theirs.apply(X).T).T * np.sqrt(count - 1)
    np.testing.assert_allclose(ours, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize(("count", "width"), [(200, 8), (30, 8), (10, 8), (6, 20)])
def test_shrunk_whitening_whitens_the_covariance_of_ledoit_and_wolf(count, width):
    from sklearn.covariance import LedoitWolf

    X = descriptors(count, width).astype(np.float64)
    theirs = LedoitWolf().fit(X)
    fitted = ShrinkageWhitening().fit(X)
    np.testing.assert_allclose(fitted.amount_, [theirs.shrinkage_], rtol=1e-9)
    matrix = fitted.transform(fitted.mean_ + np.eye(width)).T.astype(np.float64)
    whitened = matrix @ theirs.covariance_ @ matrix.T * count / (count - 1)
    np.testing.assert_allclose(whitened, np.eye(min(count - 1, width)), atol=1e-5)


def test_the_automatic_amount_is_that_of_the_paper_and_falls_with_the_number_of_rows():
    amounts = []
    for count in (8, 40, 400):
        X = views(count, 5)
        shifted = X - X.mean(axis=0)
        expected = reference.ledoit_wolf(shifted.tolist())
        np.testing.assert_allclose(ShrinkageWhitening().fit(X).amount_, [expected], rtol=1e-6)
        amounts.append(expected)
    assert amounts[0] > amounts[1] > amounts[2]
    assert ledoit_wolf(np.ones(4), 16.0, 10, 4) == 0, "nothing is left to shrink where all eigenvalues are equal"


def test_the_amount_goes_from_whitening_to_a_rotation():
    X = descriptors(50, 6)
    np.testing.assert_allclose(
        ShrinkageWhitening(amount=0).fit(X).transform(X), PCAWhitening().fit(X).transform(X), rtol=1e-5, atol=1e-6
    )
    rotated = normalise(PCAWhitening(power=0).fit(X).transform(X))
    np.testing.assert_allclose(normalise(ShrinkageWhitening(amount=1).fit(X).transform(X)), rotated, atol=1e-5)


def test_shrinking_makes_new_rows_rounder_where_training_rows_were_few():
    """Variance along the axis that is amplified most over that along the one that is amplified least."""
    X = descriptors(40, 24, seed=2, decay=0.97)
    truth = np.cov(descriptors(20000, 24, seed=2, decay=0.97).T)

    def unevenness(whitening) -> float:
        matrix = whitening.fit(X).transform(whitening.mean_ + np.eye(24)).astype(np.float64)
        return float(np.linalg.cond(matrix.T @ truth @ matrix))

    assert unevenness(ShrinkageWhitening()) < unevenness(PCAWhitening()) / 3


CROSS = np.array([[0, 1], [1, 0], [-1, 0], [0, -1]], dtype=np.float64)


def test_zca_has_the_figures_of_kornia():
    """From kornia's tests/enhance/test_zca.py; ours is the unbiased form, the other differs by a factor."""
    whitened = ZCAWhitening().fit(CROSS).transform(CROSS)
    np.testing.assert_allclose(whitened, CROSS * 1.2247448, rtol=1e-6)
    np.testing.assert_allclose(whitened * np.sqrt(4 / 3), CROSS * np.sqrt(2), rtol=1e-6)
    across = np.array([[-0.35360718, 0.35351562, -0.35353088, 0.35353088]])
    np.testing.assert_allclose(ZCAWhitening().fit_transform(CROSS.T), np.vstack([across, -across]), atol=1e-4)


@pytest.mark.parametrize(("count", "width"), [(30, 5), (4, 6)])
def test_zca_is_the_inverse_root_of_the_covariance_written_as_loops(count, width):
    X = descriptors(count, width)
    np.testing.assert_allclose(ZCAWhitening().fit(X).components_, reference.zca(X), rtol=1e-6, atol=1e-6)


def test_zca_keeps_the_cosines_of_pca_and_moves_the_rows_least():
    X = normalise(descriptors(80, 6))
    zca, pca = ZCAWhitening().fit(X).transform(X), PCAWhitening().fit(X).transform(X)
    np.testing.assert_allclose(zca @ zca.T, pca @ pca.T, atol=1e-3)
    kept = [np.sum(whitened * (X - X.mean(axis=0))) for whitened in (zca, pca)]
    assert kept[0] > abs(kept[1])


def test_eps_lifts_weak_axes_less():
    X = descriptors(200, 8, decay=0.5)
    variances = [np.linalg.eigvalsh(np.cov(ZCAWhitening(eps=eps).fit_transform(X).T)) for eps in (0.0, 0.1)]
    np.testing.assert_allclose(variances[0], 1, atol=1e-3)
    spectrum = PCAWhitening().fit(X).spectrum_
    np.testing.assert_allclose(variances[1][::-1], spectrum / (spectrum + 0.1 * spectrum[0]), rtol=1e-3)


@pytest.mark.parametrize("name", ["none", "zca"])
def test_whitenings_whose_dimensions_are_channels_refuse_to_keep_some(name):
    assert not WHITENINGS.info(name).facts["ordered"]
    fitted = learn(name, descriptors(20, 5))
    assert fitted.truncate(5) is fitted
    with pytest.raises(ValueError, match=rf"whitening '{name}': dimensions must be 5.*got 3; use whitening 'pca'"):
        fitted.truncate(3)


def test_published_lw_is_that_of_the_loops_with_cholesky():
    X, y = views(60, 6), instances(60)
    queries, positives = matching_pairs(y)
    mean, projection = reference.learned_whitening(X, queries, positives)
    ours = LearnedWhitening(form="published").fit(X, y)
    np.testing.assert_allclose(ours.mean_, mean, rtol=1e-9)
    np.testing.assert_allclose(ours.components_, up_to_sign(ours.components_, np.array(projection)), rtol=1e-5)
    given_pairs = LearnedWhitening(form="published").fit_pairs(X, queries, positives)
    np.testing.assert_array_equal(given_pairs.components_, ours.components_)


def test_lw_whitens_what_differs_within_pairs_and_decorrelates_the_rest():
    X, y = views(80, 7), instances(80)
    fitted = LearnedWhitening(form="published").fit(X, y)
    whitened = fitted.transform(X).astype(np.float64)
    queries, positives = matching_pairs(y)
    apart = whitened[queries] - whitened[positives]
    np.testing.assert_allclose(apart.T @ apart / len(apart), np.eye(7), atol=1e-4)
    np.testing.assert_allclose(whitened.T @ whitened / 79, np.diag(fitted.spectrum_), atol=1e-4 * fitted.spectrum_[0])


def test_lw_finds_the_axes_of_linear_discriminants():
    """With every pair in both directions S is twice the covariance within classes: scikit-learn's LDA, whitened."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    X, y = views(80, 7), instances(80)
    queries, positives = (
        np.concatenate(sides) for sides in zip(matching_pairs(y), matching_pairs(y)[::-1], strict=True)
    )
    ours = LearnedWhitening(form="published").fit_pairs(X, queries, positives)
    axes = LinearDiscriminantAnalysis(solver="eigen").fit(X, y).scalings_.T[:7]
    np.testing.assert_allclose(normalise(ours.components_), up_to_sign(ours.components_, normalise(axes)), atol=1e-6)


def test_lw_on_the_published_degenerate_case_keeps_what_the_pair_determines_and_differs_by_design_in_the_rest():
    """From the test of learned whitening in DELF: one pair in two dimensions. Its second row, 1e5 times the direction
    in which the pair says nothing, is an artefact of the 1e-10 on the diagonal; here that direction is dropped, or the
    published form refuses."""
    X = np.array([[0.14022471, 0.96360618], [0.37601032, 0.25528411]]).T
    fitted = LearnedWhitening().fit_pairs(X, [0], [1])
    np.testing.assert_allclose(fitted.mean_, [0.14022471, 0.37601032])
    np.testing.assert_allclose(fitted.components_, [[1.18894378, -0.174326044]], rtol=2e-6)
    with pytest.raises(ValueError, match="span all 2 dimensions, got 1 from 1 pairs; use form='rank-safe'"):
        LearnedWhitening(form="published").fit_pairs(X, [0], [1])


def test_published_lw_refuses_few_pairs_where_others_return_noise():
    X, y = views(20, 64), instances(20)
    with pytest.raises(ValueError, match=r"span all 64 dimensions, got 15 from 30 pairs; use form='rank-safe'"):
        learn("lw(form='published')", X, y)
    fitted = learn("lw", X, y)
    assert fitted.n_components_ == 19
    assert np.isfinite(fitted.components_).all()
    assert 0 < fitted.amount_[0] <= 1


def test_rank_safe_lw_comes_to_the_published_one_as_pairs_become_many():
    amounts = []
    for count in (40, 400, 8000):
        X, y = views(count, 5), instances(count)
        safe, published = (LearnedWhitening(form=form).fit(X, y) for form in ("rank-safe", "published"))
        assert published.amount_ == 0
        amounts.append(safe.amount_[0])
    assert amounts[0] > amounts[1] > amounts[2]
    np.testing.assert_allclose(safe.components_, published.components_, atol=0.05 * np.abs(safe.components_).max())


def test_lw_tells_new_instances_apart_better_than_pca():
    """Sixty new instances, two views each: how often the other view is the nearest row."""
    X, Y = views(400, 16), views(520, 16)[400:]

    def found(whitening) -> float:
        cosines = whiten(whitening, Y) @ whiten(whitening, Y).T
        np.fill_diagonal(cosines, -1)
        return float(np.mean(instances(120)[cosines.argmax(axis=1)] == instances(120)))

    assert found(learn("lw", X, instances(400))) > found(learn("pca", X)) + 0.05


def test_pairs_are_of_one_instance_the_earlier_row_first_and_linear_in_number():
    y = np.array(["b", "", "a", "b", "", "a", "b", "c"])
    queries, positives = matching_pairs(y)
    assert sorted(zip(queries.tolist(), positives.tolist(), strict=True)) == [(0, 3), (0, 6), (2, 5), (3, 6)]
    queries, positives = matching_pairs(["same"] * 1000)
    assert len(queries) < 1000 * PARTNERS
    assert (positives > queries).all()
    assert (np.bincount(queries) <= PARTNERS).all()
    assert [len(rows) for rows in matching_pairs([""] * 5)] == [0, 0]


def test_rows_without_a_label_count_in_the_scatter_alone():
    X, y = views(80, 6), instances(80)
    half = np.where(np.arange(80) < 40, y, "")
    queries, positives = matching_pairs(y[:40])
    expected = LearnedWhitening(form="published").fit_pairs(X, queries, positives)
    np.testing.assert_array_equal(LearnedWhitening(form="published").fit(X, half).components_, expected.components_)
    alone = LearnedWhitening(form="published").fit(X[:40], y[:40])
    np.testing.assert_allclose(alone.mean_, expected.mean_)
    assert not np.allclose(alone.components_, expected.components_, rtol=1e-3)


@pytest.mark.parametrize("y", [None, [], [""] * 6, list("abcdef")])
def test_lw_says_that_it_needs_labels(y):
    with pytest.raises(ValueError, match=r"whitening 'lw' needs .* instance labels of the learning set"):
        learn("lw", descriptors(6, 3), y)


def test_lw_refuses_what_it_cannot_learn_from():
    X = descriptors(6, 3)
    with pytest.raises(ValueError, match="y must hold one label per row of X, 6, got"):
        learn("lw", X, ["a", "a"])
    with pytest.raises(ValueError, match="matching rows must differ, got 3 pairs of equal rows"):
        LearnedWhitening().fit(np.repeat(X[:3], 2, axis=0), instances(6, of=2))
    with pytest.raises(ValueError, match="y must hold a label that two rows share, got 6"):
        LearnedWhitening().fit(X, list("abcdef"))
    with pytest.raises(ValueError, match="lists of the same length"):
        LearnedWhitening().fit_pairs(X, [0, 1], [2])
    with pytest.raises(ValueError, match=r"positive_rows must be row numbers in \[0, 5\]"):
        LearnedWhitening().fit_pairs(X, [0, 1], [2, 6])
    with pytest.raises(ValueError, match="form must be one of 'rank-safe', 'published', got 'safe'"):
        LearnedWhitening(form="safe").fit(X, instances(6))
