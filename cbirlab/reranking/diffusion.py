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
from cbirlab.reranking.graph import mutual_graph, powers, symmetrically_normalised
from cbirlab.reranking.neighbours import ASKED

ALPHA, GAMMA, STEPS = Range(0.0, 0.999, step=0.01), Range(0.0, 100.0, step=0.5), Range(1, 1000, integer=True)

SPREAD = 2**19
"""Numbers (Q, N) that spread at a time; more of them would not stay near the processor."""

SOLVED = 1e-26
"""Part of the square of its first residual at which a query counts as solved."""

UNREACHED = 1e-9
"""Part of the largest value of a query up to which an image counts as not reached."""


def diffusion(
    answers: Answers,
    *,
    k: Annotated[int, ASKED] = 20,
    kq: Annotated[int, ASKED] = 5,
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
    gamma : exponent of affinities: the larger, the more only near neighbours count.
    steps : of the solution by conjugate gradients. Few steps reach only what is near, which may rank better than the
        solution.
    truncate : 0, or how many of the first results make up the graph; their degrees are computed anew.
    """
    gallery = answers.gallery
    if truncate:
        return _truncated(answers, k, kq, alpha, gamma, steps, truncate)
    graph = normalised_graph(gallery, k, gamma)

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return solved(graph, _dense(images, weights, len(gallery)), alpha, steps)

    return diffused(answers, kq, gamma, spread)


def rdp(
    answers: Answers,
    *,
    k: Annotated[int, ASKED] = 20,
    kq: Annotated[int, ASKED] = 5,
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
    graph = normalised_graph(answers.gallery, k, gamma)

    def spread(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        seeds = _dense(images, weights, len(answers.gallery))
        found = seeds
        for _ in range(steps):
            found = alpha * _along(graph, _along(graph, found)) + (1 - alpha) * seeds
        return found

    return diffused(answers, kq, gamma, spread)


def diffusion_steps(
    answers: Answers, *, k: int = 20, kq: int = 5, alpha: float = 0.9, gamma: float = 3.0
) -> Iterator[np.ndarray]:
    """f (Q, N) of every image after each step of `diffusion`, until all queries are solved; 0 was not reached."""
    images, cosines = answers.nearest(kq)
    seeds = _dense(images, powers(cosines, gamma), len(answers.gallery))
    return conjugate_gradients(normalised_graph(answers.gallery, k, gamma), seeds, alpha)


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


def normalised_graph(gallery: Gallery, k: int, gamma: float) -> Any:
    """S (N, N) of a database, see the module."""
    return gallery.prepared(("diffusion", k, gamma), lambda: symmetrically_normalised(mutual_graph(gallery, k, gamma)))


def diffused(
    answers: Answers, kq: int, gamma: float, spread: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Answers:
    """The answers by what spreads (Q, N) from seeds, images (Q, kq) and their weights (Q, kq)."""
    images, cosines = answers.nearest(kq)
    weights, listed = powers(cosines, gamma), answers.ranking.images
    found = np.empty(listed.shape)
    for part in blocks(len(answers), SPREAD // len(answers.gallery)):
        found[part] = np.take_along_axis(spread(images[part], weights[part]), listed[part], 1)
    return answers.scored(with_the_rest(found, answers.cosines()))


def with_the_rest(found: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """f (Q, K), and below it the cosine less 1 where an image was not reached."""
    return np.where(reached(found), found, np.minimum(cosines, 1) - 1)


def reached(found: np.ndarray) -> np.ndarray:
    """Where f (..., N) of a query is more than rounding."""
    return found > UNREACHED * np.maximum(found.max(axis=-1, keepdims=True), 0)


def _truncated(answers: Answers, k: int, kq: int, alpha: float, gamma: float, steps: int, truncate: int) -> Answers:
    """The answers by the graph of the first `truncate` results of each query."""
    gallery, (images, cosines) = answers.gallery, answers.nearest(kq)
    affinities = gallery.prepared(("affinities", k, gamma), lambda: mutual_graph(gallery, k, gamma))
    found, seeds = np.zeros(answers.ranking.images.shape), powers(cosines, gamma)
    for query, listed in enumerate(answers.ranking.images[:, :truncate]):
        graph = symmetrically_normalised(affinities[listed][:, listed])
        start = _dense(images[query : query + 1], seeds[query : query + 1], len(gallery))[:, listed]
        found[query, : len(listed)] = solved(graph, start, alpha, steps)
    return answers.scored(with_the_rest(found, answers.cosines()))


def _dense(images: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Seeds (Q, N) with weights (Q, kq) at images (Q, kq)."""
    seeds = np.zeros((len(images), size))
    np.put_along_axis(seeds, images, weights, 1)
    return seeds


def solved(graph: Any, seeds: np.ndarray, alpha: float, steps: int | None = None) -> np.ndarray:
    """What conjugate gradients give after so many steps, or in the end (Q, N)."""
    found = np.zeros(seeds.shape)
    for found in islice(conjugate_gradients(graph, seeds, alpha), steps):  # noqa: B007
        pass
    return found
