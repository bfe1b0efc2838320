"""Bench: one dataset and one backbone, set up so that a change of recipe costs only what lies to the right of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.datasets import Dataset
from cbirlab.extract import Descriptors, extract
from cbirlab.pipeline import stages
from cbirlab.pipeline.recipe import Recipe
from cbirlab.pipeline.stages import Clock, Run
from cbirlab.store import Store
from cbirlab.whitening import WHITENINGS

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

T = TypeVar("T")


class Recent:
    """The values that were used last, by key; safe between threads."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self.most:
                self._values.popitem(last=False)
        return value


class Bench:
    """Runs recipes that share dataset, backbone, weights, image size, scales and precision.

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
        self.dataset = dataset
        self.backbone = backbone
        self.shared = recipe
        self.store = store
        self.progress = progress
        self.extract_seconds = 0.0
        self._descriptors: dict[tuple[str, str, str], tuple[np.ndarray, str]] = {}
        self._skipped: dict[str, dict[int, str]] = {}
        self._whitenings: dict[tuple[str, str, str, str], Any] = {}
        self._leaks: dict[str, str] = {}
        self._projected = Recent(keep)

    def fill(
        self, taps: Sequence[str], aggregations: Sequence[Aggregation], whitening_sets: Sequence[str] = ()
    ) -> None:
        """Extract all of it in one pass per image, as far as the store does not have it."""
        parts = ["images", "queries"]
        others = []
        for name in dict.fromkeys(whitening_sets):
            owner, part = stages.learning_part(name, self.dataset)
            if owner is self.dataset:
                parts.append(part)
            else:
                others.append((name, owner, part))
        own = self._extract(self.dataset, taps, aggregations, list(dict.fromkeys(parts)))
        self._skipped |= {part: dict(rows) for part, rows in own.skipped.items()}
        for name in whitening_sets:
            owner, part = stages.learning_part(name, self.dataset)
            if owner is self.dataset:
                self._take(own, part, name)
        for part in ("images", "queries"):
            self._take(own, part, part)
        if not self.dataset.queries:  # only images from outside can be searched with
            for tap, aggregation in own:
                values, key = self._descriptors[tap, aggregation, "images"]
                self._descriptors[tap, aggregation, "queries"] = (values[:0], key)
        for name, owner, part in others:
            self._take(self._extract(owner, taps, aggregations, [part]), part, name)

    def _extract(
        self, dataset: Dataset, taps: Sequence[str], aggregations: Sequence[Aggregation], parts: Sequence[str]
    ) -> Descriptors:
        found = extract(
            dataset,
            self.backbone,
            taps=taps,
            aggregations=aggregations,
            image_size=self.shared.image_size,
            scales=self.shared.scales,
            parts=parts,
            precision=self.shared.precision,
            store=self.store,
            progress=self.progress,
        )
        self.extract_seconds += found.seconds
        return found

    def _take(self, found: Descriptors, part: str, name: str) -> None:
        for tap, aggregation in found:
            values = found[tap, aggregation].get(part)
            if values is not None:
                self._descriptors[tap, aggregation, name] = (values, found.keys[tap, aggregation][part])

    def descriptors(self, tap: str, aggregation: str, part: str) -> tuple[np.ndarray, str]:
        """Pooled values and their key, of "images", "queries" or a whitening set; extracted now if they are missing."""
        if (tap, aggregation, part) not in self._descriptors:
            sets = () if part in ("images", "queries") else (part,)
            self.fill([tap], [Aggregation.parse(aggregation)], sets)
        if (tap, aggregation, part) not in self._descriptors:
            raise ValueError(f"{self.dataset.name}: there are no {part} to describe.")
        return self._descriptors[tap, aggregation, part]

    def whitening(self, recipe: Recipe) -> Any:
        """The fitted whitening of a resolved recipe; None where it learns nothing."""
        if not WHITENINGS.info(recipe.whitening).facts["learned"]:
            return None
        tap, learning_set = str(recipe.tap), str(recipe.whitening_set)
        name = (tap, recipe.aggregation, recipe.whitening, learning_set)
        if name not in self._whitenings:
            values, key = self.descriptors(tap, recipe.aggregation, learning_set)
            self._whitenings[name] = stages.learned(recipe.whitening, values, key, self.store)
        return self._whitenings[name]

    def run(self, recipe: Recipe, clock: Clock | None = None) -> Run:
        """Carry out a resolved recipe."""
        clock = clock or Clock()
        with clock("whiten"):
            images, queries = self.pair(recipe)
        with clock("search"):
            ranking = stages.search(recipe, images, queries)
        with clock("evaluate"):
            evaluation = stages.judged(ranking, self.dataset, recipe)
        return Run(
            recipe=recipe,
            dataset=self.dataset,
            ranking=ranking,
            evaluation=evaluation,
            metrics=dict(evaluation.metrics) if evaluation else {},
            seconds=clock.seconds,
            weights=self.backbone.weights,
            dim=images.shape[1],
            leak=self.leak(recipe),
            skipped=self._skipped,
        )

    def project(self, recipe: Recipe, values: np.ndarray) -> np.ndarray:
        """Pooled values of other images brought to where the recipe searches."""
        whitened = stages.projected(self.whitening(recipe), values)
        return stages.shortened(whitened, stages.check_dimensions(recipe, whitened.shape[1]))

    def database(self, recipe: Recipe) -> np.ndarray:
        """Database descriptors as the recipe searches them."""
        return self.pair(recipe)[0]

    def pair(self, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
        """Database and query descriptors as the recipe searches them."""
        images, queries = self._pair(str(recipe.tap), recipe)
        dimensions = stages.check_dimensions(recipe, images.shape[1])
        return stages.shortened(images, dimensions), stages.shortened(queries, dimensions)

    def leak(self, recipe: Recipe) -> str:
        """What whitening was learned on, compared with what is evaluated."""
        name = recipe.whitening_set
        if name is None or not WHITENINGS.info(recipe.whitening).facts["learned"]:
            return ""
        if name not in self._leaks:
            learning = stages.learning_part(name, self.dataset)
            self._leaks[name] = stages.leak_between(learning, self.dataset, self.store)
        return self._leaks[name]

    def _pair(self, tap: str, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
        """Database and queries whitened with all dimensions; kept, so that the number of dimensions is a slice."""

        def make() -> tuple[np.ndarray, np.ndarray]:
            whitening = self.whitening(recipe)
            images, queries = (self.descriptors(tap, recipe.aggregation, part)[0] for part in ("images", "queries"))
            database = stages.projected(whitening, images)
            return database, stages.projected(whitening, queries) if len(queries) else database[:0]

        return self._projected.get((tap, recipe.aggregation, recipe.whitening, recipe.whitening_set), make)
