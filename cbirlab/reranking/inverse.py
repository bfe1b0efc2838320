"""Diffusion with the inverse prepared: (I - αS)^-1 by columns that are cut, or by the leading eigenvectors of S."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.diffusion import ALPHA, GAMMA, diffused, normalised_graph, solved
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.graph import sparse_lists
from cbirlab.reranking.neighbours import ASKED

MOST_EIGEN = 1_000
"""Images of which all eigenvectors are found, unless most of them are needed."""

MOST_DENSE = 5_000
"""Images of which a matrix is held that is not sparse."""


def diffusion_offline(
    answers: Answers,
    *,
    k: Annotated[int, ASKED] = 20,
    kq: Annotated[int, ASKED] = 5,
    alpha: Annotated[float, ALPHA] = 0.9,
    gamma: Annotated[float, GAMMA] = 3.0,
    truncate: Annotated[int, Range(1, 10_000, integer=True)] = 1000,
) -> Answers:
    """Diffusion by columns of (I - αS)^-1 that are stored: f is the sum of those of the query's nearest images.

    The column of an image is solved on its nearest images only, with the degrees of the whole graph.

    Parameters
    ----------
    k, kq, alpha, gamma : see `cbirlab.reranking.diffusion.diffusion`.
    truncate : how many images a column has at most, itself among them.
    """
    gallery = answers.gallery
    columns = gallery.prepared(
        ("diffusion_offline", k, alpha, gamma, truncate), lambda: _columns(gallery, k, alpha, gamma, truncate)
    )

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = sparse_lists(images, weights > 0, weights, len(gallery)) @ columns
        return found if isinstance(found, np.ndarray) else found.toarray()

    return diffused(answers, kq, gamma, spread)


def diffusion_spectral(
    answers: Answers,
    *,
    k: Annotated[int, ASKED] = 20,
    kq: Annotated[int, ASKED] = 5,
    alpha: Annotated[float, ALPHA] = 0.9,
    gamma: Annotated[float, GAMMA] = 3.0,
    rank: Annotated[int, Range(1, 1000, integer=True)] = 200,
) -> Answers:
    """Diffusion by the leading eigenvectors U and eigenvalues Λ of S: f ≈ U (I - αΛ)^-1 Uᵀ y.

    Parameters
    ----------
    k, kq, alpha, gamma : see `cbirlab.reranking.diffusion.diffusion`; another alpha needs no new eigenvectors.
    rank : eigenvectors that are kept. Each part of the graph that is not connected with the others has one of
        eigenvalue 1; with fewer than there are parts, some are lost.
    """
    gallery = answers.gallery
    values, vectors = gallery.prepared(
        ("diffusion_spectral", k, gamma, rank), lambda: _leading(normalised_graph(gallery, k, gamma), rank)
    )

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        places = (sparse_lists(images, weights > 0, weights, len(gallery)) @ vectors).toarray()
        return (vectors @ (places / (1 - alpha * values)).T).T

    return diffused(answers, kq, gamma, spread)


def _columns(gallery: Gallery, k: int, alpha: float, gamma: float, truncate: int) -> Any:
    """Columns of the inverse as rows (N, N), sparse unless they are all of a small database."""
    graph, size = normalised_graph(gallery, k, gamma), len(gallery)
    if truncate >= size and size <= MOST_DENSE:
        return np.linalg.inv(np.eye(size) - alpha * graph.toarray())
    near, cosines = gallery.neighbours(truncate - 1)
    images, values = [], []
    for row in range(size):
        some = np.concatenate([[row], near[row, cosines[row] > -np.inf]])
        found = solved(graph[some][:, some], np.eye(1, len(some)), alpha)[0]
        images.append(some[found != 0])
        values.append(found[found != 0])
    from scipy.sparse import csr_array

    ends = np.concatenate([[0], np.cumsum([len(one) for one in images])])
    return csr_array((np.concatenate(values), np.concatenate(images), ends), shape=(size, size))


def _leading(graph: Any, rank: int) -> tuple[np.ndarray, Any]:
    """The largest eigenvalues (R,) of a symmetric sparse graph and their eigenvectors, sparse (N, R).

    Those of each connected part are found alone: each has the eigenvalue 1, which all together would have many times.
    """
    from scipy.sparse import csc_array
    from scipy.sparse.csgraph import connected_components

    part = connected_components(graph, directed=False)[1]
    parts = np.split(np.argsort(part, kind="stable"), np.cumsum(np.bincount(part))[:-1])
    pairs = [_eigenpairs(graph[images][:, images], rank) for images in parts]
    values = np.concatenate([some for some, _ in pairs])
    first = np.argsort(-values.round(9), kind="stable")[:rank]
    columns = [(images, one) for images, (_, some) in zip(parts, pairs, strict=True) for one in some.T]
    images, vectors = zip(*(columns[one] for one in first), strict=True)
    ends = np.cumsum([0, *map(len, images)])
    found = csc_array((np.concatenate(vectors), np.concatenate(images), ends), shape=(len(part), len(first)))
    return values[first], found.tocsr()


def _eigenpairs(graph: Any, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues (R,) and their eigenvectors (N, R)."""
    size = graph.shape[0]
    if size <= max(2 * rank, MOST_EIGEN):
        values, vectors = np.linalg.eigh(graph.toarray())
        return values[-rank:], vectors[:, -rank:]
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(0).standard_normal(size)  # not all alike: it would be an eigenvector of some graphs
    found: Any = eigsh(graph, rank, which="LA", v0=start)
    return found
