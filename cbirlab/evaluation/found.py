"""Found: the places of a dataset's labelled images in ranked lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.labelled import Labelled
from cbirlab.evaluation.protocols import Level
from cbirlab.evaluation.ties import Equals, equals
from cbirlab.index import Ranking


@dataclass(frozen=True, eq=False)
class Found:
    """The labelled rows (F,) that the lists hold as answers, sorted by query, then by place.

    Attributes
    ----------
    query, rank, code : of each row; `code` is an index into `names`.
    labelled : all labelled rows, found or not.
    scores : (Q, K), the scores of the lists.
    equal : runs of equal scores; None if no two are equal.
    """

    query: np.ndarray
    rank: np.ndarray
    code: np.ndarray
    labelled: Labelled
    scores: np.ndarray
    equal: Equals | None

    def masks(self, level: Level) -> tuple[np.ndarray, np.ndarray]:
        """Which are positive (F,), and which are junk."""
        positive, junk = self.labelled.masks(level)
        return positive[self.code], junk[self.code]

    def judged(self, level: Level) -> Judged:
        """The ranks of the positives at a level."""
        positive, _ = self.labelled.masks(level)
        sought = self.labelled.query[positive[self.labelled.code]]
        n_positive = np.bincount(sought, minlength=len(self.scores))
        return Judged.from_labelled(self.query, self.rank, *self.masks(level), n_positive, self.scores, self.equal)


def find(ranking: Ranking, dataset: Dataset, labelled: Labelled, distractors: int = 0) -> Found:
    """Find the places of the labelled rows in the lists of some queries.

    Parameters
    ----------
    distractors : rows behind those of the dataset, which are wrong answers.

    Raises
    ------
    ValueError : rows out of range, or twice in one list.
    """
    rank = _ranks(ranking, len(dataset.images) + distractors, labelled)
    order = np.lexsort((rank, labelled.query))
    order = order[rank[order] >= 0]
    query, rank = labelled.query[order], rank[order]
    return Found(query, rank, labelled.code[order], labelled, ranking.scores, equals(query, rank, ranking.scores))


def _ranks(ranking: Ranking, count: int, labelled: Labelled) -> np.ndarray:
    """Rank (L,) of every labelled row in the list of its query, -1 if the list ends before it."""
    check_rows(ranking, count)
    rank = np.empty(len(labelled.row), dtype=np.int64)
    places = np.arange(ranking.images.shape[1], dtype=np.int32)
    place = np.full(count, -1, dtype=np.int32)
    complete = len(places) == len(place)  # then two sweeps are cheaper than two more lookups row by row
    for images, entries in zip(ranking.images, labelled.of_queries(len(ranking)), strict=True):
        place[images] = places
        if place.min() < 0 if complete else (place[images] != places).any():
            raise ValueError("evaluate: ranking must hold a database row at most once per query, got one twice.")
        rank[entries] = place[labelled.row[entries]]
        place[slice(None) if complete else images] = -1
    rank[rank >= ranking.answers()[labelled.query]] = -1
    return rank


def check_rows(ranking: Ranking, count: int) -> None:
    """Refuse a ranking with rows that the database of so many rows does not have."""
    images = ranking.images
    if images.size and (images.min() < 0 or images.max() >= count):
        raise ValueError(f"evaluate: ranking must hold database rows in [0, {count - 1}].")
