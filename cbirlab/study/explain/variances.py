"""Spectrum: how much the descriptors vary along each dimension, before and after whitening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cbirlab.whitening import normalise, project


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Variances of the descriptors before and after whitening.

    Attributes
    ----------
    before : (D,) variances of the L2-normalised descriptors along their own principal axes, descending.
    after : (d,) variances of the whitened dimensions, in their order, without normalising again.
    learned : eigenvalues that the whitening found in its learning set, or None.
    """

    before: np.ndarray
    after: np.ndarray
    learned: np.ndarray | None

    @property
    def flatness(self) -> tuple[float, float]:
        """Effective number of dimensions before and after, (Σ λ)² / Σ λ²: the full number if all vary alike."""
        return _effective(self.before), _effective(self.after)


def spectrum(whitening: Any, descriptors: np.ndarray, dimensions: int | None = None) -> Spectrum:
    """Variances of `descriptors` before and after a whitening.

    On images that it did not learn from, the variances after whitening are not flat even at full power: the difference
    is what the learning set could not tell.

    Parameters
    ----------
    whitening : fitted; None for none.
    descriptors : (N, D), not normalised; zero rows are left out.
    dimensions : leading dimensions that are kept, all by default.
    """
    unit = normalise(descriptors)
    unit = unit[unit.any(axis=1)]
    own = np.linalg.eigvalsh(np.atleast_2d(np.cov(unit.T, dtype=np.float64)))[::-1].clip(min=0)
    if whitening is None:
        return Spectrum(own, own, None)
    after = project(whitening, unit)[:, :dimensions].var(axis=0, ddof=1, dtype=np.float64)
    return Spectrum(own, after, np.asarray(whitening.spectrum_))


def _effective(variances: np.ndarray) -> float:
    squares = float(np.square(variances).sum())
    return float(variances.sum() ** 2 / squares) if squares else 0.0
