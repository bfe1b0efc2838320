"""Diffusion: the similarity to a query spreads along the graph of images that are each other's neighbours.

With the affinities A of that graph and S = D^-1/2 A D^-1/2, the methods give f = (I - αS)^-1 y or come near it. y is
max(s, 0)^γ at the nearest images of the query. Images that f never reaches follow by their cosine with the query, which
is lowered by 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range
from cbirlab.index.ranking import blocks
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.graph import mutual_graph, powers, sparse_lists, symmetrically_normalised

K, SEEDS = Range(1, 200, integer=True), Range(1, 200, integer=True)
ALPHA, GAMMA, STEPS = Range(0.0, 0.999, step=0.01), Range(0.0, 100.0, step=0.5), Range(1, 1000, integer=True)

SPREAD = 2**19
"""Numbers (Q, N) that spread at a time; more of them would not stay near the processor."""

SOLVED = 1e-26
"""Part of the square of its first residual at which a query counts as solved."""

UNREACHED = 1e-9
"""Part of the largest value of a query up to which an image counts as not reached."""

MOST_DENSE = 5_000
"""Images of which a matrix is held that is not sparse."""


def diffusion(
    answers: Answers,
    *,
    k: Annotated[int, K] = 20,
    kq: Annotated[int, SEEDS] = 5,
    alpha: Annotated[float, ALPHA] = 0.9,
    gamma: Annotated[float, GAMMA] = 3.0,
    steps: Annotated[int, STEPS] = 3,
    truncate: Annotated[int, Range(0, 100_000, integer=True)] = 0,
) -> Answers:
    """Diffusion by conjugate gradients from zero, for each query; see the module for f.

    Parameters
    ----------
    k : neighbours of an image, itself not counted (the authors' lists hold it, so that their 50 is 49 here).
    kq : images at which a query starts.
    alpha : how much spreads; the nearer to 1, the farther.
    gamma : exponent of affinities.
    steps : of conjugate gradients. Few steps reach only what is near, which may rank better than the solution.
    truncate : 0, or how many of the first results make up the graph; their degrees are computed anew.
    """
    gallery = answers.gallery
    if truncate:
        return _truncated(answers, k, kq, alpha, gamma, steps, truncate)
    graph = _graph(gallery, k, gamma)

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return _solved(graph, _dense(images, weights, len(gallery)), alpha, steps)

    return _diffused(answers, kq, gamma, spread)


def diffusion_offline(
    answers: Answers,
    *,
    k: Annotated[int, K] = 20,
    kq: Annotated[int, SEEDS] = 5,
    alpha: Annotated[float, ALPHA] = 0.9,
    gamma: Annotated[float, GAMMA] = 3.0,
    truncate: Annotated[int, Range(1, 10_000, integer=True)] = 1000,
) -> Answers:
    """Diffusion by columns of (I - αS)^-1 that are stored: f is the sum of those of the query's nearest images.

    The column of an image is solved on its nearest images only, with the degrees of the whole graph.

    Parameters
    ----------
    k, kq, alpha, gamma : see `diffusion`.
    truncate : how many images a column has at most, itself among them.
    """
    gallery = answers.gallery
    columns = gallery.prepared(
        ("diffusion_offline", k, alpha, gamma, truncate), lambda: _columns(gallery, k, alpha, gamma, truncate)
    )

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = sparse_lists(images, weights > 0, weights, len(gallery)) @ columns
        return found if isinstance(found, np.ndarray) else found.toarray()

    return _diffused(answers, kq, gamma, spread)


def diffusion_spectral(
    answers: Answers,
    *,
    k: Annotated[int, K] = 20,
    kq: Annotated[int, SEEDS] = 5,
    alpha: Annotated[float, ALPHA] = 0.9,
    gamma: Annotated[float, GAMMA] = 3.0,
    rank: Annotated[int, Range(1, 1000, integer=True)] = 200,
) -> Answers:
    """Diffusion by the leading eigenvectors U and eigenvalues Λ of S: f ≈ U (I - αΛ)^-1 Uᵀ y.

    Parameters
    ----------
    k, kq, alpha, gamma : see `diffusion`; another alpha needs no new eigenvectors.
    rank : eigenvectors that are kept. Each part of the graph that is not connected with the others has one of
        eigenvalue 1; with fewer than there are parts, some are lost.
    """
    gallery = answers.gallery
    values, vectors = gallery.prepared(
        ("diffusion_spectral", k, gamma, rank), lambda: _leading(_graph(gallery, k, gamma), rank)
    )

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        places = np.einsum("qk,qkr->qr", weights, vectors[images])
        return (places / (1 - alpha * values)) @ vectors.T

    return _diffused(answers, kq, gamma, spread)


def rdp(
    answers: Answers,
    *,
    k: Annotated[int, K] = 20,
    kq: Annotated[int, SEEDS] = 5,
    alpha: Annotated[float, ALPHA] = 0.9,
    gamma: Annotated[float, GAMMA] = 3.0,
    steps: Annotated[int, STEPS] = 20,
) -> Answers:
    """Regularised diffusion on the tensor product graph: A := α S A Sᵀ + (1 - α) I from A = I; f = A y.

    S is symmetric, so that A is a polynomial in S², and f := α S² f + (1 - α) y from f = y gives the same without the
    dense matrix A.

    Parameters
    ----------
    k, kq, alpha, gamma : see `diffusion`.
    steps : how often A is replaced.
    """
    graph = _graph(answers.gallery, k, gamma)

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        seeds = _dense(images, weights, len(answers.gallery))
        found = seeds
        for _ in range(steps):
            found = alpha * _along(graph, _along(graph, found)) + (1 - alpha) * seeds
        return found

    return _diffused(answers, kq, gamma, spread)


def conjugate_gradients(graph: Any, seeds: np.ndarray, alpha: float) -> Iterator[np.ndarray]:
    """Solve (I - αS) f = y for many queries at once, and show f after each step.

    Parameters
    ----------
    graph : (N, N) S, symmetric and sparse.
    seeds : (Q, N) y of each query.

    Yields
    ------
    (Q, N) f. It begins with the first step from zero, and ends when all queries are solved; a query that is solved, as
    one without seeds is at once, stays as it is. No query depends on the others.
    """
    found, residual, direction = np.zeros(seeds.shape), seeds.copy(), seeds.copy()
    length = (residual * residual).sum(axis=1)
    least = SOLVED * length
    while (live := length > least).any():
        image = direction - alpha * _along(graph, direction)
        step = _quotient(length, (direction * image).sum(axis=1), live)
        found = found + step * direction
        residual -= step * image
        before, length = length, (residual * residual).sum(axis=1)
        direction = residual + _quotient(length, before, live) * direction
        yield found


def _quotient(numbers: np.ndarray, others: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Quotients (Q, 1), and 0 for queries that are solved."""
    return np.divide(numbers, others, out=np.zeros(len(numbers)), where=live)[:, None]


def _along(graph: Any, values: np.ndarray) -> np.ndarray:
    """Products (Q, N) of a symmetric sparse graph with the values (Q, N) of each query.

    In the order of rows, as sums along them need it: then those of one query do not depend on how many there are.
    """
    return np.ascontiguousarray((graph @ values.T).T)


def _graph(gallery: Gallery, k: int, gamma: float) -> Any:
    return gallery.prepared(("diffusion", k, gamma), lambda: symmetrically_normalised(_affinities(gallery, k, gamma)))


def _affinities(gallery: Gallery, k: int, gamma: float) -> Any:
    return gallery.prepared(("affinities", k, gamma), lambda: mutual_graph(gallery, k, gamma))


def _diffused(
    answers: Answers, kq: int, gamma: float, spread: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Answers:
    """The answers by what spreads (Q, N) from seeds, images (Q, kq) and their weights (Q, kq)."""
    images, cosines = answers.nearest(kq)
    weights, listed = powers(cosines, gamma), answers.ranking.images
    found = np.empty(listed.shape)
    for part in blocks(len(answers), SPREAD // len(answers.gallery)):
        found[part] = np.take_along_axis(spread(images[part], weights[part]), listed[part], 1)
    return answers.scored(_with_the_rest(found, answers.cosines()))


def _with_the_rest(found: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """f (Q, K), and below it the cosine less 1 where an image was not reached."""
    reached = found > UNREACHED * np.maximum(found.max(axis=1, keepdims=True), 0)
    return np.where(reached, found, np.minimum(cosines, 1) - 1)


def _truncated(answers: Answers, k: int, kq: int, alpha: float, gamma: float, steps: int, truncate: int) -> Answers:
    """The answers by the graph of the first `truncate` results of each query."""
    images, cosines = answers.nearest(kq)
    affinities, seeds = _affinities(answers.gallery, k, gamma), powers(cosines, gamma)
    found = np.zeros(answers.ranking.images.shape)
    for query, listed in enumerate(answers.ranking.images[:, :truncate]):
        graph = symmetrically_normalised(affinities[listed][:, listed])
        start = _dense(images[query : query + 1], seeds[query : query + 1], len(answers.gallery))[:, listed]
        found[query, : len(listed)] = _solved(graph, start, alpha, steps)
    return answers.scored(_with_the_rest(found, answers.cosines()))


def _columns(gallery: Gallery, k: int, alpha: float, gamma: float, truncate: int) -> Any:
    """Columns of the inverse as rows (N, N), sparse unless they are all of a small database."""
    graph, size = _graph(gallery, k, gamma), len(gallery)
    if truncate >= size and size <= MOST_DENSE:
        return np.linalg.inv(np.eye(size) - alpha * graph.toarray())
    near, cosines = gallery.neighbours(truncate - 1)
    images, values = [], []
    for row in range(size):
        some = np.concatenate([[row], near[row, cosines[row] > -np.inf]])
        found = _solved(graph[some][:, some], np.eye(1, len(some)), alpha)[0]
        images.append(some[found != 0])
        values.append(found[found != 0])
    from scipy.sparse import csr_array

    ends = np.concatenate([[0], np.cumsum([len(one) for one in images])])
    return csr_array((np.concatenate(values), np.concatenate(images), ends), shape=(size, size))


def _leading(graph: Any, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues (R,) of a symmetric sparse graph and their eigenvectors (N, R)."""
    size = graph.shape[0]
    if size <= 2 * rank or size <= 1000:
        values, vectors = np.linalg.eigh(graph.toarray())
        return values[-rank:], vectors[:, -rank:]
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(0).standard_normal(size)  # not all alike: it would be an eigenvector of some graphs
    found: Any = eigsh(graph, rank, which="LA", v0=start)
    return found


def _dense(images: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Seeds (Q, N) with weights (Q, kq) at images (Q, kq)."""
    seeds = np.zeros((len(images), size))
    np.put_along_axis(seeds, images, weights, 1)
    return seeds


def _solved(graph: Any, seeds: np.ndarray, alpha: float, steps: int | None = None) -> np.ndarray:
    """What conjugate gradients give after so many steps, or in the end (Q, N)."""
    found = np.zeros(seeds.shape)
    for found in islice(conjugate_gradients(graph, seeds, alpha), steps):  # noqa: B007
        pass
    return found
