"""k-reciprocal re-ranking: images are alike if their neighbourhoods are, of those that list each other.

The database is encoded once, each image as a sparse vector over its neighbourhood. Each query is then encoded for
itself, as if the database did not know it, so that its answer does not depend on which other queries are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Choice, Range
from cbirlab.index.ranking import blocks
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import ELEMENTS, Gallery
from cbirlab.reranking.graph import joined, row_numbers, row_scaled, sparse_lists, with_own, would_list
from cbirlab.reranking.neighbours import ASKED

SAME = 1e-12
"""A squared distance up to this is rounding: where all are so near, none is farther than another."""


def k_reciprocal(
    answers: Answers,
    *,
    k1: Annotated[int, ASKED] = 10,
    k2: Annotated[int, ASKED] = 3,
    share: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.6,
    joint: Annotated[bool, Choice((True, False))] = False,
) -> Answers:
    """k-reciprocal encoding: -((1 - λ) J + λ D), with squared distances D and the Jaccard distance J of neighbourhoods.

    D is divided by its largest value in the row. N(i, k) is i and its k nearest others; R(i, k) are those of N(i, k)
    that have i in theirs. R(i, k1) takes up R(j, k1/2) of each of its j if it holds more than 2/3 of it. V_ij is
    exp(-D_ij) there; rows of V sum to 1 and are averaged over the first k2 of i's list, i being the first. With
    m = Σ_g min(V_qg, V_xg), J = 1 - m / (2 - m).

    Parameters
    ----------
    k1 : neighbours of an image that are asked whether it is theirs; half of it is rounded to even.
    k2 : vectors that are averaged; 1 is only its own.
    share : λ, how much the plain distance counts.
    joint : as published, all queries and the database share one matrix, so that queries are each other's neighbours,
        and an answer depends on which others are asked. Otherwise (an extension of ours) a query is in N(i, k) if it is
        nearer than the k-th of i, and the database stays as it is.

    Raises
    ------
    ValueError : `joint` in a database of more than 5,000 images.
    """
    vectors, columns, farthest = (_joint if joint else _alone)(answers, k1, k2)
    images, common = answers.ranking.images, np.empty(answers.ranking.images.shape)
    meetings = np.bincount(row_numbers(vectors), np.diff(columns.indptr)[vectors.indices], minlength=1)
    for part in blocks(len(answers), ELEMENTS // int(max(*columns.shape, meetings.max()))):
        common[part] = np.take_along_axis(_common(vectors[part], columns), images[part], 1)
    jaccard = 1 - common / (2 - common)
    return answers.scored(-((1 - share) * jaccard + share * _distances(answers.cosines(), farthest[:, None])))


@dataclass(frozen=True, eq=False)
class Encoded:
    """A database (N, D), encoded.

    Attributes
    ----------
    reach : (N,) cosine of every image with the k1-th of its list.
    half : (N, N) R(i, k1 / 2), 0 or 1.
    plain : (N, N) the vectors V before they are averaged.
    columns : (N, N) those after, by columns.
    farthest : (N,) the largest squared distance of every image.
    """

    reach: np.ndarray
    half: Any
    plain: Any
    columns: Any
    farthest: np.ndarray


def _encode(gallery: Gallery, k1: int, k2: int) -> Encoded:
    images, cosines = gallery.neighbours(max(k1, k2 - 1))
    there, own = cosines > -np.inf, np.arange(len(gallery))

    def reciprocal(k: int) -> Any:
        lists = sparse_lists(*with_own(own, images[:, :k], there[:, :k]), 1.0, len(own))
        return lists.multiply(lists.T).tocsr()

    half, farthest = reciprocal(round(k1 / 2)), _farthest(gallery.rows, gallery)
    plain = _weighted(_grown(reciprocal(k1), half), gallery.rows, gallery, own, farthest)
    near = sparse_lists(images[:, : k2 - 1], there[:, : k2 - 1], 1.0, len(own))
    return Encoded(gallery.reach(k1), half, plain, _averaged(plain, near, plain).tocsc(), farthest)


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """What queries (Q) make of an encoded database (N).

    Attributes
    ----------
    core : (Q, N) R(q, k1), 0 or 1; it holds the query itself if that is in the database.
    grown : (Q, N) the same with what it has taken up; not 0 at its members.
    vectors : (Q, N) V.
    farthest : (Q,) the largest squared distance of each query.
    database : what was encoded once.
    """

    core: Any
    grown: Any
    vectors: Any
    farthest: np.ndarray
    database: Encoded


def encode_alone(answers: Answers, k1: int, k2: int) -> Neighbourhoods:
    """Encode each query for itself; see `k_reciprocal`."""
    gallery, own = answers.gallery, answers.own
    kept = gallery.prepared(("k_reciprocal", k1, k2), lambda: _encode(gallery, k1, k2))
    images, cosines = answers.nearest(max(k1, k2 - 1))
    there, farthest = cosines > -np.inf, _farthest(answers.queries, gallery)
    mutual = would_list(cosines[:, :k1], kept.reach[images[:, :k1]], own[:, None] >= 0)
    core = sparse_lists(*with_own(own, images[:, :k1], mutual), 1.0, len(gallery))
    grown = _grown(core, kept.half)
    vectors = _weighted(grown, answers.queries, gallery, own, farthest)
    near = sparse_lists(images[:, : k2 - 1], there[:, : k2 - 1], 1.0, len(gallery))
    return Neighbourhoods(core, grown, _averaged(vectors, near, kept.plain), farthest, kept)


def _alone(answers: Answers, k1: int, k2: int) -> tuple[Any, Any, np.ndarray]:
    """Vectors of the queries (Q, N), those of the database by columns, and the queries' largest squared distances."""
    found = encode_alone(answers, k1, k2)
    return found.vectors, found.database.columns, found.farthest


