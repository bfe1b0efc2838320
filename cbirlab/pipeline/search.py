"""Search: what a recipe asks for between its descriptors and the evaluation, its index and the stages after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.index import Index, PatchIndex, Ranking, Rows, WordIndex
from cbirlab.index.lists import Lists
from cbirlab.pipeline.added import RANKINGS, Asked, stages_used
from cbirlab.pipeline.recipe import Recipe

NO_ROW = -1
"""Stands for the query's own row if the query is not in the database."""


def index_of(recipe: Recipe, images: Rows) -> Index:
    """The index that a recipe asks for, or the one that its words or views need, filled with the database."""
    if images.counts is not None:
        return PatchIndex().fit(images)
    if similarity := recipe.aggregation.fact("similarity"):
        return WordIndex(partial(similarity, **recipe.aggregation.parameters)).fit(images)
    return recipe.index.make().fit(images)


def depth_of(recipe: Recipe, images: int) -> int:
    """How many of the `images` a query finds."""
    return min(recipe.depth or images, images)


def search(index: Index, queries: Rows, depth: int) -> Ranking:
    """The first `depth` images of an index for each query; there may be no queries."""
    if not len(queries):
        return Ranking(np.empty((0, depth), np.int64), np.empty((0, depth), np.float32))
    return index.search(queries, depth)


@dataclass(frozen=True, eq=False)
class Searcher:
    """A database that can be searched as a recipe says.

    Attributes
    ----------
    recipe : resolved.
    dataset : the one that is searched.
    images : its descriptors, as they are searched.
    index : filled with these.
    """

    recipe: Recipe
    dataset: Dataset
    images: Rows
    index: Index

    @property
    def depth(self) -> int:
        """How many images a query finds."""
        return depth_of(self.recipe, len(self.images))

    def rank(self, queries: Rows, own: np.ndarray) -> Ranking:
        """Find the first images of the database for each query, after all stages; `own` (Q,) is as in `Asked`."""
        ranking = search(self.index, queries, self.depth)
        if not len(queries):
            return ranking
        for method in stages_used(self.recipe, RANKINGS).values():
            asked = Asked(self.dataset, self.images, queries, own)
            ranking = method.target()(ranking, asked, **method.parameters)
        return ranking

    def lists(self, queries: Rows, own: np.ndarray) -> Lists:
        """The same for many queries, a block at a time."""
        return Lists((len(queries), self.depth), lambda: lambda rows: self.rank(queries.part(rows), own[rows]))
