"""Session: a bench for live panels. Everything a slider can reach is made before, so that a move costs milliseconds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab import images
from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.backbones import load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.encoding import ENCODINGS
from cbirlab.extract.network import Network
from cbirlab.extract.pooling import pool
from cbirlab.index import Ranking
from cbirlab.params import Range, parameters
from cbirlab.passes import View
from cbirlab.pipeline import Bench, Recipe, Run, table_row
from cbirlab.pipeline.bench import Recent
from cbirlab.pipeline.fitting import check_cell
from cbirlab.pipeline.recipe import split_taps
from cbirlab.pipeline.stages import Rows, learning_part
from cbirlab.store import Store

if TYPE_CHECKING:
    from PIL import Image

PREPARED_WHITENING = "pca"
_PREPARED = ("mac", "spoc", "gem")  # cost next to nothing beside the network, and change with every stop of a slider
_MOST_STEPS = 64
_STOPS_AT_ONCE = 24
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
    aggregations : those a panel offers, all of them made by `prepare`; by default every pooling and encoding, of which
        `prepare` makes MAC, SPoC and GeM at every stop of their sliders, and the others are made when first asked for.
    store : where descriptors are kept.
    recipe : other fields of `Recipe` (`image_size`, `precision`, `whitening_set`, ...).

    Attributes
    ----------
    dataset : loaded.
    backbone, weights : as in tables.
    taps : shallow to deep.
    default_tap : the deepest map.
    methods : names of the aggregations and encodings.
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
        self.default_tap = network.default_tap
        given = [Aggregation.parse(one) for one in aggregations] if aggregations is not None else None
        self.aggregations = slider_stops(_PREPARED) if given is None else given
        named = [*AGGREGATIONS, *ENCODINGS] if given is None else [spec.name for spec in given]
        self.methods = tuple(dict.fromkeys(named))
        self._recipe = Recipe(dataset=name, backbone=backbone, weights=weights, **recipe)
        # The whitening set is resolved for a whitening that learns; plain rankings leave it out again.
        self._learning = replace(self._recipe, whitening=PREPARED_WHITENING).resolved(self.dataset, network)
        self._plain = replace(self._recipe, whitening="none").resolved(self.dataset, network)
        rows = len(self.dataset.images) + len(self.dataset.queries)
        self._kept = max(4, _KEPT_BYTES // (4 * rows * max(tap.channels for tap in network.taps.values())))
        self._bench = Bench(self.dataset, network, self._plain, store=store or Store(), keep=self._kept)
        self._runs = Recent(_KEPT_RUNS)
        self._foreign = Recent(16)
        self._lock = threading.RLock()

    def prepare(self, progress: bool = True) -> None:
        """Extract, and learn PCA-whitening; what the store has is taken from there."""
        with self._lock:
            self._bench.progress = progress
            recipes = [
                self.recipe(tap, spec.key, PREPARED_WHITENING)
                for tap, spec in itertools.product(self.taps, self.aggregations)
                if not check_cell(self._bench.backbone, tap, spec)
            ]
            self._bench.fill(recipes)
            for recipe in _with_progress(recipes, progress):
                self._bench.whitening(recipe)
                self._bench.leak(recipe)
                if len(recipes) <= self._kept:
                    self._bench.pair(recipe)

    def dimensions(self, tap: str, aggregation: str = "gem") -> int:
        """Most dimensions after whitening: those of the vector, or fewer where whitening learned on few images."""
        owner, part = learning_part(str(self._learning.whitening_set), self.dataset)
        learned_on = len(owner.train if part == "train" else owner.images)
        width = Aggregation.parse(aggregation).width(self._bench.backbone.taps[tap].channels)
        return max(1, min(width, learned_on - 1))

    def recipe(self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None) -> Recipe:
        """The resolved recipe of a setting; it gives the same ranking in `cbirlab.run`."""
        wanted = replace(self._recipe, tap=tap, aggregation=aggregation, whitening=whitening, dimensions=dimensions)
        return wanted.resolved(self.dataset, self._bench.backbone)

    def ready(self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None) -> bool:
        """Whether a setting can be ranked at once; else the network, or what learns a codebook, runs first."""
        return self._bench.has(self.recipe(tap, aggregation, whitening, dimensions))

    def _make_ready(self, recipe: Recipe) -> None:
        """Extract a setting that is asked for the first time, and what its sliders reach in the same pass."""
        if self._bench.has(recipe):
            return
        spec = Aggregation.parse(recipe.aggregation)
        alone = spec.learns or bool(spec.attentions)
        stops = [] if alone else [one for one in slider_stops([spec.name]) if not one.learns]
        near = stops if len(stops) <= _STOPS_AT_ONCE else [spec]
        taps = self.taps if not spec.learns else [tap for _, tap in split_taps(str(recipe.tap))]
        network = self._bench.backbone
        others = [
            replace(recipe, tap=tap, aggregation=one.key)
            for tap, one in itertools.product(taps, near)
            if not check_cell(network, tap, one)
        ]
        self._bench.fill([*others, recipe])

    def rank(self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None) -> Run:
        """All benchmark queries ranked and evaluated; a setting that was asked for before costs nothing.

        Raises
        ------
        UnknownName, ValueError : a setting that is not allowed.
        """
        recipe = self.recipe(tap, aggregation, whitening, dimensions)
        with self._lock:
            self._make_ready(recipe)
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
            if not 0 <= query < len(self.dataset.queries):
                raise IndexError(f"rank_query: query must be in [0, {len(self.dataset.queries) - 1}], got {query}.")
            self._make_ready(recipe)
            return self._bench.search(recipe, [query])

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
            self._make_ready(recipe)
            if isinstance(image, int | np.integer):
                images, _ = self._bench.pair(recipe)
                if not 0 <= image < len(images):
                    raise IndexError(f"rank_image: image must be a row in [0, {len(images) - 1}], got {image}.")
                return self._bench.search(recipe, images.of([int(image)]))
            return self._bench.search(recipe, self._bench.project(recipe, self._describe(image, recipe)))

    def table_row(self, run: Run) -> dict[str, Any]:
        """The row that `cbirlab.compare` would give for a run of this session."""
        return table_row(run)

    def _describe(self, image: str | Path | Image.Image, recipe: Recipe) -> Rows:
        """Descriptors of an image from outside before whitening; its maps are kept for the next move of a slider."""
        name = str(image) if isinstance(image, str | Path) else id(image)
        maps = self._foreign.get(name, lambda: (image, self._maps(image)))[1]
        spec = Aggregation.parse(recipe.aggregation)
        views = {}
        for _, tap in split_taps(str(recipe.tap)):
            state = self._bench.state(tap, recipe)
            views[tap] = np.concatenate([pool(view[tap], [spec], {spec.key: state})[spec.key] for view in maps])
        return self._bench.outside(recipe, views)

    def _maps(self, image: str | Path | Image.Image) -> list[dict[str, Any]]:
        """The maps of every view of an image."""
        upright = images.read(image)
        passes, size = self._bench.passes, int(self._plain.image_size or 0)
        network = Network(self._bench.backbone, precision=self._plain.precision)
        whole = View(upright.height, upright.width, lambda: np.asarray(upright))
        boxes = [None] if passes.single else passes.boxes(whole)
        pixels = [images.pixels(upright, image_size=size, box=box, scale=passes.magnify) for box in boxes]
        return [network.maps(one[None].copy(), self.taps) for one in pixels]


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


def _with_progress(recipes: Sequence[Recipe], progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(recipes, desc="learning whitening", unit="fit", delay=1, disable=not progress, leave=False)
