"""Session: a bench for live panels. Everything a slider can reach is made before, so that a move costs milliseconds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.backbones import load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.index import Ranking
from cbirlab.params import Range, parameters
from cbirlab.pipeline import Bench, Recipe, Run, table_row
from cbirlab.pipeline.bench import Recent
from cbirlab.pipeline.stages import learning_part, search
from cbirlab.store import Store
from cbirlab.whitening import WHITENINGS

if TYPE_CHECKING:
    from PIL import Image

_MOST_STEPS = 64
_KEPT_RUNS = 256
_KEPT_BYTES = 1 << 29  # of descriptors as they are searched


class Session:
    """Dataset and backbone, ready for every tap, pooling, whitening and number of dimensions.

    >>> session = Session("toytown", "toynet")
    >>> session.prepare()
    >>> session.rank("layer4", "gem(p=3)", "pca", 64).metrics["map_medium"]

    Parameters
    ----------
    dataset : a name, a folder or a loaded dataset.
    backbone : a name in `BACKBONES`.
    weights : as for `load_backbone`.
    aggregations : those a panel offers; by default all, with every stop of their parameters' sliders.
    store : where descriptors are kept.
    recipe : other fields of `Recipe` (`image_size`, `precision`, `whitening_set`, ...).

    Attributes
    ----------
    dataset : loaded.
    backbone, weights : as in tables.
    taps : shallow to deep.
    methods : names of the aggregations.
    """

    def __init__(
        self,
        dataset: str | Path | Dataset = "toytown",
        backbone: str = "toynet",
        weights: str | None = None,
        aggregations: Sequence[str] | None = None,
        *,
        store: Store | None = None,
        device: str = "cpu",
        **recipe: Any,
    ) -> None:
        self.dataset = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
        name = self.dataset.name if isinstance(dataset, Dataset) else str(dataset)
        network = load_backbone(backbone, weights, device)
        self.backbone = network.name
        self.weights = network.weights
        self.taps = tuple(network.taps)
        self.aggregations = (
            [Aggregation.parse(one) for one in aggregations] if aggregations is not None else slider_stops()
        )
        self.methods = tuple(dict.fromkeys(spec.name for spec in self.aggregations))
        self._recipe = Recipe(dataset=name, backbone=backbone, weights=weights, **recipe)
        # The whitening set is resolved for a whitening that learns; plain rankings leave it out again.
        self._learning = replace(self._recipe, whitening=_learning_whitening()).resolved(self.dataset, network)
        self._plain = replace(self._recipe, whitening="none").resolved(self.dataset, network)
        rows = len(self.dataset.images) + len(self.dataset.queries)
        self._kept = max(4, _KEPT_BYTES // (4 * rows * max(tap.channels for tap in network.taps.values())))
        self._bench = Bench(self.dataset, network, self._plain, store=store or Store(), keep=self._kept)
        self._runs = Recent(_KEPT_RUNS)
        self._foreign = Recent(16)
        self._lock = threading.RLock()

    def prepare(self, progress: bool = True) -> None:
        """Extract, and learn every whitening; what the store has is taken from there."""
        with self._lock:
            self._bench.progress = progress
            self._bench.fill(self.taps, self.aggregations, [str(self._learning.whitening_set)])
            recipes = self._learned_recipes()
            for recipe in _with_progress(recipes, progress):
                self._bench.whitening(recipe)
                self._bench.leak(recipe)
                if len(recipes) <= self._kept:
                    self._bench.pair(recipe)

    def dimensions(self, tap: str) -> int:
        """Most dimensions at a tap after whitening: its channels, or fewer where whitening learned on few images."""
        owner, part = learning_part(str(self._learning.whitening_set), self.dataset)
        learned_on = len(owner.train if part == "train" else owner.images)
        return max(1, min(self._bench.backbone.taps[tap].channels, learned_on - 1))

    def recipe(self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None) -> Recipe:
        """The resolved recipe of a setting; it gives the same ranking in `cbirlab.run`."""
        learned = WHITENINGS.info(whitening).facts["learned"]
        base = self._learning if learned else self._plain
        return replace(base, tap=tap, aggregation=aggregation, whitening=whitening, dimensions=dimensions)

    def rank(self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None) -> Run:
        """All benchmark queries ranked and evaluated; a setting that was asked for before costs nothing.

        Raises
        ------
        UnknownName, ValueError : a setting that is not allowed.
        """
        recipe = self.recipe(tap, aggregation, whitening, dimensions)
        with self._lock:
            return self._runs.get(recipe, lambda: self._bench.run(recipe))

    def rank_query(
        self, query: int, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None
    ) -> Ranking:
        """One benchmark query ranked and nothing evaluated: (1, N), before `rank` has done the rest.

        Raises
        ------
        IndexError : no such query.
        """
        recipe = self.recipe(tap, aggregation, whitening, dimensions)
        with self._lock:
            database, queries = self._bench.pair(recipe)
            if not 0 <= query < len(queries):
                raise IndexError(f"rank_query: query must be in [0, {len(queries) - 1}], got {query}.")
            return search(recipe, database, queries[[query]])

    def rank_image(
        self,
        image: int | str | Path | Image.Image,
        tap: str,
        aggregation: str,
        whitening: str = "none",
        dimensions: int | None = None,
    ) -> Ranking:
        """The database ranked for any one image: (1, N).

        Parameters
        ----------
        image : a row of the database, a file, or a Pillow image.

        Raises
        ------
        IndexError : no such row.
        ImageError : a file that cannot be read.
        """
        recipe = self.recipe(tap, aggregation, whitening, dimensions)
        with self._lock:
            database = self._bench.database(recipe)
            if isinstance(image, int | np.integer):
                if not 0 <= image < len(database):
                    raise IndexError(f"rank_image: image must be a row in [0, {len(database) - 1}], got {image}.")
                return search(recipe, database, database[[image]])
            return search(recipe, database, self._bench.project(recipe, self._describe(image, recipe)))

    def table_row(self, run: Run) -> dict[str, Any]:
        """The row that `cbirlab.compare` would give for a run of this session."""
        return table_row(run)

    def _learned_recipes(self) -> list[Recipe]:
        kinds = [name for name in WHITENINGS if WHITENINGS.info(name).facts["learned"]]
        grid = itertools.product(self.taps, self.aggregations, kinds)
        return [self.recipe(tap, spec.key, kind) for tap, spec, kind in grid]

    def _describe(self, image: str | Path | Image.Image, recipe: Recipe) -> np.ndarray:
        """Pooled values (1, D) of an image from outside; the image's maps are kept for the next move of a slider."""
        from cbirlab.extract.pooling import pool

        name = str(image) if isinstance(image, str | Path) else id(image)
        maps = self._foreign.get(name, lambda: (image, self._maps(image)))[1]
        spec = Aggregation.parse(recipe.aggregation)
        return pool(maps[str(recipe.tap)], [spec])[spec.key]

    def _maps(self, image: str | Path | Image.Image) -> dict[str, Any]:
        from cbirlab import images
        from cbirlab.extract.network import Network

        pixels = images.pixels(image, image_size=int(self._plain.image_size or 0))
        network = Network(self._bench.backbone, precision=self._plain.precision)
        return network.maps(pixels[None].copy(), self.taps)


def slider_stops(names: Sequence[str] | None = None) -> list[Aggregation]:
    """Aggregations at every combination of their parameters' slider stops, or at the default where there are none."""
    specs = []
    for name in names or AGGREGATIONS.list():
        stops = {key: _stops(one.domain, one.default) for key, one in parameters(AGGREGATIONS[name]).items()}
        combinations = itertools.islice(itertools.product(*stops.values()), _MOST_STEPS)
        specs += [Aggregation(name, dict(zip(stops, values, strict=True))) for values in combinations]
    return specs


def _stops(domain: Any, default: Any) -> list[Any]:
    if not isinstance(domain, Range):
        return list(domain.options)
    step = domain.step or (1 if domain.integer else None)
    if step is None or (domain.high - domain.low) / step >= _MOST_STEPS:
        return [default]
    count = round((domain.high - domain.low) / step)
    return [min(domain.low + place * step, domain.high) for place in range(count + 1)]


def _learning_whitening() -> str:
    return next(name for name in WHITENINGS if WHITENINGS.info(name).facts["learned"])


def _with_progress(recipes: Sequence[Recipe], progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(recipes, desc="learning whitening", unit="fit", delay=1, disable=not progress, leave=False)
