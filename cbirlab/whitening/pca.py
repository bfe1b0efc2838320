"""Whitening from the covariance of unlabelled descriptors: PCA, and PCA with shrunk eigenvalues."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np

from cbirlab.base.params import Range
from cbirlab.whitening.base import LinearWhitening, centre, ledoit_wolf


class PCAWhitening(LinearWhitening):
    """Rotation to the principal axes, each divided by its eigenvalue to the `power`.

    With ``power=0.5``, the standard deviation, it equals scikit-learn's ``PCA(whiten=True)``, apart from clipped axes.
    Computed in float64; the sign of an axis is such that its entry of largest magnitude is positive.

    Parameters
    ----------
    n_components : dimensions to keep; None keeps all that the training set determines, at most min(N - 1, D).
    clip : axes whose eigenvalue is at most this fraction of the largest are dropped: dividing by them amplifies
        rounding.
    power : 0 only rotates, 0.5 whitens fully, more turns the weak axes into the strong ones. 0.25 is half way, and
        better for few training images (the value in the code of Revaud et al., ICCV 2019).

    Attributes
    ----------
    mean_ : (D,).
    components_ : (d, D), the principal axes, orthonormal.
    spectrum_ : (min(N, D),), all eigenvalues of the covariance (over N - 1), descending; for inspection.
    n_components_ : d.

    References
    ----------
    Jégou and Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening", ECCV
    2012.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        clip: Annotated[float, Range(1e-12, 0.1)] = 1e-9,
        power: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.5,
    ) -> None:
        self.n_components = n_components
        self.clip = clip
        self.power = power

    @property
    def tempered(self) -> bool:
        """Whether the power is at most half of the one that makes all variances one."""
        return self.power <= 0.25

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn mean and axes of `X` (N, D).

        Raises
        ------
        ValueError : fewer than two rows, all rows equal, NaN or infinity, a parameter that is not allowed.
        """
        _, axes = self._learn_axes(X, self.clip)
        return self._keep(axes, self.n_components)

    def _matrix(self) -> np.ndarray:
        return (self.components_ * self.spectrum_[: len(self.components_), None] ** -self.power).T


class ShrinkageWhitening(LinearWhitening):
    """PCA-whitening with the eigenvalues drawn towards their mean: few training images do not amplify noise.

    From N images, the small eigenvalues come out too small and the large ones too large, the more so the closer N is to
    D; plain whitening goes wrong because it divides by the small ones. An eigenvalue λ becomes
    ``(1 - amount) λ + amount mean(λ)``, the mean over all D dimensions.

    Parameters
    ----------
    n_components, clip : as for `PCAWhitening`.
    amount : 0 is PCA-whitening, 1 only rotates; None takes the amount of Ledoit and Wolf, which falls with N.

    Attributes
    ----------
    mean_, components_, spectrum_, n_components_ : as for `PCAWhitening`.
    shrunk_ : (min(N, D),), the eigenvalues after shrinking; for comparison with `spectrum_`.
    amount_ : (1,), the amount that was used.

    References
    ----------
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
    Analysis 88, 2004, with the eigenvectors of Jégou and Chum, ECCV 2012.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        clip: Annotated[float, Range(1e-12, 0.1)] = 1e-9,
        amount: Annotated[float | None, Range(0.0, 1.0, step=0.05, optional=True)] = None,
    ) -> None:
        self.n_components = n_components
        self.clip = clip
        self.amount = amount

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn mean, axes and amount of `X` (N, D).

        Raises
        ------
        ValueError : as for `PCAWhitening.fit`.
        """
        X, axes = self._learn_axes(X, self.clip)
        amount = _automatic_amount(X, self.mean_, self.spectrum_) if self.amount is None else self.amount
        self.amount_ = np.array([amount], dtype=np.float64)
        self.shrunk_ = (1 - amount) * self.spectrum_ + amount * self.spectrum_.sum() / X.shape[1]
        return self._keep(axes, self.n_components)

    def _matrix(self) -> np.ndarray:
        return (self.components_ / np.sqrt(self.shrunk_[: len(self.components_), None])).T


def _automatic_amount(X: np.ndarray, mean: np.ndarray, spectrum: np.ndarray) -> float:
    count, width = X.shape
    fourth = sum(float(np.square(np.square(block).sum(axis=1)).sum()) for _, block in centre(X, mean)) / count
    return ledoit_wolf(spectrum * (count - 1) / count, fourth, count, width)
