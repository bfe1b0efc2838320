"""Bench: one dataset and one backbone, set up so that a change of recipe costs only what lies to the right of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.index import Ranking
from cbirlab.lists import Lists
from cbirlab.pipeline import stages, timing
from cbirlab.pipeline.described import Column, Described
from cbirlab.pipeline.recent import Recent
from cbirlab.pipeline.recipe import Recipe, held_for, split_taps
from cbirlab.pipeline.stages import Clock, Rows, Run
from cbirlab.store import Store
from cbirlab.whitening import Whitening

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

__all__ = ["Bench", "Column"]


class Bench(Described):
    """Runs recipes that share dataset, backbone, weights, image size, preprocessing, scales, passes and precision.

    Every method that takes a recipe raises ValueError where it differs in what is shared.

    Parameters
    ----------
    dataset, backbone : loaded.
    recipe : a resolved recipe with what is shared.
    store : where descriptors are kept.
    progress : show a bar when extraction takes more than a second.
    keep : number of projected descriptor sets that stay in memory.
    """

    def __init__(
        self,
        dataset: Dataset,
        backbone: Backbone,
        recipe: Recipe,
        *,
        store: Store,
        progress: bool = True,
        keep: int = 64,
    ) -> None:
        super().__init__(dataset, backbone, recipe, store=store, progress=progress)
        self._leaks: dict[str, str] = {}
        self._projected = Recent(keep)

    def whitening(self, recipe: Recipe) -> Any:
        """The fitted whitening of a resolved recipe; None where it learns nothing."""
        self._check(recipe)
        method = Whitening.parse(recipe.whitening)
        if not method.fact("learned"):
            return None
        learning_set = str(recipe.whitening_set)
        name = (str(recipe.tap), recipe.aggregation, recipe.whitening, learning_set)
        if name not in self._fitted:
            rows, key = self.rows(recipe, learning_set)
            owner, part = stages.learning_part(learning_set, self.dataset)
            labels = owner.train_instances if part == "train" else owner.instances
            if rows.counts is not None and labels:
                labels = [str(label) for label in np.repeat(labels, rows.counts)]
            self._fitted[name] = stages.learned(method, rows.values, labels, key, self.store)
            if held_for(recipe, self.dataset):
                stages.warn_of_few(recipe, self._fitted[name], *rows.values.shape)
        return self._fitted[name]

    def run(self, recipe: Recipe, clock: Clock | None = None) -> Run:
        """Carry out a resolved recipe."""
        clock = clock or Clock()
        with clock("whiten"):
            images, queries = self.pair(recipe)
        lists = stages.lists(recipe, images, queries)
        ranking, evaluation = stages.judged(lists, self.dataset, recipe, clock, again=self.lists(recipe))
        columns = [self.column(tap, recipe, "images") for _, tap in split_taps(str(recipe.tap))]
        views = float(np.mean(columns[0].counts))
        return Run(
            recipe=recipe,
            dataset=self.dataset,
            ranking=ranking,
            evaluation=evaluation,
            metrics=dict(evaluation.metrics) if evaluation else {},
            seconds=clock.seconds,
            weights=self.backbone.weights,
            dim=images.values.shape[1],
            forward_passes=views * len(recipe.scales),
            rows_per_image=1.0 if images.counts is None else views,
            leak=self.leak(recipe),
            skipped=self._skipped,
        )

    def lists(self, recipe: Recipe) -> Lists:
        """The database ranked for all queries, a block at a time; descriptors are taken up when that begins."""
        shape = (len(self.dataset.queries), len(self.dataset.images))
        return Lists(shape, lambda: stages.lists(recipe, *self.pair(recipe)).begin())

    def timed(self, run: Run, extract_ms: float = math.nan) -> Run:
        """The run with the times that a table shows: of further searches, and per image as `timing` measured it."""
        first = run.seconds["search"]
        if first >= timing.BUDGET_SECONDS:
            return replace(run, extract_ms=extract_ms)
        images, queries = self.pair(run.recipe)
        searches = timing.repeated(lambda: stages.search(run.recipe, images, queries), first)
        return replace(run, searches=searches, extract_ms=extract_ms)

    def search(self, recipe: Recipe, queries: Sequence[int] | Rows) -> Ranking:
        """The database ranked for some benchmark queries, or for other descriptors as `project` gives them."""
        images, own = self.pair(recipe)
        return stages.search(recipe, images, queries if isinstance(queries, Rows) else own.of(queries))

    def project(self, recipe: Recipe, rows: Rows) -> Rows:
        """Descriptors of other images brought to where the recipe searches."""
        whitened = rows.changed(lambda values: stages.projected(self.whitening(recipe), values))
        dimensions = stages.check_dimensions(recipe, whitened.values.shape[1])
        return whitened.changed(lambda values: stages.shortened(values, dimensions))

    def pair(self, recipe: Recipe) -> tuple[Rows, Rows]:
        """Database and query descriptors as the recipe searches them."""
        self._check(recipe)
        images, queries = self._pair(recipe)
        dimensions = stages.check_dimensions(recipe, images.values.shape[1])
        database = images.changed(lambda values: stages.shortened(values, dimensions))
        if queries is images:
            return database, database
        return database, queries.changed(lambda values: stages.shortened(values, dimensions))

    def leak(self, recipe: Recipe) -> str:
        """What was learned on, compared with what is evaluated."""
        name = recipe.whitening_set
        if name is None:
            return ""
        if name not in self._leaks:
            learning = stages.learning_part(name, self.dataset)
            self._leaks[name] = stages.leak_between(learning, self.dataset, self.store)
        return self._leaks[name]

    def _pair(self, recipe: Recipe) -> tuple[Rows, Rows]:
        """Database and queries whitened with all dimensions; kept, so that the number of dimensions is a slice."""

        def make() -> tuple[Rows, Rows]:
            whitening = self.whitening(recipe)
            (images, key), (queries, other) = (self.rows(recipe, part) for part in ("images", "queries"))
            database = images.changed(lambda values: stages.projected(whitening, values))
            if key == other and len(images) == len(queries):  # every image is a query, and takes its room once
                return database, database
            return database, queries.changed(lambda values: stages.projected(whitening, values))

        return self._projected.get((recipe.tap, recipe.aggregation, recipe.whitening, recipe.whitening_set), make)
