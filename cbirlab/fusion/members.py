"""Members of a fusion: descriptors and ranking of one representation, and the ranking of several together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.evaluation import Protocol
from cbirlab.fusion.methods import FusionMethod, checked_weights, ranking_order
from cbirlab.index import INDEXES, Ranking

BLOCK = 2**22
"""Scores of one member that are held at a time: 32 MiB of float64."""

NO_ROW = -1
"""In place of the query's own row, where it has none in the database."""


@dataclass(frozen=True, eq=False)
class Member:
    """One representation, searched.

    Parameters
    ----------
    ranking : of all N database images for each of Q queries.
    images, queries : (N, d) and (Q, d), the descriptors as they were searched; None where only the ranking is known,
        which is enough for all but early fusion.

    Raises
    ------
    ValueError : a ranking that is cut off.
    """

    ranking: Ranking
    images: np.ndarray | None = None
    queries: np.ndarray | None = None

    def __post_init__(self) -> None:
        order = self.ranking.images
        whole = order.shape[1] if self.images is None else len(self.images)
        if order.shape[1] != whole or (order.size and order.max() >= whole):
            raise ValueError(f"Member: ranking must list every database image, got lists of {order.shape[1]}.")

    def scores(self, own: np.ndarray, queries: slice = slice(None)) -> np.ndarray:
        """Score of every image (Q, N) in the order of the database; NaN at each query's `own` row."""
        values = np.empty(self.ranking.images[queries].shape)
        np.put_along_axis(values, self.ranking.images[queries], self.ranking.scores[queries].astype(np.float64), axis=1)
        _drop(values, own[queries])
        return values

    def ranks(self, own: np.ndarray, queries: slice = slice(None)) -> np.ndarray:
        """0-based rank of every image (Q, N), as if each query's `own` row, which is NaN, were not in the database.

        What is no answer, a score of -inf, has rank inf.
        """
        order = self.ranking.images[queries]
        values, places = np.empty(order.shape), np.arange(order.shape[1], dtype=np.float64)
        answers = self.ranking.scores[queries] > -np.inf
        np.put_along_axis(values, order, np.where(answers, places, np.inf), axis=1)
        of_own = np.where(own[queries] == NO_ROW, np.inf, values[np.arange(len(values)), own[queries]])
        values -= values > of_own[:, None]
        _drop(values, own[queries])
        return values


def fuse(
    members: Sequence[Member],
    method: str | FusionMethod = "early",
    weights: Sequence[float] | None = None,
    own: np.ndarray | None = None,
    index: str = "exact",
) -> Ranking:
    """The ranking of several members together; equal scores are ordered by image index.

    Parameters
    ----------
    members : of the same queries and database.
    method : "minmax" or "rerank(depth=50)".
    weights : one per member, at least 0; equal by default.
    own : (Q,) row of the database that is the query itself, -1 where there is none (see `own_rows`). Scores and ranks
        are fused as if that row were not there, and it comes first.
    index : what searches the descriptors of an early fusion.

    Raises
    ------
    UnknownName, TypeError, ValueError : a method, parameter or weights that are not allowed, members of different
        sizes, or an early fusion of members without descriptors.
    """
    method = FusionMethod.parse(method)
    chosen = checked_weights(method.name, weights, len(members))
    shapes = [member.ranking.images.shape for member in members]
    if len({*shapes}) != 1:
        raise ValueError(f"fuse: members must rank the same database for the same queries, got (Q, N) of {shapes}.")
    if method.stage == "descriptors":
        images, queries = concatenated(members, chosen, method)
        return searched(images, queries, index)
    own = np.full(shapes[0][0], NO_ROW) if own is None else np.asarray(own)
    blocks = [_fused(members, method, chosen, own, rows) for rows in _blocks(*shapes[0])]
    return Ranking(*(np.concatenate(parts) for parts in zip(*blocks, strict=True))) if blocks else members[0].ranking


def concatenated(
    members: Sequence[Member], weights: Sequence[float], method: FusionMethod
) -> tuple[np.ndarray, np.ndarray]:
    """Database and query descriptors (N, D) and (Q, D) of an early fusion."""
    images = [member.images for member in members if member.images is not None]
    queries = [member.queries for member in members if member.queries is not None]
    if not len(images) == len(queries) == len(members):
        raise ValueError(f"{method.name}: every member must have images and queries, its descriptors; one has none.")
    join = method.target()
    return join(images, weights, **method.parameters), join(queries, weights, **method.parameters)


def searched(images: np.ndarray, queries: np.ndarray, index: str = "exact") -> Ranking:
    """The database ranked for each query; an empty ranking where there is no query."""
    if not len(queries):
        return Ranking(np.empty((0, len(images)), np.int64), np.empty((0, len(images)), np.float32))
    return INDEXES[index]().fit(images).search(queries)


def own_rows(dataset: Dataset, protocol: Protocol) -> np.ndarray:
    """Row of each query (Q,) in the database, -1 where it is not there or where the protocol keeps it."""
    kept = protocol.own_image == "kept"
    rows = [NO_ROW if kept or query.index is None else query.index for query in dataset.queries]
    return np.array(rows, dtype=np.int64)


def _fused(
    members: Sequence[Member], method: FusionMethod, weights: Sequence[float], own: np.ndarray, rows: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores of some queries. Sorted in float64: scores that differ stay apart."""
    values = [member.scores(own, rows) if method.stage == "scores" else member.ranks(own, rows) for member in members]
    fused = method.target()(values, weights, **method.parameters)
    order = ranking_order(fused)
    scores = np.take_along_axis(fused, order, axis=1)
    best_other = scores[:, min(1, scores.shape[1] - 1)]
    scores[:, 0] = np.where(np.isnan(scores[:, 0]), best_other, scores[:, 0])
    scores[np.isnan(scores[:, 0]), 0] = 0  # there is no other
    return order, scores.astype(np.float32)


def _blocks(queries: int, images: int) -> Iterator[slice]:
    size = max(1, BLOCK // max(1, images))
    for start in range(0, queries, size):
        yield slice(start, start + size)


def _drop(values: np.ndarray, own: np.ndarray) -> None:
    listed = np.flatnonzero(own != NO_ROW)
    values[listed, own[listed]] = np.nan
