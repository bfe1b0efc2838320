"""SuperGlobal: the first images are refined by their neighbours among them, and the query by the best of these."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from cbirlab.base.params import Range
from cbirlab.reranking.answers import Answers


def super_global(
    answers: Answers,
    *,
    top: Annotated[int, Range(1, 5000, integer=True)] = 400,
    k: Annotated[int, Range(0, 50, integer=True)] = 3,
    beta: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.15,
) -> Answers:
    """Score (q · r + e · r) / 2 of the first images, with r = (x + β Σ s_j x_j) / (1 + β Σ s_j) of the image x.

    The sums are over the k nearest others of x among the first ones, and s_j = max(x · x_j, 0), which the authors' code
    does not clip. e is the element-wise maximum of the k + 1 rows r that are nearest to the query. This is what the
    authors' code does; in their paper e holds the query too. The images that follow keep their order.

    Parameters
    ----------
    top : how many images are scored.
    k : neighbours of an image among them.
    beta : how much an image is drawn towards its neighbours.
    """
    images, answered = (part[:, :top] for part in (answers.ranking.images, answers.ranking.scores > -np.inf))
    scores = np.zeros(images.shape)
    for query, (some, there) in enumerate(zip(images, answered, strict=True)):
        order = np.argsort(some[there])  # so that the first of equal ones is that of the lower index
        some, other = some[there][order], some[there][order] != answers.own[query]
        if other.any():
            found = _scores(answers.queries[query], np.asarray(answers.gallery.rows[some], np.float64), other, k, beta)
            scores[query, np.flatnonzero(there)[order]] = found
    return answers.scored(scores)


def _scores(query: np.ndarray, rows: np.ndarray, other: np.ndarray, k: int, beta: float) -> np.ndarray:
    """Scores (M,) of rows (M, D) for a query (D,); only `other` ones (M,) are neighbours, not the query's own."""
    cosines = rows @ rows.T
    free = np.where(other, cosines, -np.inf).astype(np.float32)
    np.fill_diagonal(free, -np.inf)
    sums, weights, every = rows.copy(), np.ones(len(rows)), np.arange(len(rows))
    for _ in range(min(k, len(rows) - 1)):
        nearest = free.argmax(axis=1)
        weight = np.where(free[every, nearest] > -np.inf, beta * np.maximum(cosines[every, nearest], 0), 0.0)
        sums += weight[:, None] * rows[nearest]
        weights += weight
        free[every, nearest] = -np.inf
    refined = sums / weights[:, None]
    first = refined @ query
    best = np.argsort(np.where(other, -first, np.inf).astype(np.float32), kind="stable")[: min(k + 1, other.sum())]
    return (first + refined @ refined[best].max(axis=0)) / 2
