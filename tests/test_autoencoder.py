"""The autoencoder: its loss by loops, PCA where it is linear, the same bits again, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA

from cbirlab.whitening import learn, normalise, whiten
from cbirlab.whitening.autoencoder import ACTIVATIONS, AutoencoderWhitening, lost


def rows_of(count: int, width: int, *, strong: int = 4, seed: int = 0) -> np.ndarray:
    """Rows whose variance lies for the most part along a few directions, which are no axes."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.standard_normal((width, width)))[0]
    sizes = np.where(np.arange(width) < strong, 1.0, 0.1)
    return random.standard_normal((count, width)) * sizes @ basis + 1


def loss_by_loops(rows: list[list[float]], leaves: list[np.ndarray], activation: str) -> float:
    encoder, bias, decoder, offset = leaves
    total, width = 0.0, len(rows[0])
    for row in rows:
        code = []
        for unit in range(len(encoder)):
            inner = bias[unit] + sum(encoder[unit][axis] * row[axis] for axis in range(width))
            code.append({"none": inner, "relu": max(inner, 0.0), "tanh": np.tanh(inner)}[activation])
        for axis in range(width):
            given = offset[axis] + sum(decoder[unit][axis] * code[unit] for unit in range(len(code)))
            total += (row[axis] - given) ** 2
    return total / (len(rows) * width)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_loss_and_its_gradient_are_those_of_the_loops(activation: str) -> None:
    random = np.random.default_rng(1)
    rows = random.standard_normal((5, 4))
    leaves = [random.standard_normal(shape) for shape in ((2, 4), (2,), (2, 4), (4,))]
    tensors = [torch.from_numpy(leaf.copy()).requires_grad_() for leaf in leaves]
    value = lost(torch.from_numpy(rows), tensors, activation)
    assert float(value.detach()) == pytest.approx(loss_by_loops(rows.tolist(), leaves, activation))
    value.backward()
    for leaf, tensor in zip(leaves, tensors, strict=True):
        for place in np.ndindex(leaf.shape):
            before, near = leaf[place], []
            for shift in (1e-6, -1e-6):
                leaf[place] = before + shift
                near.append(loss_by_loops(rows.tolist(), leaves, activation))
            leaf[place] = before
            assert float(tensor.grad[place]) == pytest.approx((near[0] - near[1]) / 2e-6, abs=1e-6)


def test_the_linear_one_spans_the_principal_axes_of_scikit_learn() -> None:
    X = rows_of(200, 12)
    fitted = AutoencoderWhitening(width=4, activation="none", steps=1500, rate=0.003).fit(X)
    axes = PCA(4).fit(X).components_
    own = np.linalg.qr(fitted.components_.T)[0]
    angles = np.degrees(np.arccos(np.clip(np.linalg.svd(axes @ own, compute_uv=False), 0, 1)))
    assert angles.max() < 1
    start = np.linalg.qr(AutoencoderWhitening(width=4, activation="none", steps=1, rate=1e-6).fit(X).components_.T)[0]
    assert np.degrees(np.arccos(np.linalg.svd(axes @ start, compute_uv=False).min())) > 45, "it did not start there"
    expected = PCA(4).fit(X)
    assert fitted.losses_[-1] == pytest.approx(1 - expected.explained_variance_ratio_.sum(), rel=0.01)
    codes, rotated = normalise(fitted.transform(X)), normalise(expected.transform(X))
    np.testing.assert_allclose(codes @ codes.T, rotated @ rotated.T, atol=0.02)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_activation_loses_less_variance_than_pca(activation: str) -> None:
    X = rows_of(200, 12, strong=6)
    fitted = AutoencoderWhitening(width=3, activation=activation, steps=2000).fit(X)
    given = fitted.transform(X) @ fitted.decoder_ + fitted.offset_ + fitted.mean_
    share = np.square(X - given).sum() / np.square(X - X.mean(axis=0)).sum()
    assert 0 < share - (1 - PCA(3).fit(X).explained_variance_ratio_.sum()) < {"none": 0.01}.get(activation, 0.2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_it_keeps_gives_rows_back(activation: str) -> None:
    X = rows_of(120, 10)
    fitted = AutoencoderWhitening(width=6, activation=activation).fit(X)
    codes = fitted.transform(X)
    given = codes @ fitted.decoder_ + fitted.offset_ + fitted.mean_
    share = np.square(X - given).sum() / np.square(X - X.mean(axis=0)).sum()
    assert share == pytest.approx(fitted.losses_[-1], abs=0.02)
    assert share < 0.5 * fitted.losses_[0]
    assert codes.min() >= {"none": -np.inf, "relu": 0, "tanh": -1}[activation]
    assert (np.diff(fitted.spectrum_) <= 0).all()
    np.testing.assert_allclose(np.sort(codes.var(axis=0))[::-1], fitted.spectrum_, rtol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    X = rows_of(400, 9)
    one, two, other = (AutoencoderWhitening(steps=30, seed=seed).fit(X) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.components_, two.components_)
    np.testing.assert_array_equal(one.losses_, two.losses_)
    assert not np.array_equal(one.components_, other.components_)


def test_it_survives_cloning_and_pickling_and_labels_do_not_matter() -> None:
    X = rows_of(50, 8)
    fitted = AutoencoderWhitening(width=3, activation="relu", steps=20).fit(X)
    for again in (pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(X, ["a"] * 50)):
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_the_size_of_the_rows_does_not_matter() -> None:
    X = rows_of(80, 8).astype(np.float64)
    one, large = (AutoencoderWhitening(steps=20).fit(X * size) for size in (1, 1e6))
    np.testing.assert_allclose(large.transform(X * 1e6), one.transform(X), atol=1e-4)


@pytest.mark.parametrize(("count", "dimensions", "most"), [(50, 8, 8), (6, 8, 5)])
def test_a_width_that_the_rows_cannot_fill_is_a_sentence(count: int, dimensions: int, most: int) -> None:
    said = rf"width must be at most {most}, because {count} rows of {dimensions} dimensions .* got {most + 1}; take"
    with pytest.raises(ValueError, match=said):
        AutoencoderWhitening(width=most + 1).fit(rows_of(count, dimensions))
    assert AutoencoderWhitening(width=most, steps=1).fit(rows_of(count, dimensions)).n_components_ == most


@pytest.mark.parametrize(("count", "dimensions", "width"), [(300, 400, 128), (50, 8, 4), (3, 8, 2), (2, 1, 1)])
def test_the_width_by_default_is_half_and_at_most_128(count: int, dimensions: int, width: int) -> None:
    assert AutoencoderWhitening(steps=1).fit(rows_of(count, dimensions)).n_components_ == width


def test_zero_rows_stay_zero_and_a_code_is_kept_whole() -> None:
    X = rows_of(40, 6)
    X[[3, 17]] = 0
    fitted = learn("autoencoder(width=3, steps=10)", X)
    assert not whiten(fitted, X)[[3, 17]].any()
    assert fitted.truncate(3) is fitted
    with pytest.raises(ValueError, match=r"whitening 'autoencoder': dimensions must be 3, .*got 2"):
        fitted.truncate(2)
