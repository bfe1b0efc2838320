"""Distances of two samples: how unlike they are (MMD), and how well they can be told apart (proxy A-distance)."""

from __future__ import annotations

from typing import Any

import numpy as np

FOLDS = 4
FEWEST = 2 * FOLDS
"""Rows of each side: with fewer, a fold has less than two of them."""


def mmd(a: Any, b: Any) -> float:
    """Squared maximum mean discrepancy of two samples, without bias: about 0 for samples of one distribution.

    With k(x, y) = exp(-|x - y|² / m²), where m is the median distance between rows of the two samples together::

        sum_{i != j} k(a_i, a_j) / (n (n - 1)) + sum_{i != j} k(b_i, b_j) / (m (m - 1)) - 2 mean_{i, j} k(a_i, b_j)

    It is at most 2, and below 0 if the samples are more alike than chance has it. Turning, moving or scaling all rows
    changes nothing.

    Parameters
    ----------
    a, b : (n, D) and (m, D), a row per picture.

    Raises
    ------
    ValueError : fewer than two rows, other widths, NaN or infinity.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf and Smola, JMLR 2012.
    """
    a, b = _checked("mmd", a, b, fewest=2)
    squares = _squared_distances(np.concatenate([a, b]))
    between = np.sqrt(squares[np.triu_indices(len(squares), 1)])
    if not between.any():
        return 0.0
    kernel = np.exp(-squares / np.median(between[between > 0]) ** 2)
    n = len(a)
    return float(_off_diagonal(kernel[:n, :n]) + _off_diagonal(kernel[n:, n:]) - 2 * kernel[:n, n:].mean())


def proxy_a_distance(a: Any, b: Any, seed: int = 0) -> float:
    """How well a linear classifier tells two samples apart: 0 for not at all, 2 for without a mistake.

    2 (1 - 2 e), with e the error of a logistic regression (L2 penalty, C = 1) on rows that it did not see, averaged
    over four folds. Rows are moved and scaled together first, to mean 0 and mean squared length 1, so that the penalty
    means the same at every tap. An error above 1/2, which is chance, counts as 1/2.

    Parameters
    ----------
    a, b : (n, D) and (m, D), a row per picture; about as many of each.
    seed : of the division into folds.

    Raises
    ------
    ValueError : fewer than eight rows, other widths, NaN or infinity.

    References
    ----------
    Ben-David, Blitzer, Crammer and Pereira, NIPS 2006; Ben-David et al., Machine Learning 2010.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    a, b = _checked("proxy_a_distance", a, b, fewest=FEWEST)
    rows = np.concatenate([a, b])
    rows = rows - rows.mean(axis=0)
    length = np.sqrt(np.square(rows).sum(axis=1).mean())
    sides = np.repeat([0, 1], [len(a), len(b)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    classifier = LogisticRegression(C=1.0, max_iter=1000)
    right = cross_val_score(classifier, rows / length if length > 0 else rows, sides, cv=folds, scoring="accuracy")
    return float(2 * (1 - 2 * min(1 - right.mean(), 0.5)))


def _checked(owner: str, a: Any, b: Any, *, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    """Both samples as float64 matrices."""
    found = []
    for name, given in (("a", a), ("b", b)):
        rows = np.asarray(given, dtype=np.float64)
        if rows.ndim != 2 or len(rows) < fewest:
            raise ValueError(f"{owner}: {name} must be (n, D) with at least {fewest} rows, got {rows.shape}.")
        if not np.isfinite(rows).all():
            raise ValueError(f"{owner}: row {int((~np.isfinite(rows).all(axis=1)).argmax())} of {name} is not finite.")
        found.append(rows)
    if found[0].shape[1] != found[1].shape[1]:
        raise ValueError(f"{owner}: a and b must be equally wide, got {found[0].shape} and {found[1].shape}.")
    return found[0], found[1]


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    """Between all rows (n, n); from their mean, so that little is lost to rounding."""
    centred = rows - rows.mean(axis=0)
    squares = np.square(centred).sum(axis=1)
    found = np.maximum(squares[:, None] + squares - 2 * centred @ centred.T, 0)
    found[found < 1e-12 * squares.max(initial=0)] = 0
    return found


def _off_diagonal(kernel: np.ndarray) -> float:
    """The mean of a square block without its diagonal."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
