"""Mutual: who lists whom among the nearest, whom the 2/3 rule brings in, and how far neighbourhoods overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cbirlab.reranking import Answers
from cbirlab.reranking.gallery import products
from cbirlab.reranking.graph import would_list
from cbirlab.reranking.k_reciprocal import Neighbourhoods, encode_alone


@dataclass(frozen=True, eq=False)
class Overlap:
    """The neighbourhoods of a query and of an image as weights V, each of sum 1.

    Attributes
    ----------
    images : (m,) rows that one of them holds, those with the largest smaller weight first.
    query, other : (m,) their weights; what the query's lack to 1 is the weight of a query from outside the database.
    """

    images: np.ndarray
    query: np.ndarray
    other: np.ndarray

    @property
    def common(self) -> np.ndarray:
        """(m,) the smaller weight of each image."""
        return np.minimum(self.query, self.other)

    @property
    def jaccard(self) -> float:
        """1 - m / (2 - m), with the sum m of what is common."""
        common = float(self.common.sum())
        return 1 - common / (2 - common)


@dataclass(frozen=True, eq=False)
class Mutual:
    """A query and the images around it, in k-reciprocal encoding; the query is number 0, image i number i + 1.

    Attributes
    ----------
    images : (n,) rows: first the nearest of the query, then those that only the 2/3 rule brings in.
    near : how many are the nearest.
    lists : (n + 1, n + 1) whether the row lists the column among its nearest; everybody lists itself.
    core : (n + 1,) R(q): who lists the query and is listed by it.
    brought : (n + 1, n + 1) whether the row, of R(q), has more than 2/3 of its smaller neighbourhood in R(q), and
        brings the column in, which is not in R(q).
    encoded : what the query makes of the database.
    """

    images: np.ndarray
    near: int
    lists: np.ndarray
    core: np.ndarray
    brought: np.ndarray
    encoded: Neighbourhoods

    @property
    def grown(self) -> np.ndarray:
        """(n + 1,) R*(q): R(q) and whom it has taken up."""
        return self.core | self.brought.any(axis=0)

    @property
    def jaccard(self) -> np.ndarray:
        """(n,) Jaccard distances of the images from the query."""
        query = self.encoded.vectors[[0]].toarray()
        common = np.minimum(query, self.encoded.database.columns[self.images].toarray()).sum(axis=1)
        return 1 - common / (2 - common)

    def overlap(self, image: int) -> Overlap:
        """How the neighbourhood of any image of the database overlaps with that of the query."""
        query = self.encoded.vectors[[0]].toarray()[0]
        other = self.encoded.database.columns[[image]].toarray()[0]
        held = np.flatnonzero(query + other)
        order = held[np.argsort(-np.minimum(query, other)[held], kind="stable")]
        return Overlap(order, query[order], other[order])


def mutual_neighbours(answers: Answers, k1: int, k2: int) -> Mutual:
    """Who lists whom around the one query of some answers; the parameters are those of `k_reciprocal`."""
    encoded = encode_alone(answers, k1, k2)
    nearest, cosines = (part[0] for part in answers.nearest(k1))
    nearest = nearest[cosines > -np.inf].tolist()
    core, half = _members(encoded.core, 0), encoded.database.half
    bringing: dict[int, set[int]] = {}
    for image in core:
        smaller = _members(half, image)
        if 3 * len(smaller & core) > 2 * len(smaller):
            bringing[image] = smaller - core
    images = [*nearest, *sorted(set().union(*bringing.values()) - {*nearest})]
    number = {image: at for at, image in enumerate(images, start=1)}
    brought = np.zeros((len(images) + 1, len(images) + 1), bool)
    for image, new in bringing.items():
        brought[number.get(image, 0), [number[one] for one in new]] = True
    lists = _lists(answers, np.array(images, np.int64), len(nearest), k1, encoded.database.reach)
    inside = np.array([True, *(image in core for image in images)])
    return Mutual(np.array(images, np.int64), len(nearest), lists, inside, brought, encoded)


def _lists(answers: Answers, images: np.ndarray, near: int, k1: int, reach: np.ndarray) -> np.ndarray:
    """Who lists whom, see `Mutual`; a query from outside is listed by whom it is nearer to than their last one."""
    found = np.eye(len(images) + 1, dtype=bool)
    found[0, 1 : near + 1] = True
    listed, cosines = answers.gallery.neighbours(k1)
    for at, image in enumerate(images.tolist(), start=1):
        found[at, 1:] |= np.isin(images, listed[image][cosines[image] > -np.inf])
    query = products(answers.queries, answers.gallery.rows, images[None])[0]  # as `reach` is summed: they may be equal
    found[1:, 0] = would_list(query, reach[images], np.broadcast_to(answers.own >= 0, query.shape))
    return found


def _members(matrix: Any, row: int) -> set[int]:
    """The columns of a row of a sparse matrix that are not 0."""
    start, end = matrix.indptr[row : row + 2]
    return {*matrix.indices[start:end].tolist()}
