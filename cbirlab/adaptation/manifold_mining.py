"""Manifold mining: which rows are near along the graph of mutual neighbours, and where that differs from the cosine.

With the affinities A of half-whitened rows, max(s, 0)^3 of mutual neighbours, and S = D^-1/2 A D^-1/2, the similarity
on the manifold is the kernel (I - αS)^-1; see `cbirlab.reranking.diffusion`.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np

from cbirlab.adaptation.grouping import EACH, clustered, grouped, half_whitened
from cbirlab.adaptation.labelling import Guess, check_fewer, with_descriptor
from cbirlab.base.params import Range
from cbirlab.index.ranking import blocks
from cbirlab.reranking.diffusion import ALPHA, SPREAD, solved
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.graph import mutual_graph, row_numbers, symmetrically_normalised
from cbirlab.reranking.inverse import MOST_DENSE
from cbirlab.reranking.neighbours import ASKED
from cbirlab.whitening.methods import normalise

GAMMA = 3.0
"""Exponent of affinities."""

GRAPH, SPREADING = 10, 0.9
"""Neighbours and α of the kernel that k-means runs on."""

MOST_PAIRS = 50
"""Positives of an anchor, and negatives, at most."""

MANY = 1000
"""With fewer pictures, mining on manifolds finds next to nothing."""


def diffusion(rows: np.ndarray, *, given: np.ndarray, seed: int, each: Annotated[int, EACH] = 8) -> Guess:
    """Clusters by k-means of the rows of the kernel, L2-normalised: pictures near the same others are alike.

    Parameters
    ----------
    each : rows that a cluster has on average.

    Raises
    ------
    ValueError : more rows than a dense matrix is held of.

    References
    ----------
    Iscen, Tolias, Avrithis, Furon and Chum, "Efficient diffusion on region manifolds: recovering small objects with
    compact CNN representations", CVPR 2017.
    """
    if len(rows) > MOST_DENSE:
        raise ValueError(
            f"diffusion: rows must be at most {MOST_DENSE:,}, of which the kernel holds every pair, got {len(rows):,}; "
            "take fewer pictures, or labels 'kmeans' or 'mutual'."
        )
    return grouped(rows, lambda white: clustered(normalise(kernel(white)), each, seed))


def kernel(points: np.ndarray, k: int = GRAPH, alpha: float = SPREADING) -> np.ndarray:
    """(I - αS)^-1 (n, n) float64 of the graph of `k` mutual neighbours of unit points (n, d)."""
    graph = symmetrically_normalised(mutual_graph(Gallery(points), k, GAMMA))
    return np.linalg.inv(np.eye(len(points)) - alpha * graph.toarray())


def mom(
    rows: np.ndarray,
    *,
    given: np.ndarray,
    seed: int,
    k: Annotated[int, Range(1, 1000, integer=True)] = 50,
    graph: Annotated[int, ASKED] = 30,
    alpha: Annotated[float, ALPHA] = 0.99,
) -> Guess:
    """Pairs about which manifold and descriptor disagree, for anchors that stand for the pictures around them.

    Anchors are local maxima of the stationary distribution, see `stationary`. Positives of an anchor are those of its
    `k` nearest on the manifold that are not among its `k` nearest by descriptor; negatives the other way round; of each
    at most the 50 nearest.

    It needs thousands of pictures, and many of each object. With few, an anchor stands for a whole object and few are
    left; and its `k` nearest on the manifold end in other objects, so that positives are mostly wrong: what both
    similarities agree on, the good part, is left out.

    Parameters
    ----------
    k : nearest that are compared.
    graph : neighbours of the graph.
    alpha : how much spreads; the nearer to 1, the farther.

    Raises
    ------
    ValueError : `k` or `graph` is not less than the rows; no anchor has both positives and negatives.

    References
    ----------
    Iscen, Tolias, Avrithis and Chum, "Mining on manifolds: metric learning without labels", CVPR 2018.
    """
    shown = with_descriptor(rows)
    for name, value in (("k", k), ("graph", graph)):
        check_fewer("mom", name, value, len(shown))
    if len(shown) < MANY:
        warnings.warn(
            f"mom: it needs thousands of pictures, got {len(shown)}; look at the precision of its pairs, or take "
            "labels 'mutual'.",
            stacklevel=3,
        )
    gallery = Gallery(half_whitened(rows[shown]))
    affinities = mutual_graph(gallery, graph, GAMMA)
    anchors = local_maxima(affinities, stationary(affinities))
    pairs = disagreeing(gallery, symmetrically_normalised(affinities), anchors, k, alpha)
    if not np.intersect1d(pairs[0][:, 0], pairs[1][:, 0]).size:
        raise ValueError(
            f"mom: none of {len(anchors)} anchors among {len(shown)} rows has both positives and negatives: manifold "
            f"and descriptor agree on its {k} nearest; take more pictures, another k, or labels 'mutual'."
        )
    return Guess(positives=shown[pairs[0]], negatives=shown[pairs[1]])


def stationary(affinities: Any) -> np.ndarray:
    """Probability (n,) to be at each row after a long random walk that goes from i to j with A_ij / Σ_j A_ij.

    A is symmetric, so that it is each row's share of all affinities, Σ_j A_ij / Σ_ij A_ij. Parts that are not connected
    with each other keep that share; a row without neighbours has none.
    """
    degrees = np.asarray(affinities.sum(axis=1)).ravel()
    return degrees / max(degrees.sum(), np.finfo(float).tiny)


def local_maxima(graph: Any, values: np.ndarray) -> np.ndarray:
    """Rows whose value (n,) is positive and none of whose neighbours in a sparse graph (n, n) has a larger one."""
    highest = np.zeros(len(values))
    np.maximum.at(highest, row_numbers(graph), values[graph.indices])
    return np.flatnonzero((values > 0) & (values >= highest))


def disagreeing(
    gallery: Gallery, walk: Any, anchors: np.ndarray, k: int, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (P, 2) of anchors (a,) that are near on the manifold alone, and (Q, 2) that are near by descriptor alone.

    Parameters
    ----------
    walk : S (n, n), sparse.
    """
    images, cosines = gallery.neighbours(k)
    found: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for part in blocks(len(anchors), SPREAD // len(gallery)):
        for anchor, near in zip(anchors[part], _along_manifold(walk, anchors[part], k, alpha), strict=True):
            own = images[anchor, cosines[anchor] > -np.inf]
            for pairs, some, others in zip(found, (near, own), (own, near), strict=True):
                chosen = some[~np.isin(some, others)][:MOST_PAIRS]
                pairs.append(np.stack([np.full(len(chosen), anchor), chosen], axis=1))
    none = np.zeros((0, 2), np.int64)
    positives, negatives = (np.concatenate([none, *pairs]).astype(np.int64) for pairs in found)
    return positives, negatives


def _along_manifold(walk: Any, anchors: np.ndarray, k: int, alpha: float) -> list[np.ndarray]:
    """The at most `k` other rows that are nearest to each anchor (a,) on the manifold, nearest first."""
    each = np.arange(len(anchors))
    seeds = np.zeros((len(anchors), walk.shape[0]))
    seeds[each, anchors] = 1
    similar = solved(walk, seeds, alpha)
    similar[each, anchors] = 0
    order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    return [one[values[one] > 0] for one, values in zip(order, similar, strict=True)]
