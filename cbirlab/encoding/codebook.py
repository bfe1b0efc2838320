"""Codebooks and principal axes, learned on a bounded sample by scikit-learn; the same answer for the same seed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

SAMPLE = 100_000
"""The most columns to learn from; more are thinned out."""

PER_WORD = 512
"""The most columns per word that clustering uses; more hardly move a centre."""

ITERATIONS = 25
"""Lloyd's iterations at most."""

EM_ITERATIONS = 50


def k_means(local: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Centres (k, d) in float32 of columns (n, d), n >= k, from one seeded start."""
    # For many words k-means++ takes longer than all the iterations do; faiss starts at random, too.
    start = "k-means++" if k <= 256 else "random"
    # Several threads add up in varying order: the centres would differ from run to run.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are bounded on purpose
        fitted: Any = KMeans(k, init=start, n_init=1, max_iter=ITERATIONS, random_state=seed)  # pyright: ignore[reportArgumentType]
        fitted.fit(thin_out(local, k, seed))
    return np.asarray(fitted.cluster_centers_, dtype=np.float32)


def gaussian_mixture(local: np.ndarray, k: int, seed: int, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (k,), means (k, d) and variances (k, d) of a diagonal mixture, in float32.

    Parameters
    ----------
    floor : the least variance, as a fraction of the mean variance of `local`. It is added, as in scikit-learn.
    """
    sample = thin_out(local, k, seed).astype(np.float64)
    least = floor * max(float(sample.var(axis=0).mean()), 1e-12)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted: Any = GaussianMixture(
            k, covariance_type="diag", reg_covar=least, max_iter=EM_ITERATIONS, random_state=seed
        ).fit(sample)
    weights, means, variances = fitted.weights_, fitted.means_, fitted.covariances_
    return weights.astype(np.float32), means.astype(np.float32), np.asarray(variances, dtype=np.float32)


def principal_axes(blocks: Iterator[np.ndarray], dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and the leading axes (dims, D) of rows that come in blocks (n, D), in float32.

    The entry of largest magnitude of an axis is positive, so that the answer does not depend on the sign that the
    solver happens to choose.
    """
    count, total, products = 0, np.float64(0), np.float64(0)
    for block in blocks:
        rows = block.astype(np.float64)
        count, total, products = count + len(rows), total + rows.sum(axis=0), products + rows.T @ rows
    mean = total / count
    _, vectors = np.linalg.eigh(products - count * np.outer(mean, mean))
    axes = vectors.T[::-1][:dims]
    largest = axes[np.arange(dims), np.abs(axes).argmax(axis=1)]
    # Contiguous, as the store gives them back: another order in memory rounds differently.
    return np.asarray(mean, np.float32), np.asarray(axes * np.where(largest < 0, -1, 1)[:, None], np.float32, order="C")


def thin_out(local: np.ndarray, k: int, seed: int) -> np.ndarray:
    """At most `PER_WORD` rows for each of k words, drawn at random."""
    if len(local) <= k * PER_WORD:
        return local
    return local[np.sort(np.random.default_rng(seed).choice(len(local), k * PER_WORD, replace=False))]
