"""k-reciprocal re-ranking as a graph: lists of neighbours are propagated along neighbours by sparse products.

The database is propagated once. Each query then joins it alone, as one row and one column more: the lists of images
stay as they are, and so do the lengths by which their vectors are divided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Choice, Range
from cbirlab.index.ranking import blocks
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import ELEMENTS, Gallery, products
from cbirlab.reranking.graph import (
    column_scaled,
    joined,
    powers,
    row_numbers,
    row_scaled,
    sparse_lists,
    with_own,
    would_list,
)

HOPS = 2
"""How often lists are propagated."""

NEAR = 1e-9
"""Cosines that a matrix product gives are no farther than this from those that are summed alike for equal rows."""


def k_reciprocal_graph(
    answers: Answers,
    *,
    k1: Annotated[int, Range(2, 200, integer=True)] = 10,
    k2: Annotated[int, Range(1, 200, integer=True)] = 3,
    share: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.3,
    joint: Annotated[bool, Choice((True, False))] = False,
) -> Answers:
    """Re-ranking by propagated lists: (1 - λ) A_q · A_x + λ s.

    A holds 1 where an image lists another among its k1, itself included. Twice, A := P (A + Aᵀ), each row divided by
    its length, where P holds max(s, 0)² at the k2 nearest, itself included.

    Parameters
    ----------
    k1 : length of the lists, with the image itself.
    k2 : images along which lists are propagated, with the image itself; 1 is only itself.
    share : λ, how much the plain cosine counts.
    joint : as published, all queries and the database share one matrix, so that an answer depends on which other
        queries are asked. Otherwise (an extension of ours) each query joins the database alone, which keeps its lists:
        an image lists the query if it is nearer than the last of its list; only images of the ranking are asked.

    Raises
    ------
    ValueError : `joint` in a database of more than 5,000 images.
    """
    images, cosines = answers.ranking.images, answers.cosines()
    products_of = _joint(answers, k1, k2) if joint else _alone(answers, cosines, k1, k2)
    alike = np.empty(images.shape)
    for part in blocks(len(answers), ELEMENTS // len(answers.gallery)):
        alike[part] = np.take_along_axis(products_of[part].toarray(), images[part], 1)
    return answers.scored((1 - share) * alike + share * cosines)


@dataclass(frozen=True, eq=False)
class Propagated:
    """A database (N, D) after its lists are propagated; matrices are (N, N) and sparse.

    Attributes
    ----------
    reach : (N,) cosine of every image with the last of its list.
    weights : P, by columns: those of the images that give an image its weight.
    hops : for each hop, A + Aᵀ before it, and the lengths (N,) of the rows after it.
    columns : A in the end, by columns.
    """

    reach: np.ndarray
    weights: Any
    hops: tuple[tuple[Any, np.ndarray], ...]
    columns: Any


def _propagate(gallery: Gallery, k1: int, k2: int) -> Propagated:
    images, cosines = gallery.neighbours(max(k1, k2) - 1)
    own, size = np.arange(len(gallery)), len(gallery)
    there, hops = cosines > -np.inf, []
    vectors = sparse_lists(*with_own(own, images[:, : k1 - 1], there[:, : k1 - 1]), 1.0, size)
    values = np.concatenate([np.ones((size, 1)), powers(cosines[:, : k2 - 1], 2)], axis=1)
    weights = sparse_lists(*with_own(own, images[:, : k2 - 1], there[:, : k2 - 1]), values, size)
    for _ in range(HOPS):
        both = (vectors + vectors.T).tocsr()
        vectors = weights @ both
        lengths = np.sqrt(_squares(vectors))
        vectors = row_scaled(vectors, 1 / lengths)
        hops.append((both, lengths))
    return Propagated(gallery.reach(k1 - 1), weights.T.tocsr(), tuple(hops), vectors.T.tocsr())


def _alone(answers: Answers, cosines: np.ndarray, k1: int, k2: int) -> Any:
    """Products (Q, N) of the vector of each query with those of the images, if it joins them alone."""
    gallery, own, size = answers.gallery, answers.own, len(answers.gallery)
    kept = gallery.prepared(("k_reciprocal_graph", k1, k2), lambda: _propagate(gallery, k1, k2))
    images, nearest = answers.nearest(max(k1, k2) - 1)
    there, apart = nearest > -np.inf, (own < 0).astype(float)
    weights = sparse_lists(images[:, : k2 - 1], there[:, : k2 - 1], powers(nearest[:, : k2 - 1], 2), size)
    lists = sparse_lists(*with_own(own, images[:, : k1 - 1], there[:, : k1 - 1]), 1.0, size)
    both, corner = (lists + _listing(answers, cosines, kept.reach)).tocsr(), 2 * apart
    row = column = both
    for before, lengths in kept.hops:
        # the row of the query, its entry for itself, and its column: what it is to the images
        column = column_scaled(both @ kept.weights, 1 / lengths)
        row = (weights @ before + both).tocsr()
        corner = corner + apart * np.asarray(weights.multiply(both).sum(axis=1)).ravel()
        lengths = np.sqrt(_squares(row) + corner**2)
        row, corner = row_scaled(row, 1 / lengths), corner / lengths
        both, corner = (row + column).tocsr(), 2 * corner
    return (row @ kept.columns + row_scaled(column, corner / 2)).tocsr()


def _listing(answers: Answers, cosines: np.ndarray, reach: np.ndarray) -> Any:
    """1 where an image (Q, N) would list the query; its own picture lists itself."""
    images, own, rows = answers.ranking.images, answers.own, answers.gallery.rows
    there = answers.ranking.scores > -np.inf
    query, place = np.nonzero(there & (images != own[:, None]) & (cosines > reach[images] - NEAR))
    some = images[query, place]
    exact = products(answers.queries[query], rows, some[:, None])[:, 0]
    lists = np.zeros(images.shape, bool)
    lists[query, place] = would_list(exact, reach[some], own[query] >= 0)
    return sparse_lists(*with_own(own, images, lists), 1.0, len(rows))


def _joint(answers: Answers, k1: int, k2: int) -> Any:
    """Products (Q, N) as those of `_alone`, if all queries of the call join the database."""
    both, places = joined(answers, "k_reciprocal_graph")
    columns = _propagate(both, k1, k2).columns
    return (columns.T.tocsr()[places] @ columns[:, len(both) - len(answers.gallery) :]).tocsr()


def _squares(matrix: Any) -> np.ndarray:
    """Sums (Q,) of the squares of each row of a sparse matrix."""
    return np.bincount(row_numbers(matrix), matrix.data**2, minlength=matrix.shape[0])