def _joint(answers: Answers, k1: int, k2: int) -> tuple[Any, Any, np.ndarray]:
    """As `_alone`, but the vectors are also over the queries, which count among the farthest too."""
    both, places = joined(answers, "k_reciprocal")
    kept, first = _encode(both, k1, k2), len(both) - len(answers.gallery)
    vectors = kept.columns.tocsr()
    return vectors[places], vectors[first:].tocsc(), kept.farthest[places]


def _grown(base: Any, half: Any) -> Any:
    """Neighbourhoods `base` (Q, N) with the smaller ones `half` (N, N) of those in them that mostly lie in them."""
    inside = (base @ half.T).multiply(base).tocsr()  # |R(q) ∩ R(j, k1 / 2)| for each j of R(q)
    inside.data = (3 * inside.data > 2 * np.diff(half.indptr)[inside.indices]).astype(float)
    grown = (base + inside @ half).tocsr()
    grown.sort_indices()
    return grown


def _weighted(members: Any, queries: np.ndarray, gallery: Gallery, own: np.ndarray, farthest: np.ndarray) -> Any:
    """exp(-D) at the members (Q, N) of neighbourhoods, divided by their sum; what is `own` (Q,) has the distance 0.

    A query that is not in the database (-1) counts in the sum, though it has no column.
    """
    rows, images = row_numbers(members), members.indices
    cosines = np.empty(len(images))
    for part in blocks(len(images), ELEMENTS // gallery.rows.shape[1]):
        left, right = queries[rows[part]], gallery.rows[images[part]]
        cosines[part] = np.einsum("nd,nd->n", np.asarray(left, np.float64), np.asarray(right, np.float64))
    weights = np.exp(-np.where(images == own[rows], 0.0, _distances(cosines, farthest[rows])))
    sums = np.bincount(rows, weights, minlength=len(own)) + (own < 0)
    return type(members)((weights / sums[rows], images, members.indptr), members.shape)


def _averaged(vectors: Any, near: Any, plain: Any) -> Any:
    """The mean of vectors (Q, N) and of those `near` them (Q, N) in the database, whose vectors are `plain`."""
    return row_scaled((vectors + near @ plain).tocsr(), 1 / (1 + np.diff(near.indptr)))


def _common(vectors: Any, columns: Any) -> np.ndarray:
    """Sums (Q, N) of the smaller of two entries, of vectors (Q, G) and of vectors (N, G) that are given by columns."""
    first, many = columns.indptr[vectors.indices], np.diff(columns.indptr)[vectors.indices]
    # entry n of the vectors meets the entries first[n] to first[n] + many[n] of the columns
    met = np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum())
    smaller = np.minimum(np.repeat(vectors.data, many), columns.data[met])
    shape = (vectors.shape[0], columns.shape[0])
    cells = np.repeat(row_numbers(vectors), many) * shape[1] + columns.indices[met]
    return np.bincount(cells, smaller, minlength=shape[0] * shape[1]).reshape(shape)


def _distances(cosines: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """Squared distances of unit rows as parts of the largest one; 0 if that is 0."""
    squared = np.maximum(2 - 2 * cosines, 0)
    return np.divide(squared, farthest, out=np.zeros(squared.shape), where=farthest > SAME)


def _farthest(queries: np.ndarray, gallery: Gallery) -> np.ndarray:
    """The largest squared distance (Q,) of each query to an image that has a descriptor; 0 if none has."""
    rows, least = gallery.rows, np.full(len(queries), 1.0)
    described: np.ndarray = gallery.prepared("described", lambda: np.any(rows, axis=1))
    for some in blocks(len(queries), 1024):
        asked = np.asarray(queries[some], np.float64)
        for part in blocks(len(rows), ELEMENTS // max(1024, rows.shape[1])):
            cosines = np.where(described[part], asked @ np.asarray(rows[part], np.float64).T, np.inf)
            least[some] = np.minimum(least[some], cosines.min(axis=1))
    return np.maximum(2 - 2 * least, 0)
