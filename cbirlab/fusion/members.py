"""Members of a fusion: the descriptors and the ranking of one representation, and the joint ranking of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.evaluation import Protocol
from cbirlab.fusion.methods import FusionMethod, check_weights, ranking_order
from cbirlab.index import Index, IndexMethod, Ranking, Rows
from cbirlab.index.lists import Lists, Search, lists_of
from cbirlab.pipeline.search import NO_ROW, search

BLOCK = 2**22
"""Most scores of one member in memory at a time: 32 MiB of float64."""


@dataclass(frozen=True, eq=False)
class Member:
    """One representation, searched.

    Parameters
    ----------
    ranking : of all N database images for each of Q queries, or an object that makes these lists.
    images, queries : (N, d) and (Q, d), the descriptors as they were searched; None if only the ranking is known,
        which is enough for all but early fusion.

    Raises
    ------
    ValueError : a ranking that is cut off.
    """

    ranking: Ranking | Lists
    images: np.ndarray | None = None
    queries: np.ndarray | None = None

    def __post_init__(self) -> None:
        length = self.lists.shape[1]
        whole = length if self.images is None else len(self.images)
        held = self.ranking.images if isinstance(self.ranking, Ranking) else np.empty((0, 0))
        if length != whole or (held.size and held.max() >= whole):
            raise ValueError(f"Member: ranking must list every database image, got lists of {length}.")

    @property
    def lists(self) -> Lists:
        """Complete lists of all queries."""
        return lists_of(self.ranking)

    def scores(self, own: np.ndarray, queries: slice = slice(None)) -> np.ndarray:
        """The scores of `scores_of`, for some of the Q queries."""
        return scores_of(self._some(queries), own[queries])

    def ranks(self, own: np.ndarray, queries: slice = slice(None)) -> np.ndarray:
        """The ranks of `ranks_of`, for some of the Q queries."""
        return ranks_of(self._some(queries), own[queries])

    def _some(self, queries: slice) -> Ranking:
        return self.lists.begin()(slice(*queries.indices(len(self.lists))))


def scores_of(block: Ranking, own: np.ndarray) -> np.ndarray:
    """Score of every image (q, N) in the order of the database; NaN at each query's `own` row."""
    values = np.empty(block.images.shape)
    np.put_along_axis(values, block.images, block.scores.astype(np.float64), axis=1)
    _drop(values, own)
    return values


def ranks_of(block: Ranking, own: np.ndarray) -> np.ndarray:
    """0-based rank of every image (q, N), as if each query's `own` row, which is NaN, were not in the database.

    An image that is no answer, with a score of -inf, has rank inf.
    """
    values, places = np.empty(block.images.shape), np.arange(block.images.shape[1], dtype=np.float64)
    np.put_along_axis(values, block.images, np.where(block.scores > -np.inf, places, np.inf), axis=1)
    of_own = np.where(own == NO_ROW, np.inf, values[np.arange(len(values)), own])
    values -= values > of_own[:, None]
    _drop(values, own)
    return values


def fuse(
    members: Sequence[Member],
    method: str | FusionMethod = "early",
    weights: Sequence[float] | None = None,
    own: np.ndarray | None = None,
    index: str = "exact",
) -> Ranking:
    """Rank the database by several members together; equal scores are ordered by image index.

    Parameters
    ----------
    members : members with the same queries and database.
    method : "minmax" or "cascade(depth=50)".
    weights : one per member, at least 0; equal by default.
    own : (Q,) row of the database that is the query itself, -1 if there is none (see `own_rows`). Scores and ranks
        are fused as if that row were not there, and it comes first.
    index : searches the descriptors of an early fusion.

    Raises
    ------
    UnknownName, TypeError, ValueError : a method, parameter or weights that are not allowed, members of different
        sizes, or an early fusion of members without descriptors.
    """
    return fuse_lists(members, method, weights, own, index).whole()


def fuse_lists(
    members: Sequence[Member],
    method: str | FusionMethod = "early",
    weights: Sequence[float] | None = None,
    own: np.ndarray | None = None,
    index: str = "exact",
) -> Lists:
    """Do what `fuse` does, a block of queries at a time."""
    method = FusionMethod.parse(method)
    chosen = check_weights(method.name, weights, len(members))
    shapes = [member.lists.shape for member in members]
    if len({*shapes}) != 1:
        raise ValueError(f"fuse: members must rank the same database for the same queries, got (Q, N) of {shapes}.")
    if method.stage == "descriptors":
        images, queries = concatenate(members, chosen, method)
        return search_lists(IndexMethod.parse(index).make().fit(images), queries, len(images))
    own = np.full(shapes[0][0], NO_ROW) if own is None else np.asarray(own)

    def begin() -> Search:
        searches = [member.lists.begin() for member in members]
        return lambda rows: _fused([search(rows) for search in searches], method, chosen, own[rows])

    return Lists(shapes[0], begin, BLOCK)


def concatenate(
    members: Sequence[Member], weights: Sequence[float], method: FusionMethod
) -> tuple[np.ndarray, np.ndarray]:
    """Join the descriptors of an early fusion: database (N, D) and queries (Q, D)."""
    images = [member.images for member in members if member.images is not None]
    queries = [member.queries for member in members if member.queries is not None]
    if not len(images) == len(queries) == len(members):
        raise ValueError(f"{method.name}: every member must have images and queries, its descriptors; one has none.")
    join = method.target()
    return join(images, weights, **method.parameters), join(queries, weights, **method.parameters)


def search_lists(index: Index, queries: np.ndarray, depth: int) -> Lists:
    """The first `depth` images of an index for each query, a block of them at a time."""
    return Lists((len(queries), depth), lambda: lambda rows: search(index, Rows(queries[rows]), depth))


def own_rows(dataset: Dataset, protocol: Protocol) -> np.ndarray:
    """The row of each query (Q,) in the database; -1 if it is not there, or if the protocol keeps it."""
    kept = protocol.own_image == "kept"
    rows = [NO_ROW if kept or query.index is None else query.index for query in dataset.queries]
    return np.array(rows, dtype=np.int64)


def _fused(members: Sequence[Ranking], method: FusionMethod, weights: Sequence[float], own: np.ndarray) -> Ranking:
    """Fuse the lists of some queries, sorted in float64 so that different scores stay apart."""
    values = [scores_of(one, own) if method.stage == "scores" else ranks_of(one, own) for one in members]
    fused = method.target()(values, weights, **method.parameters)
    order = ranking_order(fused)
    scores = np.take_along_axis(fused, order, axis=1)
    best_other = scores[:, min(1, scores.shape[1] - 1)]
    scores[:, 0] = np.where(np.isnan(scores[:, 0]), best_other, scores[:, 0])
    scores[np.isnan(scores[:, 0]), 0] = 0  # the list has no other image
    return Ranking(order, scores.astype(np.float32))


def _drop(values: np.ndarray, own: np.ndarray) -> None:
    listed = np.flatnonzero(own != NO_ROW)
    values[listed, own[listed]] = np.nan
