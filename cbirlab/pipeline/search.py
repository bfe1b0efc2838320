"""Search: what a recipe asks for between its descriptors and the evaluation, its index and the stages after it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.compression import Compression
from cbirlab.datasets import Dataset
from cbirlab.index import Index, IndexMethod, PatchIndex, Ranking, Rows, WordIndex, rescore
from cbirlab.index.lists import DEPTH, MOST_COMPLETE, Lists
from cbirlab.pipeline.added import RANKINGS, Asked, stages_used
from cbirlab.pipeline.fitting import content
from cbirlab.pipeline.recipe import Recipe
from cbirlab.pipeline.reranked import rerank_found
from cbirlab.reranking import Answers, Gallery, Pictures, Reranking
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.code import code_version

if TYPE_CHECKING:
    from cbirlab.compression.base import Code

RECALL_AT = 10
"""How many of the nearest images an approximate search is judged by."""

NO_ROWS = np.empty((0, 0), np.float32)

INDEX_BYTES = 1 << 28
"""Limit for the indexes that a bench keeps; the last two are always kept."""

NO_ROW = -1
"""Stands for the query's own row if the query is not in the database."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What an index needs beside the database.

    Attributes
    ----------
    code : fitted; None for full rows.
    train : (n, D), the learning set as it would be searched; empty if nothing is learned.
    store : keeps indexes that take long to build.
    """

    code: Code | None
    train: np.ndarray
    store: Store


def index_of(recipe: Recipe, images: Rows, learned: Learned) -> tuple[Index, float]:
    """The index that a recipe asks for, or the one that its words or views need, filled with the database.

    Returns
    -------
    The index, for all recipes whose index is built alike (see `IndexMethod.built`), and the seconds that filling it
    took, perhaps in another run.
    """
    start, method = time.perf_counter(), recipe.index.built
    if images.counts is not None:
        index = PatchIndex().fit(images)
    elif similarity := recipe.aggregation.fact("similarity"):
        index = WordIndex(partial(similarity, **recipe.aggregation.parameters)).fit(images)
    elif method.fact("stored"):
        return _stored(method, recipe.compression, images.values, learned)
    elif method.fact("codes"):
        index = method.make().fit(images, learned.code, learned.train)  # pyright: ignore[reportCallIssue]
    else:
        index = method.make().fit(images)
    return index, time.perf_counter() - start


def _stored(method: IndexMethod, code: Compression, rows: np.ndarray, learned: Learned) -> tuple[Index, float]:
    """An index from the store, or one that is built now and kept there."""
    made: Any = method.make()
    specification = {
        "index": method.key,
        "compression": code.key,
        "rows": content(rows),
        "on": content(learned.train),
        "code": code_version("index", "compression"),
    }
    entry = learned.store.get("index", specification)
    if entry is not None:
        return made.restore(rows, learned.code, entry.arrays), float(entry.arrays["seconds"])
    start = time.perf_counter()
    made.fit(rows, learned.code, learned.train)
    seconds = time.perf_counter() - start
    with suppress(StoreUnwritable):  # extraction has said so already
        learned.store.put("index", specification, made.saved() | {"seconds": np.asarray(seconds)})
    return made, seconds


def depth_of(recipe: Recipe, images: int) -> int:
    """How many of the `images` a query finds."""
    whole = not (recipe.index.fact("approximate") or recipe.distractors or recipe.rerank.used)
    complete = images <= MOST_COMPLETE or whole
    return min(recipe.depth or (images if complete else DEPTH), images)


def search(index: Index, queries: Rows, depth: int) -> Ranking:
    """The first `depth` images of an index for each query; there may be no queries."""
    if not len(queries):
        return Ranking(np.empty((0, depth), np.int64), np.empty((0, depth), np.float32))
    return index.search(queries, depth)


@dataclass(frozen=True, eq=False)
class Search:
    """A database that can be searched as a recipe says.

    Attributes
    ----------
    recipe : resolved.
    dataset : the one that is searched.
    images : its descriptors, as they are searched.
    index : filled with these.
    gallery : the same database for re-ranking; None where nothing is re-ranked.
    pictures : of the dataset, for re-ranking.
    learned : gives what a method of re-ranking has learned.
    """

    recipe: Recipe
    dataset: Dataset
    images: Rows
    index: Index
    gallery: Gallery | None = None
    pictures: Pictures | None = None
    learned: Callable[[Reranking], Mapping[str, np.ndarray]] | None = None

    @property
    def depth(self) -> int:
        """How many images a query finds."""
        return depth_of(self.recipe, len(self.images))

    def rank(
        self, queries: Rows, own: np.ndarray, asked: np.ndarray, told: Callable[..., None] | None = None
    ) -> Ranking:
        """Find the first images of the database for each query, after all stages.

        Parameters
        ----------
        own, asked : (Q,), as in `Answers`.
        told : hears what re-ranking did, see `rerank_found`.
        """
        ranking = self._first(queries, self.depth)
        if not len(queries):
            return ranking
        if self.gallery is not None:
            rows = np.asarray(queries.values, np.float64)
            found = Answers(rows, self.gallery, self._again, ranking, own, asked, self.pictures, self.learned)
            ranking = rerank_found(found, self.recipe.rerank, told)
        for method in stages_used(self.recipe, RANKINGS).values():
            about = Asked(self.dataset, self.images, queries, own)
            ranking = method.target()(ranking, about, **method.parameters)
        return ranking

    def _first(self, queries: Rows, depth: int) -> Ranking:
        """What index and re-scoring find."""
        ranking = search(self.index, queries, min(max(depth, self.recipe.rescore), len(self.images)))
        if self.recipe.rescore and len(queries):
            ranking = rescore(ranking, queries.values, self.images.values, self.recipe.rescore)
        return ranking.top(depth)

    def _again(self, rows: np.ndarray, depth: int) -> Ranking:
        return self._first(Rows(rows), depth)

    def lists(self, queries: Rows, own: np.ndarray, told: Callable[..., None] | None = None) -> Lists:
        """The same for all queries of the dataset: a block at a time, or all at once if they depend on each other."""
        asked = np.arange(len(queries))

        def ranked(rows: slice) -> Ranking:
            return self.rank(queries.part(rows), own[rows], asked[rows], told)

        shape = (len(queries), self.depth)
        return Lists(shape, lambda: ranked, math.prod(shape) if self.recipe.rerank.transductive else None)
