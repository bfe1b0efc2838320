"""Bench: one dataset and one backbone, set up so that a change of recipe costs only the stages from there on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.progress import showing
from cbirlab.base.recent import Recent
from cbirlab.datasets import Dataset
from cbirlab.index import ExactIndex, Index, Ranking, Rows
from cbirlab.index.lists import Lists
from cbirlab.index.recall import recall_of_exact
from cbirlab.pipeline import fitting
from cbirlab.pipeline.copies import warn_of_copies
from cbirlab.pipeline.decided import built_as, database_as, searched_as, whitened_as
from cbirlab.pipeline.described import Column, Described
from cbirlab.pipeline.distractors import Mixture, beside, named, synthetic
from cbirlab.pipeline.leaks import find_leak, trained_parts
from cbirlab.pipeline.learning_sets import held_for, learning_part
from cbirlab.pipeline.pictures import AskedPicture, DatasetPictures
from cbirlab.pipeline.prepared import check_dimensions, prepared, projected
from cbirlab.pipeline.recipe import Recipe, learns_rows
from cbirlab.pipeline.reranked import Told, describe_pictures, gallery_of, learn_reranking
from cbirlab.pipeline.result import BUDGET_SECONDS, Clock, Run, judge, time_again
from cbirlab.pipeline.search import INDEX_BYTES, NO_ROW, NO_ROWS, RECALL_AT, Learned, Search, depth_of, index_of, search
from cbirlab.reranking import Gallery, Reranking
from cbirlab.store import Store

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone
    from cbirlab.extract import Computing

__all__ = ["Bench", "Column"]


class Bench(Described):
    """Runs recipes that share dataset, backbone, weights, image size, preprocessing, scales, passes and precision.

    Every method that takes a recipe raises ValueError if the recipe differs in one of these.

    Parameters
    ----------
    dataset, backbone : loaded.
    recipe : a resolved recipe that gives what all recipes share.
    store : keeps the descriptors.
    progress : show a bar when extraction takes more than a second.
    computing : where shards are computed, see `cbirlab.extract.extract`.
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
        computing: Computing | None = None,
        keep: int = 64,
    ) -> None:
        super().__init__(dataset, backbone, recipe, store=store, progress=progress, computing=computing)
        self._leaks: dict[Any, str] = {}
        self._own = np.array([NO_ROW if query.index is None else query.index for query in dataset.queries], np.int64)
        self._projected, self._codes, self._exact = Recent(keep), Recent(keep), Recent(keep)
        self._cut, self._learning, self._grown, self._galleries = Recent(2), Recent(2), Recent(1), Recent(2)
        self.pictures = DatasetPictures(dataset, backbone, recipe, store=store, progress=progress)
        self._indexes = Recent(keep, most_bytes=INDEX_BYTES, size=lambda kept: kept[0].nbytes)

    def whitening(self, recipe: Recipe) -> Any:
        """The fitted whitening of a resolved recipe; None if there is none."""
        self._check(recipe)
        if recipe.whitening.fact("trained"):
            return recipe.whitening.target()().fit(self.rows(recipe, "images")[0].values[:2])
        if not recipe.whitening.fact("learned"):
            return None
        learning_set = str(recipe.whitening_set)
        name = (str(recipe.tap), recipe.aggregation, recipe.whitening, learning_set)
        if name not in self._fitted:
            rows, key = self.rows(recipe, learning_set)
            about = rows.values, self._labels(learning_set, rows), key, self.store
            with showing(self.progress):
                self._fitted[name] = fitting.learn_whitening(recipe.whitening, *about)
            if held_for(recipe.whitening_set, self.dataset):
                fitting.warn_of_few(recipe, self._fitted[name], *rows.values.shape)
        return self._fitted[name]

    def _labels(self, learning_set: str, rows: Rows) -> Sequence[str]:
        """Instance of each row of a learning set."""
        owner, part = learning_part(learning_set, self.dataset)
        labels = owner.train_instances if part == "train" else owner.instances
        if rows.counts is not None and labels:
            return [str(label) for label in np.repeat(labels, rows.counts)]
        return labels

    def learned(self, recipe: Recipe) -> Learned:
        """The fitted code of a resolved recipe, and the rows that indexes learn on."""
        if not (recipe.compression.used or recipe.index.fact("codes") != "any"):
            return Learned(None, NO_ROWS, self.store)
        return self._codes.get((*searched_as(recipe), recipe.compression), lambda: self._learn(recipe))

    def _learn(self, recipe: Recipe) -> Learned:
        learns, code = learns_rows(recipe), None
        rows, labels = self._learning_rows(recipe) if learns else (self.pair(recipe)[0], ())
        if recipe.compression.used:
            with showing(self.progress):
                code = fitting.learn_code(recipe.compression, rows.values, labels, self.store)
        return Learned(code, rows.values if learns else NO_ROWS, self.store)

    def _learning_rows(self, recipe: Recipe) -> tuple[Rows, Sequence[str]]:
        """The learning set as it would be searched, and the instance of each row; kept, as many codes learn on it."""

        def make() -> tuple[Rows, Sequence[str]]:
            learning_set = str(recipe.whitening_set)
            before = self.rows(recipe, learning_set)[0]
            return self.project(recipe, before), self._labels(learning_set, before)

        return self._learning.get(searched_as(recipe), make)

    def database(self, recipe: Recipe) -> Rows:
        """The database as the recipe searches it: its images, and behind them the distractors."""
        images = self.pair(recipe)[0]
        if not recipe.distractors:
            return images

        def make() -> Rows:
            folder = self.store.path / "tmp" / "distractors"
            return Rows(beside(images.values, self._wrong(recipe), self.count_distractors(recipe), folder))

        return self._grown.get(database_as(recipe), make)

    def _wrong(self, recipe: Recipe) -> Iterator[np.ndarray]:
        """The distractors as they are searched, a block of rows at a time."""
        if named(recipe):
            return (self.project(recipe, rows).values for rows in self.distractor_rows(recipe))
        mixture = Mixture.fitted(self._learning_rows(recipe)[0].values, recipe.seed)
        return mixture.drawn(synthetic(recipe), recipe.seed)

    def run(self, recipe: Recipe, clock: Clock | None = None) -> Run:
        """Carry out a resolved recipe."""
        clock = clock or Clock()
        warn_of_copies(self.dataset, self.store, self.progress)
        with clock("whiten"):
            images, queries = self.pair(recipe)
        with clock("index"):
            searcher, build_seconds = self._searcher(recipe)
        told = None
        if recipe.rerank.used and len(queries):
            told = Told(describe_pictures(recipe, self.pictures, self.lists, searcher.gallery))
        lists = searcher.lists(queries, self._own, told and told.add)
        wrong = self.count_distractors(recipe)
        with showing(self.progress):
            ranking, evaluation = judge(
                lists, self.dataset, recipe, clock, self.lists(recipe), distractors=wrong, described=images.described
            )
        if told:
            clock.seconds |= told.seconds | {"search": clock.seconds["search"] - told.seconds["prepare"] + told.before}
        views = float(np.mean(self.column(recipe.taps[0][1], recipe, "images").counts))
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
            distractors=wrong,
            index_bytes=searcher.index.nbytes,
            build_seconds=build_seconds,
            recall=self._recall(recipe, told.first if told else ranking, queries),
            leak=self.leak(recipe),
            skipped=self._skipped,
            reranked=told,
        )

    def _recall(self, recipe: Recipe, found: Ranking, queries: Rows) -> float:
        """How much of the exact list an approximate search finds, on average over the queries."""
        if not len(queries) or not (recipe.compression.used or recipe.index.fact("approximate")):
            return 1.0
        images = self.database(recipe)
        depth = min(RECALL_AT, len(images))
        exact = self._exact.get(database_as(recipe), lambda: search(ExactIndex().fit(images), queries, depth))
        return float(np.nanmean(recall_of_exact(found, queries, images, RECALL_AT, exact=exact)))

    def lists(self, recipe: Recipe) -> Lists:
        """Rank the database for all queries, a block at a time; descriptors are fetched with the first block."""
        shape = len(self.dataset.queries), depth_of(recipe, len(self.dataset.images) + self.count_distractors(recipe))
        return Lists(shape, lambda: self._all(recipe).begin())

    def _all(self, recipe: Recipe) -> Lists:
        return self._searcher(recipe)[0].lists(self.pair(recipe)[1], self._own)

    def timed(self, run: Run, extract_ms: float = math.nan) -> Run:
        """Add the times that a table shows: further searches, and milliseconds per image as `timing` measured them."""
        first = run.seconds["search"]
        searches = time_again(self._all(run.recipe).whole, first) if first < BUDGET_SECONDS else ()
        return replace(run, searches=searches, extract_ms=extract_ms)

    def search(
        self,
        recipe: Recipe,
        queries: Sequence[int] | Rows,
        own: Sequence[int] | None = None,
        told: Callable[..., None] | None = None,
        picture: AskedPicture | None = None,
    ) -> Ranking:
        """Rank the database for some benchmark queries, or for other descriptors as `project` gives them.

        Parameters
        ----------
        own : of other descriptors, the rows of the database that they are themselves; by default they are none.
        told : hears what re-ranking did, see `cbirlab.pipeline.reranked`. Where an answer depends on the other queries,
            it hears of all queries of the benchmark.
        picture : of other descriptors, for re-ranking by pictures, see `DatasetPictures.asked_with`.
        """
        searcher = self._searcher(recipe)[0]
        if picture is not None:
            searcher = replace(searcher, pictures=picture)
        if isinstance(queries, Rows):
            nowhere = np.full(len(queries), NO_ROW)
            return searcher.rank(queries, nowhere if own is None else np.asarray(own), nowhere, told)
        asked = np.array(queries, np.int64)
        if recipe.rerank.transductive:
            whole = searcher.lists(self.pair(recipe)[1], self._own, told).whole()
            return Ranking(whole.images[asked], whole.scores[asked])
        return searcher.rank(self.pair(recipe)[1].of(queries), self._own[asked], asked, told)

    def _searcher(self, recipe: Recipe) -> tuple[Search, float]:
        """The database in its index, which is filled once and kept, and the seconds that filling took."""
        images = self.database(recipe)
        index, seconds = self._indexes.get(built_as(recipe), lambda: index_of(recipe, images, self.learned(recipe)))
        gallery, learn = self._gallery(recipe, images) if recipe.rerank.used else None, partial(self._taught, recipe)
        return Search(recipe, self.dataset, images, recipe.index.dialled(index), gallery, self.pictures, learn), seconds

    def _gallery(self, recipe: Recipe, images: Rows) -> Gallery:
        """What re-ranking prepares of the database, kept for all its methods."""
        return self._galleries.get(database_as(recipe), lambda: gallery_of(images.values, self.store))

    def _taught(self, recipe: Recipe, method: Reranking) -> Any:
        """What a method of re-ranking has learned on the learning set."""
        with showing(self.progress):
            return learn_reranking(method, *self._learning_rows(recipe), self.store)

    def built(self, recipe: Recipe) -> bool:
        """Whether the code of a resolved recipe has been learned and its index built, where these may take long."""
        slow = recipe.compression.fact("learned") or recipe.index.fact("stored")
        return not slow or built_as(recipe) in self._indexes

    def index(self, recipe: Recipe) -> Index:
        """The index of a resolved recipe, with its dials; now its code learns and it is built if it was not yet."""
        return self._searcher(recipe)[0].index

    def project(self, recipe: Recipe, rows: Rows) -> Rows:
        """Take descriptors of other images to where the recipe searches."""
        whitened = rows.changed(lambda values: projected(self.whitening(recipe), values))
        dimensions = check_dimensions(recipe, whitened.values.shape[1])
        return whitened.changed(lambda values: prepared(recipe, values, dimensions))

    def pair(self, recipe: Recipe) -> tuple[Rows, Rows]:
        """Database and query descriptors as the recipe searches them."""
        self._check(recipe)
        return self._cut.get(searched_as(recipe), lambda: self._cut_pair(recipe))

    def _cut_pair(self, recipe: Recipe) -> tuple[Rows, Rows]:
        images, queries = self._pair(recipe)
        dimensions = check_dimensions(recipe, images.values.shape[1])
        database = images.changed(lambda values: prepared(recipe, values, dimensions))
        if queries is images:
            return database, database
        return database, queries.changed(lambda values: prepared(recipe, values, dimensions))

    def leak(self, recipe: Recipe) -> str:
        """What the images that something was learned on share with those that are evaluated."""
        name, wrong, parts = recipe.whitening_set or "", named(recipe), trained_parts(recipe)
        if (name, wrong, parts) not in self._leaks:
            learning = learning_part(name, self.dataset) if name else None
            given = self.backbone, self.dataset, self.store, self.distractors(wrong).images if wrong else ()
            self._leaks[name, wrong, parts] = find_leak(learning, *given, parts)
        return self._leaks[name, wrong, parts]

    def _pair(self, recipe: Recipe) -> tuple[Rows, Rows]:
        """Database and queries whitened with all dimensions; kept, so that the number of dimensions is a slice."""

        def make() -> tuple[Rows, Rows]:
            whitening = self.whitening(recipe)
            (images, key), (queries, other) = (self.rows(recipe, part) for part in ("images", "queries"))
            database = images.changed(lambda values: projected(whitening, values))
            if key == other and len(images) == len(queries):  # every image is a query, so keep them only once
                return database, database
            return database, queries.changed(lambda values: projected(whitening, values))

        return self._projected.get(whitened_as(recipe), make)
