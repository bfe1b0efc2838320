"""Whitenings that leave every channel in its place: none, and ZCA."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from cbirlab.base.params import Range
from cbirlab.whitening.base import FLOATS, BaseWhitening, LinearWhitening, refuse_fewer


class NoWhitening(BaseWhitening):
    """Descriptors left as they are: the baseline for every whitening.

    Attributes
    ----------
    n_components_ : D.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the number of dimensions."""
        X = validate_data(self, X, dtype=FLOATS)
        return self._counted(X.shape[1])

    def transform(self, X: Any) -> np.ndarray:
        """`X` in float32."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=FLOATS, reset=False), dtype=np.float32)

    def truncate(self, dimensions: int | None) -> Self:
        """Itself.

        Raises
        ------
        ValueError : fewer dimensions are asked for; channels have no order of importance.
        """
        check_is_fitted(self)
        refuse_fewer("none", self.n_components_, dimensions)
        return self


class ZCAWhitening(LinearWhitening):
    """Whitening that moves descriptors least: PCA-whitening, then rotated back, ``W = U Λ^-1/2 U^T``.

    `W` is symmetric, the inverse square root of the covariance: each dimension stays next to the channel it came from,
    so channels can still be named and looked at. Distances and cosines are those of PCA-whitening with all dimensions.

    Parameters
    ----------
    clip : axes whose eigenvalue is at most this fraction of the largest become zero: directions that the training set
        does not determine (N < D, dead channels) are neither amplified nor kept.
    eps : added to every other eigenvalue, as a fraction of the largest, so that weak axes are lifted less.

    Attributes
    ----------
    mean_ : (D,).
    components_ : (D, D), `W`.
    spectrum_ : (min(N, D),), all eigenvalues of the covariance (over N - 1), descending; for inspection.
    n_components_ : D.

    References
    ----------
    Bell and Sejnowski, "The 'independent components' of natural scenes are edge filters", Vision Research 37, 1997.
    """

    def __init__(
        self,
        *,
        clip: Annotated[float, Range(1e-12, 0.1)] = 1e-9,
        eps: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.0,
    ) -> None:
        self.clip = clip
        self.eps = eps

    @property
    def tempered(self) -> bool:
        """No: all variances become one."""
        return False

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn mean and `W` of `X` (N, D).

        Raises
        ------
        ValueError : fewer than two rows, all rows equal, NaN or infinity, a parameter that is not allowed.
        """
        _, axes = self._learn_axes(X, self.clip)
        lifted = self.spectrum_[: len(axes)] + self.eps * self.spectrum_[0]
        return self._keep((axes.T / np.sqrt(lifted)) @ axes, None)

    def truncate(self, dimensions: int | None) -> Self:
        """Itself.

        Raises
        ------
        ValueError : fewer dimensions are asked for; they are channels, which have no order of importance.
        """
        check_is_fitted(self)
        refuse_fewer("zca", self.n_components_, dimensions)
        return self
