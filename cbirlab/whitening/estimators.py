"""Whitening estimators, by scikit-learn's rules: `fit` learns and returns self, learned names end in an underscore."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import copy
from typing import Annotated, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from cbirlab.params import Range, checked

BLOCK = 4096
"""Rows that are held in float64 at a time."""


class NoWhitening(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Descriptors as they come: the baseline of every whitening."""

    def fit(self, X: Any, y: Any = None) -> NoWhitening:
        """Remember the number of dimensions."""
        X = validate_data(self, X, dtype=[np.float32, np.float64])
        self.n_components_ = self._n_features_out = X.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """`X` in float32."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=[np.float32, np.float64], reset=False), dtype=np.float32)

    def truncate(self, dimensions: int) -> NoWhitening:
        """Itself.

        Raises
        ------
        ValueError : fewer dimensions are asked for; channels have no order of importance before a PCA.
        """
        check_is_fitted(self)
        if dimensions != self.n_components_:
            raise ValueError(
                f"whitening 'none': dimensions must be {self.n_components_}, the width of the descriptors, or None, "
                f"got {dimensions!r}; use whitening 'pca' to keep fewer."
            )
        return self

    def __sklearn_tags__(self) -> Any:
        return _tags(super().__sklearn_tags__())


class PCAWhitening(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Rotation to the principal axes, each divided by its standard deviation (its eigenvalue to the `power`).

    With ``power=0.5`` it is scikit-learn's ``PCA(whiten=True)``, up to what is clipped. Computed in float64 from
    whichever of covariance and Gram matrix is smaller; the sign of an axis is such that its entry of largest
    magnitude is positive.

    Parameters
    ----------
    n_components : dimensions to keep; None keeps all that the training set determines, at most min(N - 1, D).
    clip : axes whose eigenvalue is at most this fraction of the largest are dropped: dividing by them amplifies
        rounding.
    power : 0.5 whitens fully, 0 only rotates, 0.25 is half way.

    Attributes
    ----------
    mean_ : (D,).
    components_ : (d, D), the principal axes, orthonormal.
    spectrum_ : (min(N, D),), all eigenvalues of the covariance (over N - 1), descending; for looking.
    n_components_ : d.

    References
    ----------
    Jégou and Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening", ECCV
    2012.
    """

    def __init__(
        self,
        n_components: Annotated[int | None, Range(1, 65536, integer=True, optional=True)] = None,
        *,
        clip: Annotated[float, Range(1e-12, 0.1)] = 1e-9,
        power: Annotated[float, Range(0.0, 0.5, step=0.05)] = 0.5,
    ) -> None:
        self.n_components = n_components
        self.clip = clip
        self.power = power

    def fit(self, X: Any, y: Any = None) -> PCAWhitening:
        """Learn mean and axes of `X` (N, D).

        Raises
        ------
        ValueError : fewer than two rows, all rows equal, NaN or infinity.
        """
        checked(type(self), self.get_params(deep=False), owner="PCAWhitening")
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        self.spectrum_, axes = _principal_axes(X, self.mean_)
        # Rounding alone gives eigenvalues of about the square of the machine epsilon times the size of the values.
        noise = (np.finfo(X.dtype).eps * np.abs(self.mean_).max()) ** 2
        rank = int(np.sum(self.spectrum_ > max(self.clip * self.spectrum_[0], noise)))
        rank = min(rank, X.shape[0] - 1)
        if rank == 0:
            raise ValueError(f"PCAWhitening: X must hold rows that differ, got {X.shape[0]} equal rows.")
        self.components_ = axes[: self._available(self.n_components or rank, rank)]
        return self._counted()

    def transform(self, X: Any) -> np.ndarray:
        """Whitened `X` (N, d) in float32, not normalised. The leading columns are the answer of `truncate`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        matrix = (self.components_ * self.spectrum_[: len(self.components_), None] ** -self.power).T
        whitened = np.empty((len(X), matrix.shape[1]), dtype=np.float32)
        for start, block in _centred(X, self.mean_):
            whitened[start : start + len(block)] = block @ matrix
        return whitened

    def truncate(self, dimensions: int) -> PCAWhitening:
        """A fitted copy that keeps the leading `dimensions`; warns and keeps what there is where more are asked for."""
        check_is_fitted(self)
        dimensions = checked(type(self), {"n_components": dimensions}, owner="truncate")["n_components"]
        shorter = copy(self)
        shorter.components_ = self.components_[: self._available(dimensions or self.n_components_, self.n_components_)]
        return shorter._counted()

    def _available(self, wanted: int, rank: int) -> int:
        if wanted > rank:
            warnings.warn(
                f"PCAWhitening: {wanted} dimensions were asked for, but only {rank} can be learned; keeping {rank}.",
                stacklevel=3,
            )
        return min(wanted, rank)

    def _counted(self) -> PCAWhitening:
        self.n_components_ = self._n_features_out = len(self.components_)
        return self

    def __sklearn_tags__(self) -> Any:
        return _tags(super().__sklearn_tags__())


def _principal_axes(X: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (min(N, D),) of the covariance in descending order, and the axes as rows (min(N, D), D)."""
    count, width = X.shape
    if count <= width:
        centred = X.astype(np.float64) - mean
        values, vectors = np.linalg.eigh(centred @ centred.T)
        axes = vectors.T @ centred
        # An axis of a null direction has no length; it is dropped by the rank clip, so any number but NaN will do.
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    else:
        scatter = np.zeros((width, width))
        for _, block in _centred(X, mean):
            scatter += block.T @ block
        values, vectors = np.linalg.eigh(scatter)
        axes = vectors.T
    values, axes = np.maximum(values[::-1], 0) / (count - 1), axes[::-1]
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return values, axes * np.where(largest < 0, -1, 1)[:, None]


def _centred(X: np.ndarray, mean: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows in float64, the mean taken off, each with the row it starts at."""
    for start in range(0, len(X), BLOCK):
        yield start, X[start : start + BLOCK].astype(np.float64) - mean


def _tags(tags: Any) -> Any:
    """Output is float32 whatever the input, which scikit-learn wants to be told."""
    tags.transformer_tags.preserves_dtype = []
    return tags
