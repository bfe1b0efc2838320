"""Whitening: descriptors made comparable. scikit-learn estimators, and the normalisation around them.

The convention of the field is L2, whiten, keep the leading dimensions, L2::

    whitening = learn("pca", train)                     # rows are normalised, then it is fitted
    whitened = whiten(whitening, images, dimensions=128)

For a slider that moves `dimensions`, keep ``projected = project(whitening, images)`` and show
``normalise(projected[:, :dimensions])``: it is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.params import checked
from cbirlab.registry import Registry

WHITENINGS: Registry[Any] = Registry("whitening")
WHITENINGS.add("none", "cbirlab.whitening.estimators:NoWhitening", title="None", learned=False)
WHITENINGS.add(
    "pca",
    "cbirlab.whitening.estimators:PCAWhitening",
    title="PCA-whitening",
    reference="Jégou and Chum, ECCV 2012",
    learned=True,
)

NORM_FLOOR = 1e-12
"""Rows shorter than this are zero rows (an unreadable image, an empty map): they stay zero and score 0 always."""


def normalise(X: np.ndarray, eps: float = NORM_FLOOR) -> np.ndarray:
    """Rows divided by their L2 norm.

    Parameters
    ----------
    X : (N, D).
    eps : rows shorter than this become zero rows.

    Returns
    -------
    (N, D), float32 unless `X` is float64.
    """
    X = _rows("normalise", X)
    X = X if X.dtype == np.float64 else X.astype(np.float32, copy=False)
    # A row is scaled by its largest value first: the square of 1e-30 is zero in float32.
    top = np.abs(X).max(axis=1, keepdims=True)
    kept = top > eps
    unit = X / np.where(kept, top, 1)
    unit /= np.maximum(np.sqrt(np.einsum("nd,nd->n", unit, unit))[:, None], eps)
    unit *= kept
    return unit


l2 = normalise


def learn(name: str, X: np.ndarray, **parameters: Any) -> Any:
    """Fit the whitening `name` on descriptors: rows are L2-normalised, zero rows left out.

    Parameters
    ----------
    name : in `WHITENINGS`.
    X : (N, D), un-normalised descriptors of a set that is not evaluated.
    parameters : of the estimator.

    Returns
    -------
    The fitted estimator.

    Raises
    ------
    UnknownName : no such whitening.
    TypeError, ValueError : a wrong parameter, or fewer than two different rows.
    """
    estimator = WHITENINGS[name]
    unit = normalise(X)
    return estimator(**checked(estimator, parameters, owner=name)).fit(unit[unit.any(axis=1)])


def project(whitening: Any, X: np.ndarray) -> np.ndarray:
    """Descriptors (N, D) L2-normalised and transformed to (N, d) float32, not normalised again; zero rows stay zero."""
    unit = normalise(X)
    projected = np.array(whitening.transform(unit), dtype=np.float32)
    projected[~unit.any(axis=1)] = 0
    return projected


def whiten(whitening: Any, X: np.ndarray, dimensions: int | None = None) -> np.ndarray:
    """The full convention: L2, transform, the leading `dimensions`, L2.

    Parameters
    ----------
    whitening : a fitted estimator.
    X : (N, D), un-normalised descriptors.
    dimensions : how many of the whitened dimensions to keep, all by default; see the estimator's `truncate`.

    Returns
    -------
    (N, d) float32 with rows of length one, or zero where the row of `X` is zero.
    """
    return normalise(project(whitening if dimensions is None else whitening.truncate(dimensions), X))


def _rows(owner: str, X: Any) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] == 0:
        raise ValueError(f"{owner}: X must be (N, D), one row per image, got {X.shape}.")
    return X
