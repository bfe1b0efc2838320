"""Session: a bench for live panels. Whatever a slider can reach is made in advance, so a move costs milliseconds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.backbones import load_backbone, usual_backbone
from cbirlab.base.recent import Recent
from cbirlab.datasets import Dataset, load_named
from cbirlab.datasets.base import HELD_OUT, Box
from cbirlab.encoding import ENCODINGS
from cbirlab.index import Ranking
from cbirlab.live.prefetch import Ahead
from cbirlab.live.query_image import Outside, check_rows, mean_of
from cbirlab.live.slider_stops import moves_between, one_pass_from, slider_stops
from cbirlab.pipeline import Bench, Recipe, Run, table_row
from cbirlab.pipeline.added import search_fields
from cbirlab.pipeline.distractors import refuse
from cbirlab.pipeline.fields import SEARCH, about
from cbirlab.pipeline.fitting import check_cell
from cbirlab.pipeline.learning_sets import learning_part
from cbirlab.pipeline.reranked import describe_pictures, is_slow
from cbirlab.store import Store, digest

if TYPE_CHECKING:
    from PIL import Image

PREPARED_WHITENING = "pca"
_PREPARED = ("mac", "spoc", "gem")  # cost almost nothing next to the network, and change with every slider stop
_KEPT_RUNS, _KEPT_RUN_BYTES = 256, 1 << 27
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
    aggregations : those that a panel offers; `prepare` makes all of them. By default every pooling and encoding: then
        `prepare` makes MAC, SPoC and GeM at every stop of their sliders, and the others are made when first asked for.
    dataset_name : what recipes call a loaded dataset, such as the folder it came from; its own name by default.
    store : keeps the descriptors.
    recipe : other fields of `Recipe` (`image_size`, `precision`, `whitening_set`, ...).

    Attributes
    ----------
    dataset : loaded.
    backbone, weights : as tables name them.
    taps, default_tap : shallow to deep; the deepest map.
    methods : names of the aggregations and encodings.
    common : the recipe fields that all settings share.
    store, device, bench : store and device as given; the bench carries out the recipes.
    lock : held while a ranking is made; hold it when you read from the bench yourself.
    """

    def __init__(
        self,
        dataset: str | Path | Dataset = "toytown",
        backbone: str | None = None,
        weights: str | None = None,
        aggregations: Sequence[str] | None = None,
        *,
        dataset_name: str | None = None,
        store: Store | None = None,
        device: str = "cpu",
        **recipe: Any,
    ) -> None:
        self.dataset, name = load_named(dataset)
        name = dataset_name or name
        network = load_backbone(backbone := backbone or usual_backbone(name), weights, device)
        self.backbone, self.weights = network.name, network.weights
        self.taps, self.default_tap = tuple(network.taps), network.default_tap
        given = [Aggregation.parse(one) for one in aggregations] if aggregations is not None else None
        self.aggregations = slider_stops(_PREPARED) if given is None else given
        named = [*AGGREGATIONS, *ENCODINGS] if given is None else [spec.name for spec in given]
        self.methods = tuple(dict.fromkeys(named))
        if self.dataset.learns_on_itself:  # all settings are judged on the same half
            recipe = {"whitening_set": HELD_OUT, **recipe}
        self.common = Recipe(dataset=name, backbone=backbone, weights=weights, **recipe)
        refuse("Session", self.common)
        # The whitening set is resolved for a whitening that learns; plain rankings leave it out again.
        self._learning = replace(self.common, whitening=PREPARED_WHITENING).resolved(self.dataset, network, store)
        self._plain = replace(self.common, whitening="none").resolved(self.dataset, network, store)
        rows = len(self.dataset.images) + len(self.dataset.queries)
        self._kept = max(4, _KEPT_BYTES // (4 * rows * max(tap.channels for tap in network.taps.values())))
        self.store, self.device = store or Store(), device
        self.bench = Bench(self.dataset, network, self._plain, store=self.store, keep=self._kept)
        self._recipes = Recent(_KEPT_RUNS)  # a move of a slider asks for its recipe several times
        self._runs = Recent(_KEPT_RUNS, most_bytes=_KEPT_RUN_BYTES, size=lambda run: run.size_bytes)
        self._outside = Outside(self.bench, self.taps)
        self._filling, self.lock = threading.RLock(), threading.RLock()  # ready settings rank meanwhile
        self._ahead: Ahead[Recipe] = Ahead(lambda one, other: moves_between(one, other, self.taps), self.lock)

    def prepare(self, progress: bool = True) -> None:
        """Extract what sliders can reach and the store does not have; whitenings are learned when they are used."""
        with self._filling:
            self.bench.progress = progress
            self.bench.fill(recipes := self._prepared())
            for recipe in recipes:
                self.bench.leak(recipe)

    def unreadable(self, part: str) -> Mapping[int, str]:
        """Rows of "images" or "queries" that cannot be described, and why."""
        return self.bench.unreadable(part)

    def learn_ahead(self) -> None:
        """Learn PCA whitenings for everything that `prepare` makes, in a thread, those near the last ranking first."""
        recipes = self._prepared()
        self._ahead.begin(recipes, self.bench.pair if len(recipes) <= self._kept else self.bench.whitening)

    def learn_no_more(self) -> None:
        """Say that a panel that called `learn_ahead` is gone; when the last one is gone, the learning ends."""
        self._ahead.end()

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to learn ahead; returns whether that took less than `seconds`."""
        return self._ahead.wait(seconds)

    def _prepared(self) -> list[Recipe]:
        """The recipes that `prepare` makes, the default tap's first; plain if whitenings learn on other images."""
        taps = sorted(self.taps, key=lambda tap: tap != self.default_tap)
        whitening = PREPARED_WHITENING if self.dataset.train or self.dataset.learns_on_itself else "none"
        made = (
            self.recipe(tap, spec, whitening)
            for tap, spec in itertools.product(taps, self.aggregations)
            if not check_cell(self.bench.backbone, tap, spec)
        )
        return list(dict.fromkeys(made))  # at a tap without positions all poolings are the same

    def dimensions(self, tap: str, aggregation: str = "gem") -> int:
        """Most dimensions after whitening: those of the vector, or fewer if the whitening learned on few images."""
        owner, part = learning_part(str(self._learning.whitening_set), self.dataset)
        width = Aggregation.parse(aggregation).width(self.bench.backbone.taps[tap].channels)
        return max(1, min(width, len(owner.train if part == "train" else owner.images) - 1))

    def recipe(
        self,
        tap: str,
        aggregation: str,
        whitening: str = "none",
        dimensions: int | None = None,
        stages: Sequence[tuple[str, Any]] | None = None,
    ) -> Recipe:
        """The resolved recipe of a setting; it gives the same ranking in `cbirlab.run`.

        Parameters
        ----------
        tap, aggregation, whitening, dimensions : fields of a recipe.
        stages : name and value of fields of the search ("compression", "index", "rescore") and of stages that were
            added, see `cbirlab.pipeline.add_stage`; the others are at their defaults. None for those of `common`.
        """
        usual = {name: one.default for name, one in search_fields().items()}
        setting = {"tap": tap, "aggregation": aggregation, "whitening": whitening, "dimensions": dimensions}

        def make() -> Recipe:
            chosen = setting | ({} if stages is None else usual | dict(stages))
            return replace(self.common, **chosen).resolved(self.dataset, self.bench.backbone, self.store)

        return self._recipes.get(repr((setting, stages)), make)

    def ready(self, *setting: Any) -> bool:
        """Whether a setting can be ranked at once; otherwise the network runs, or a codebook or code learns, first."""
        recipe = self.recipe(*setting)
        there = self.bench.has(recipe) and self.bench.built(recipe)
        return there and (recipe in self._runs or not is_slow(recipe, len(self.dataset.images)))

    def allowed(self, tap: str, aggregation: str) -> bool:
        """Whether an aggregation can be applied at a tap: sets of local descriptors need an encoding, for example."""
        return not check_cell(self.bench.backbone, tap, Aggregation.parse(aggregation))

    def make_ready(self, *setting: Any) -> None:
        """Extract and learn all that a setting needs; meant for a thread, and `progress.listening` can stop it."""
        recipe = self.recipe(*setting)
        self._make_ready(recipe)
        with self._filling:
            self.bench.index(recipe)
            if is_slow(recipe, len(self.dataset.images)):
                describe_pictures(recipe, self.bench.pictures, self.bench.lists)  # while others rank
                self.rank(*setting)

    def _make_ready(self, recipe: Recipe) -> None:
        """Extract a setting that is new, and in the same pass whatever its sliders can reach."""
        self._ahead.near(recipe)
        if self.bench.has(recipe):
            return
        with self._filling:
            if not self.bench.has(recipe):
                self.bench.fill(one_pass_from(recipe, self.taps, self.bench.backbone))

    def rank(self, *setting: Any, **named: Any) -> Run:
        """Rank and evaluate all benchmark queries; a setting that was asked for before costs nothing.

        Parameters
        ----------
        setting, named : the arguments of `recipe`, here and in the methods below.

        Raises
        ------
        UnknownName, ValueError : a setting that is not allowed.
        """
        recipe = self.recipe(*setting, **named)
        self._make_ready(recipe)
        with self.lock:
            return self._runs.get(recipe, lambda: self.bench.run(recipe))

    def rank_query(self, query: int, *setting: Any, **named: Any) -> Ranking:
        """Rank one benchmark query without evaluating it: (1, N), before `rank` has done the rest.

        Raises
        ------
        IndexError : no such query.
        """
        recipe = self.recipe(*setting, **named)
        if not 0 <= query < len(self.dataset.queries):
            raise IndexError(f"rank_query: query must be in [0, {len(self.dataset.queries) - 1}], got {query}.")
        self._make_ready(recipe)
        with self.lock:
            return self.bench.search(recipe, [query])

    def rank_image(
        self,
        image: int | list[int] | str | Path | Image.Image,
        *setting: Any,
        box: Box | None = None,
        prepared: bool = False,
        **named: Any,
    ) -> Ranking:
        """Rank the database for any one image, for a part of it, or for several rows as one query: (1, N).

        Parameters
        ----------
        image : a row of the database, a file, a Pillow image, or a list of rows: the mean of their descriptors.
        box : (x0, y0, x1, y1) in pixels of the upright image: the part to search for. It is cut like the boxes of a
            protocol's queries, by default at the scale of the whole image.
        prepared : the image is already cut and resized for the network; it is only made smaller if it is too large.

        Raises
        ------
        IndexError : no such row.
        ImageError : a file that cannot be read.
        ValueError : a box outside the image; several rows with a box, or where re-ranking compares pictures.
        """
        recipe, own = self.recipe(*setting, **named), None
        if isinstance(image, int | np.integer | list):
            rows = check_rows(image, len(self.dataset.images), recipe, box)
            own = rows if len(rows) == 1 else None
            if box is None:
                self._make_ready(recipe)
                with self.lock:
                    return self.bench.search(recipe, mean_of(self.bench.pair(recipe)[0].of(rows)), own=own)
            image = self.dataset.images[rows[0]]
        with self._filling:
            self._make_ready(recipe)
            rows = self._outside.rows(recipe, image, box, prepared=prepared)
        with self.lock:
            picture = self._outside.picture(image, box, prepared=prepared)
            return self.bench.search(recipe, self.bench.project(recipe, rows), own, picture=picture)

    def vectors(self, *setting: Any, **named: Any) -> tuple[np.ndarray, str]:
        """Descriptors as they are searched, L2-normalised, for a map of the images, and their key.

        Returns
        -------
        float32 (N + Q, D), the database first, then the queries, in the order of `Thumbnails.of_dataset`. An image
        that is described view by view has the mean of its views. The key changes whenever the values could: the search
        changes neither.
        """
        usual = {name: one.default for name, one in search_fields().items() if about(one).decides == SEARCH}
        described = replace(self.recipe(*setting, **named), **usual, whitening_set=self.common.whitening_set)
        recipe = described.resolved(self.dataset, self.bench.backbone, self.store)
        self._make_ready(recipe)
        with self.lock:
            parts = [rows.means() for rows in self.bench.pair(recipe) if len(rows)]
            used = ["images", *(["queries"] if self.dataset.queries else [])]
            if recipe.whitening.fact("learned"):
                used.append(str(recipe.whitening_set))
            keys = [self.bench.rows(recipe, part)[1] for part in used]
            return np.concatenate(parts), digest({"recipe": recipe.to_json(), "on": keys})

    def table_row(self, run: Run) -> dict[str, Any]:
        """Give the row that `cbirlab.compare` would give for a run of this session."""
        with self.lock:
            return table_row(self.bench.timed(run))
