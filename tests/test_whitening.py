"""Whitening against scikit-learn's PCA, its estimator checks, and the corners where whitening breaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator

from cbirlab.params import parameters
from cbirlab.whitening import WHITENINGS, l2, learn, normalise, project, whiten

PCAWhitening = WHITENINGS["pca"]
NoWhitening = WHITENINGS["none"]


def descriptors(count, width, seed=0, decay=0.9) -> np.ndarray:
    """Non-negative rows with a falling spectrum in a random basis, as pooled activations have."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (rng.normal(size=(count, width)) * decay ** np.arange(width) @ basis + 3).astype(np.float32)


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


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5])
def test_power_goes_from_a_rotation_to_full_whitening(power):
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
    monkeypatch.setattr("cbirlab.whitening.estimators.BLOCK", 64)
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


@pytest.mark.parametrize("given", [{"power": 0.7}, {"clip": 0.5}, {"n_components": 0}, {"n_components": 2.5}])
def test_parameters_outside_what_is_declared_are_refused_by_fit(given):
    with pytest.raises(ValueError, match=f"PCAWhitening: {next(iter(given))} must be"):
        PCAWhitening(**given).fit(descriptors(9, 4))


def test_parameters_are_declared_for_controls():
    assert list(parameters(PCAWhitening)) == ["n_components", "clip", "power"]
    assert parameters(PCAWhitening)["n_components"].domain.optional


def test_none_leaves_descriptors_as_they_are_and_does_not_pretend_to_order_channels():
    X = descriptors(6, 5)
    fitted = learn("none", X)
    np.testing.assert_allclose(whiten(fitted, X), normalise(X), rtol=1e-6)
    assert fitted.truncate(5).n_components_ == 5
    with pytest.raises(ValueError, match=r"dimensions must be 5.*got 3; use whitening 'pca'"):
        fitted.truncate(3)


@pytest.mark.parametrize("name", WHITENINGS)
def test_the_convention_gives_rows_of_length_one_and_keeps_zero_rows_zero(name):
    X = descriptors(40, 6)
    X[[3, 17]] = 0
    fitted = learn(name, X)
    whitened = whiten(fitted, X)
    lengths = np.linalg.norm(whitened, axis=1)
    assert whitened.dtype == np.float32
    assert not whitened[[3, 17]].any()
    np.testing.assert_allclose(np.delete(lengths, [3, 17]), 1, rtol=1e-6)
    without = learn(name, np.delete(X, [3, 17], axis=0))
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
