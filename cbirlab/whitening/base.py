"""What whitenings share: the linear map, principal axes, how many of them the data determine, how far to shrink."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from cbirlab.base.params import Range, check_parameters

BLOCK = 4096
"""How many rows are held in float64 at a time."""

FLOATS = [np.float64, np.float32]
"""Types that are left as they are; anything else becomes the first."""

DIMENSIONS = Range(1, 65536, integer=True, optional=True)
"""What `n_components` may be. Not annotated at ``__init__``: recipes set it as their `dimensions`, sliders slice."""


class BaseWhitening(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """scikit-learn's side of a whitening: checked parameters, names of the output, its type.

    Attributes
    ----------
    n_components_ : dimensions that come out.
    """

    n_components_: int

    @property
    def tempered(self) -> bool:
        """Whether small variances, which few images determine poorly, are divided by less than their learned value."""
        return True

    def _check_parameters(self) -> None:
        given = self.get_params(deep=False)
        if "n_components" in given:
            DIMENSIONS.check(type(self).__name__, "n_components", given.pop("n_components"))
        check_parameters(type(self), given, owner=type(self).__name__)

    def _counted(self, dimensions: int) -> Self:
        self.n_components_ = self._n_features_out = dimensions
        return self

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that the output is float32 whatever the input."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


class LinearWhitening(BaseWhitening):
    """``(x - mean_) @ components_.T``, the leading dimensions first; a subclass learns the two.

    Attributes
    ----------
    mean_ : (D,) float64.
    components_ : (d, D) float64.
    spectrum_ : eigenvalues, descending; for inspection.
    n_components_ : d.
    """

    mean_: np.ndarray
    components_: np.ndarray
    spectrum_: np.ndarray

    def transform(self, X: Any) -> np.ndarray:
        """Whitened `X` (N, d) in float32, not normalised. Its leading columns equal the output after `truncate`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        matrix = self._matrix()
        whitened = np.empty((len(X), matrix.shape[1]), dtype=np.float32)
        for start, block in centre(X, self.mean_):
            whitened[start : start + len(block)] = block @ matrix
        return whitened

    def truncate(self, dimensions: int | None) -> Self:
        """A fitted copy that keeps the leading `dimensions`; warns and keeps all if there are fewer."""
        check_is_fitted(self)
        dimensions = DIMENSIONS.check("truncate", "dimensions", dimensions)
        return copy(self)._keep(self.components_, dimensions)

    def _matrix(self) -> np.ndarray:
        return self.components_.T

    def _learn_axes(self, X: Any, clip: float) -> tuple[np.ndarray, np.ndarray]:
        """Set mean and spectrum; return the checked `X` and the axes (r, D) that it determines."""
        self._check_parameters()
        X = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        self.spectrum_, axes = principal_axes(X, self.mean_)
        return X, axes[: rank(type(self).__name__, X, self.mean_, self.spectrum_, clip)]

    def _keep(self, axes: np.ndarray, wanted: int | None) -> Self:
        there = len(axes)
        if wanted is not None and wanted > there:
            warnings.warn(
                f"{type(self).__name__}: {wanted} dimensions were asked for, but only {there} can be learned; "
                f"keeping {there}.",
                stacklevel=3,
            )
        self.components_ = axes[:wanted]
        return self._counted(len(self.components_))


def refuse_fewer(name: str, width: int, dimensions: int | None) -> None:
    """Raise ValueError if the whitening `name`, whose dimensions are channels, is to keep only some of `width`."""
    if dimensions not in (None, width):
        raise ValueError(
            f"whitening {name!r}: dimensions must be {width}, the width of the descriptors, or None, "
            f"got {dimensions!r}; use whitening 'pca' to keep fewer."
        )


def centre(X: np.ndarray, mean: np.ndarray | float = 0.0) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows in float64, minus `mean`, each with the number of its first row."""
    for start in range(0, len(X), BLOCK):
        yield start, X[start : start + BLOCK].astype(np.float64) - mean


def principal_axes(X: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the scatter of `X` (N, D) about `mean`, over N - 1.

    Computed from whichever of covariance and Gram matrix is smaller, both symmetric, so that all values are real.

    Returns
    -------
    Eigenvalues (min(N, D),) in descending order, and the axes as rows (min(N, D), D), signs as by `signed`.
    """
    count, width = X.shape
    if count <= width:
        shifted = X.astype(np.float64) - mean
        values, vectors = np.linalg.eigh(shifted @ shifted.T)
        axes = vectors.T @ shifted
        # The axis of a null direction has no length; `rank` drops it, so any number except NaN will do.
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    else:
        scatter = np.zeros((width, width))
        for _, block in centre(X, mean):
            scatter += block.T @ block
        values, vectors = np.linalg.eigh(scatter)
        axes = vectors.T
    return np.maximum(values[::-1], 0) / max(count - 1, 1), signed(axes[::-1])


def signed(axes: np.ndarray) -> np.ndarray:
    """Rows with the sign that makes their entry of largest magnitude positive: a fit repeats bit for bit."""
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return axes * np.where(largest < 0, -1, 1)[:, None]


def rank(owner: str, X: np.ndarray, mean: np.ndarray, spectrum: np.ndarray, clip: float) -> int:
    """How many of the principal axes of `X` (N, D) stand above rounding and above `clip` times the largest eigenvalue.

    Raises
    ------
    ValueError : no axis does.
    """
    # Rounding alone moves every entry by about the machine epsilon times the size of the values.
    noise = X.shape[1] * (np.finfo(X.dtype).eps * np.abs(mean).max()) ** 2
    above = int(np.sum(spectrum > max(clip * spectrum[0], noise)))
    if above == 0:
        raise ValueError(f"{owner}: X must hold rows that differ, got {X.shape[0]} equal rows.")
    return min(above, X.shape[0] - 1)


def ledoit_wolf(spectrum: np.ndarray, fourth: float, count: int, width: int) -> float:
    """The amount of shrinkage towards the mean eigenvalue that is best for this much data: 0 none, 1 all of it.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, section 3: the
    expected error of the covariance over its distance from a multiple of the identity. Both depend on the rows only
    through eigenvalues and lengths.

    Parameters
    ----------
    spectrum : eigenvalues of the covariance, over the number of rows; those that are zero may be left out.
    fourth : mean over the rows of the fourth power of their length.
    count : independent rows.
    width : dimensions of the space.
    """
    squares = np.square(spectrum).sum()
    distance = squares - spectrum.sum() ** 2 / width
    error = (fourth - squares) / count
    # All eigenvalues equal: nothing is left to shrink.
    return 0.0 if distance <= 1e-12 * squares else float(np.clip(error / distance, 0.0, 1.0))
