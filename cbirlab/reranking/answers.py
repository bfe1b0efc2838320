"""Answers: what a search found and what it searched, as one method of re-ranking hands it to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np

from cbirlab.index.exact import ExactIndex
from cbirlab.index.ranking import Ranking, blocks
from cbirlab.index.rescoring import reorder
from cbirlab.reranking.gallery import ELEMENTS, Gallery, products
from cbirlab.whitening import normalise


class Pictures(Protocol):
    """Local features of the pictures behind a search, described once and kept.

    Kinds are "keypoints", `cbirlab.reranking.keypoints.Keypoints`, and "maps/1", the deepest maps of the network (C, H,
    W), "maps/2", those before, and so on.
    """

    @property
    def seconds(self) -> float:
        """What it took to describe pictures, so far."""
        ...

    def of_queries(self, kind: str, queries: Sequence[int]) -> list[Any]:
        """Features of this kind for some queries of the dataset, cut as their descriptors are."""
        ...

    def of_images(self, kind: str, images: Sequence[int]) -> list[Any]:
        """Features of this kind for some rows of the database; empty ones where there is no picture."""
        ...


@dataclass(frozen=True, eq=False)
class Answers:
    """What a search found for some queries, and what it searched.

    Attributes
    ----------
    queries : (Q, D) float64, L2-normalised; a row of zeros has no answer.
    gallery : the database.
    search : finds the first k images for rows (Q, D), as the ranking was found.
    ranking : (Q, K) database rows and scores. Only these images are re-ranked; a new search may find others.
    own : (Q,) row of the database that is the query itself, -1 if there is none. It never counts as its neighbour.
    asked : (Q,) the number of each query in its dataset, -1 for one from elsewhere.
    pictures : None if there are only descriptors.
    learned : gives what a method has learned on the learning set; None where there is none.
    evidence : what the methods tell about their work, by name: "neighbours" (Q, k) and "weights" (Q, k), what was added
        to the query and how much it counted; "verified" (Q, M) images, and "inliers" (Q, M) for each.
    """

    queries: np.ndarray
    gallery: Gallery
    search: Callable[[np.ndarray, int], Ranking]
    ranking: Ranking
    own: np.ndarray
    asked: np.ndarray
    pictures: Pictures | None = None
    learned: Callable[[Any], Mapping[str, np.ndarray]] | None = None
    evidence: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of_exact(cls, queries: np.ndarray, gallery: Gallery, k: int | None = None) -> Self:
        """What an exact search finds for rows (Q, D) from elsewhere, L2-normalised: the first `k` images, or all."""
        search, none = ExactIndex().fit(gallery.rows).search, np.full(len(queries), -1)
        return cls(
            np.asarray(queries, np.float64),
            gallery,
            search,
            search(queries, len(gallery) if k is None else k),
            none,
            none,
        )

    def __len__(self) -> int:
        return len(self.queries)

    def learned_by(self, method: Any) -> Mapping[str, np.ndarray]:
        """What a method, a `Reranking`, has learned.

        Raises
        ------
        ValueError : there is no learning set.
        """
        if self.learned is None:
            raise ValueError(
                f"rerank: {method} learns from the labels of a learning set, and here are only the descriptors that "
                "are searched; take a Recipe."
            )
        learned = self.learned
        return self.gallery.prepared(("learned", method), lambda: learned(method))

    def nearest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `k` results of every query, without its own picture.

        Returns
        -------
        images (Q, k) and their cosines (Q, k) with the query, float64; -inf where there is no answer. Fewer than `k`
        where the lists are shorter.
        """
        short, scores = self.ranking.images[:, : k + 1], self.ranking.scores
        own = np.equal(short, self.own[:, None])
        order = np.argsort(own, axis=1, kind="stable")[:, :k]
        there = ~np.take_along_axis(own, order, 1) & (np.take_along_axis(scores, order, 1) > -np.inf)
        chosen = np.take_along_axis(short, order, 1)
        return chosen, np.where(there, products(self.queries, self.gallery.rows, chosen), -np.inf)

    def cosines(self) -> np.ndarray:
        """Cosines (Q, K) of the query with every listed image, float64; its own picture has its true one.

        Those of equal images may differ by rounding, which float32 does not show.
        """
        images, rows = self.ranking.images, self.gallery.rows
        if images.shape[1] < len(rows):
            return products(self.queries, rows, images)
        found, wide = np.empty(images.shape), np.asarray(rows, np.float64)  # complete lists are of small databases
        for part in blocks(len(images), ELEMENTS // len(rows)):
            found[part] = np.take_along_axis(self.queries[part] @ wide.T, images[part], 1)
        return found

    def searched(self, queries: np.ndarray, **evidence: np.ndarray) -> Self:
        """The answers if other rows (Q, D) are searched in place of the queries; rows of zeros keep theirs."""
        kept = np.all([queries.any(axis=1), self.queries.any(axis=1)], axis=0)
        rows = np.where(kept[:, None], normalise(queries), self.queries)
        ranking = self.search(rows, self.ranking.images.shape[1])
        return replace(self, queries=rows, ranking=ranking, evidence={**self.evidence, **evidence})

    def scored(self, scores: np.ndarray, **evidence: np.ndarray) -> Self:
        """The answers with their first M results in the order of other scores (Q, M), equal ones by image index.

        Scores must be finite. What was no answer stays none.
        """
        ranking = reorder(self.ranking, scores)
        return replace(self, ranking=ranking, evidence={**self.evidence, **evidence})
