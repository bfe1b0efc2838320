"""Grouping: labels from which descriptors lie together, by k-means or by who is whose neighbour.

Rows are compared half-whitened, see `half_whitened`: else what all pictures share makes them all alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from cbirlab.adaptation.labelling import Counter, Guess, check_fewer, with_descriptor, without_single
from cbirlab.base.params import Range
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.graph import mutual_graph, row_numbers
from cbirlab.reranking.neighbours import ASKED
from cbirlab.training.batches import NO_INSTANCE
from cbirlab.whitening.methods import learn, whiten

EACH = Range(2, 1000, integer=True)
INLIERS = Range(1, 1000, integer=True)

DIMENSIONS = 64
"""Of half-whitened rows, at most."""

STARTS = 2
"""How often k-means starts; the best end counts."""


def kmeans(rows: np.ndarray, *, given: np.ndarray, seed: int, each: Annotated[int, EACH] = 8) -> Guess:
    """Clusters of half-whitened rows by k-means: max(2, n // each) of them, less those of one row.

    Parameters
    ----------
    each : rows that a cluster has on average.

    References
    ----------
    Caron, Bojanowski, Joulin and Douze, "Deep clustering for unsupervised learning of visual features", ECCV 2018.
    """
    return grouped(rows, lambda white: clustered(white, each, seed))


def mutual(rows: np.ndarray, *, given: np.ndarray, seed: int, k: Annotated[int, ASKED] = 2) -> Guess:
    """Connected groups of half-whitened rows, an edge where both are among the other's `k` nearest.

    Parameters
    ----------
    k : nearest others of a row; both must be among the other's for an edge.
    """

    def connected(white: np.ndarray) -> np.ndarray:
        check_fewer("mutual", "k", k, len(white))
        return _components(mutual_graph(Gallery(white), k, 0.0))

    return grouped(rows, connected)


def verified(
    rows: np.ndarray,
    *,
    given: np.ndarray,
    seed: int,
    pictures: Counter,
    k: Annotated[int, ASKED] = 5,
    inliers: Annotated[int, INLIERS] = 10,
) -> Guess:
    """Connected groups as of `mutual`, of the edges whose pictures show the same things in the same arrangement.

    Pictures of different objects before one background match, too, by the background.

    Parameters
    ----------
    pictures : inliers (m,) of pairs of rows (m, 2).
    k : neighbours that are looked at.
    inliers : matches of two pictures that must agree with one model.

    References
    ----------
    Radenović, Tolias and Chum, "CNN image retrieval learns from BoW: unsupervised fine-tuning with hard examples", ECCV
    2016.
    """
    shown = with_descriptor(rows)

    def connected(white: np.ndarray) -> np.ndarray:
        check_fewer("verified", "k", k, len(white))
        graph = mutual_graph(Gallery(white), k, 0.0)
        pairs = np.stack([row_numbers(graph), graph.indices], axis=1)
        once = pairs[:, 0] < pairs[:, 1]
        graph.data[~once] = 0
        graph.data[once] = np.asarray(pictures(shown[pairs[once]])) >= inliers
        graph.eliminate_zeros()
        return _components(graph)

    return grouped(rows, connected)


def half_whitened(rows: np.ndarray) -> np.ndarray:
    """Rows (n, D) on their leading principal axes, each divided by its eigenvalue to the power 1/4; (n, d), of unit L2
    norm, d at most `DIMENSIONS`.

    Raises
    ------
    ValueError : all rows are equal.
    """
    fitted = learn("pca(power=0.25)", rows)
    return whiten(fitted, rows, min(DIMENSIONS, fitted.n_components_))


def grouped(rows: np.ndarray, cluster: Callable[[np.ndarray], np.ndarray]) -> Guess:
    """The groups that `cluster` finds among the half-whitened rows, those of one row left out."""
    shown = with_descriptor(rows)
    labels = np.full(len(rows), NO_INSTANCE, np.int64)
    labels[shown] = cluster(half_whitened(rows[shown]))
    return Guess(labels=without_single(labels))


def clustered(points: np.ndarray, each: int, seed: int) -> np.ndarray:
    """The cluster (n,) of each of some points (n, d), by k-means with max(2, n // each) centres."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    centres = min(len(points), max(2, len(points) // each))
    # Several threads add up in varying order: labels would differ from run to run.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # equal rows need fewer centres
        return KMeans(centres, n_init=STARTS, random_state=seed).fit_predict(points)  # pyright: ignore[reportArgumentType]


def _components(graph: Any) -> np.ndarray:
    """The connected part (n,) of a sparse graph (n, n) that each row is in."""
    from scipy.sparse.csgraph import connected_components

    return connected_components(graph, directed=False)[1]
