"""Described: everything before the whitening: descriptors of one dataset by one backbone, tap by tap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.extract import Computing, Descriptors, extract
from cbirlab.index import Rows
from cbirlab.index.ranking import blocks
from cbirlab.pipeline import fitting
from cbirlab.pipeline.distractors import BLOCK, apart, named, synthetic
from cbirlab.pipeline.learning_sets import learning_part
from cbirlab.pipeline.recipe import Recipe, learns_rows, right_of_maps
from cbirlab.store import Store, digest

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone


BESIDE = "distractors "
"""Before the name of a dataset: the part that its images are as distractors."""


@dataclass(frozen=True, eq=False)
class Column:
    """One tap, aggregated one way, of one part: a row per view.

    Attributes
    ----------
    values : float32 (views, D).
    counts : (images,), views of each image.
    key : hash of what the values depend on.
    pass_ms : milliseconds per image of the pass that made it, whatever else that pass made; tables measure it anew.
    """

    values: np.ndarray
    counts: np.ndarray
    key: str
    pass_ms: float = math.nan

    def of(self, images: slice) -> Column:
        """The same of some consecutive images."""
        rows = Rows(self.values, self.counts).part(images)
        return Column(rows.values, self.counts[images], self.key, self.pass_ms)


class Described:
    """Descriptors for recipes that share a bench; what is missing is extracted when it is asked for.

    Every method that takes a recipe raises ValueError if the recipe differs from the first one in what they share.

    Parameters
    ----------
    dataset, backbone : loaded.
    recipe : a resolved recipe that gives what all recipes share.
    store : keeps the descriptors.
    progress : show a bar when extraction takes more than a second.
    computing : where shards are computed, see `cbirlab.extract.extract`.
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
    ) -> None:
        self.dataset = dataset
        self.backbone = backbone
        self.shared = recipe
        self.store = store
        self.progress = progress
        self.computing = computing
        self.passes = recipe.passes
        self._columns: dict[tuple[str, str, str], Column] = {}
        self._states: dict[tuple[str, str, str], Any] = {}
        self._skipped: dict[str, dict[int, str]] = {}
        self._beside: dict[str, Dataset] = {}
        self._fitted: dict[tuple[str, ...], Any] = {}

    def _check(self, recipe: Recipe) -> None:
        """Refuse a recipe whose maps are not those of this bench."""
        mine, asked = (one.without(*right_of_maps()) for one in (self.shared, recipe))
        if mine != asked:
            name = next(name for name in mine if mine[name] != asked[name])
            raise ValueError(
                f"Bench: recipes must share {', '.join(mine)}; {name} is {mine[name]!r} here, got {asked[name]!r}; "
                "make another bench."
            )

    def fill(self, recipes: Iterable[Recipe]) -> None:
        """Extract what resolved recipes need and the store does not have, in one pass per image.

        What has to be learned first (codebooks, projections of regions) takes one more pass over the learning set.
        """
        by_set: dict[str | None, list[Recipe]] = {}
        for recipe in recipes:
            self._check(recipe)
            by_set.setdefault(recipe.whitening_set, []).append(recipe)
        if len(by_set) > 1 and None in by_set:  # cells that learn nothing join the pass of the others
            nothing = by_set.pop(None)
            by_set[next(iter(by_set))] += nothing
        for learning_set, members in by_set.items():
            wrong = [*dict.fromkeys(filter(None, map(named, members)))]
            self._fill(fitting.cells_of(members), learning_set, wrong, train=any(map(learns_rows, members)))

    def _fill(self, cells: fitting.Cells, learning_set: str | None, wrong: Sequence[str], *, train: bool) -> None:
        """Extract `cells`, which learn from `learning_set`, of the dataset and of the distractors `wrong`.

        With `train`, the learning set's own descriptors too.
        """
        name = learning_set or ""
        states = fitting.network_states(self.backbone, cells)
        known = {(tap, key): state for (tap, key, owner), state in self._states.items() if owner == name}
        missing = fitting.learning(cells, known)
        parts = ["images", *(["queries"] if self.dataset.queries else [])]
        owner, part = learning_part(name, self.dataset) if name else (self.dataset, "")
        if missing:
            beside = fitting.plain(cells) if train else {}
            samplers = fitting.samplers(missing, self.backbone)
            found = self._extract(owner, fitting.merge_cells(samplers, beside), [part], states)
            known |= fitting.learn_cells(missing, samplers, found, part, self.store, self.backbone, self.progress)
            self._states |= {(tap, key, name): state for (tap, key), state in known.items()}
        states |= known
        if train and owner is self.dataset:
            parts = list(dict.fromkeys([*parts, part]))
        own = self._extract(self.dataset, cells, parts, states)
        self._skipped |= {one: dict(rows) for one, rows in own.skipped.items()}
        for one in ("images", "queries") if self.dataset.queries else ("images",):
            self._take(own, one, one, name)
        for one in wrong:
            found = self._extract(self.distractors(one), cells, ["images"], states)
            self._take(found, "images", BESIDE + one, name)
        if train:
            others = own if owner is self.dataset else self._extract(owner, cells, [part], states)
            self._take(others, part, name, name)

    def _extract(
        self,
        dataset: Dataset,
        cells: Mapping[str, Sequence[Any]],
        parts: Sequence[str],
        states: Mapping[Any, Any],
        store: Store | None = None,
    ) -> Descriptors:
        return extract(
            dataset,
            self.backbone,
            taps=list(cells),
            aggregations=cells,
            image_size=self.shared.image_size,
            scales=self.shared.scales,
            scale_pooling=self.shared.scale_pooling,
            passes=self.passes,
            states=states,
            parts=parts,
            precision=self.shared.precision,
            engine=self.shared.engine,
            crop=self.shared.crop,
            resizing=self.shared.resizing,
            store=store or self.store,
            progress=self.progress and store is None,
            computing=self.computing if store is None else None,
        )

    def describe(self, dataset: Dataset, recipe: Recipe, store: Store) -> float:
        """Describe the images of a dataset as a recipe does, into `store`; milliseconds per image of the pass."""
        self.column(recipe.taps[0][1], recipe, "images")  # by then everything that has to be learned is known
        cells, name = fitting.cells_of([recipe]), recipe.whitening_set or ""
        learned = {(tap, key): state for (tap, key, owner), state in self._states.items() if owner == name}
        states = {**fitting.network_states(self.backbone, cells), **learned}
        found = self._extract(dataset, cells, ["images"], states, store)
        return max(found.pass_ms[cell]["images"] for cell in found)

    def distractors(self, name: str) -> Dataset:
        """The dataset whose images stand beside the database, without those that are evaluated."""
        if name not in self._beside:
            self._beside[name] = apart(load_dataset(name), self.dataset, self.store)
        return self._beside[name]

    def count_distractors(self, recipe: Recipe) -> int:
        """How many rows stand beside the images of the dataset."""
        return len(self.distractors(named(recipe)).images) if named(recipe) else synthetic(recipe)

    def distractor_rows(self, recipe: Recipe) -> Iterator[Rows]:
        """Descriptors of real distractors before whitening, a block of images at a time."""
        columns = [self.column(tap, recipe, BESIDE + named(recipe)) for _, tap in recipe.taps]
        for images in blocks(len(columns[0].counts), BLOCK):
            yield self._joined(recipe, [one.of(images) for one in columns])

    def unreadable(self, part: str) -> Mapping[int, str]:
        """Rows of "images" or "queries" that could not be described so far, and why."""
        return self._skipped.get(part, {})

    def _take(self, found: Descriptors, part: str, name: str, learning_set: str) -> None:
        for tap, key in found:
            values = found[tap, key].get(part)
            if values is not None:
                column = Column(values, found.counts[part], found.keys[tap, key][part], found.pass_ms[tap, key][part])
                self._columns[tap, _named(key, learning_set), name] = column

    def column(self, tap: str, recipe: Recipe, part: str) -> Column:
        """One tap of "images", "queries", a whitening set or distractors; extracted now if it is missing."""
        self._check(recipe)
        name = (tap, _named(recipe.aggregation, recipe.whitening_set or ""), part)
        if name not in self._columns:
            self.fill([recipe])
        if name in self._columns:
            return self._columns[name]
        if part != "queries":
            raise ValueError(f"{self.dataset.name}: there are no {part} to describe.")
        images = self.column(tap, recipe, "images")  # images from outside can only be queries
        return Column(images.values[:0], images.counts[:0], images.key)

    def has(self, recipe: Recipe) -> bool:
        """Whether everything that a resolved recipe needs is extracted."""
        self._check(recipe)
        parts = [
            "images",
            *(["queries"] if self.dataset.queries else []),
            *([recipe.whitening_set] * learns_rows(recipe)),
            *([BESIDE + named(recipe)] if named(recipe) else []),
        ]
        cell = _named(recipe.aggregation, recipe.whitening_set or "")
        return all((tap, cell, part) in self._columns for _, tap in recipe.taps for part in parts)

    def rows(self, recipe: Recipe, part: str) -> tuple[Rows, str]:
        """Descriptors of a part before whitening, views combined and taps concatenated, and their key."""
        columns = [self.column(tap, recipe, part) for _, tap in recipe.taps]
        made_of = {"taps": str(recipe.tap), "combine": self.passes.combine, "on": [one.key for one in columns]}
        made_of |= fitting.asked_of(self.passes)
        return self._joined(recipe, columns), digest(made_of)

    def _joined(self, recipe: Recipe, columns: Sequence[Column]) -> Rows:
        """The columns of a recipe's taps, views combined, side by side."""
        members = recipe.taps
        found = [self._combined(tap, recipe, column) for (_, tap), column in zip(members, columns, strict=True)]
        if len(members) == 1:
            return found[0]
        values = fitting.concatenate_taps([rows.values for rows in found], [weight for weight, _ in members])
        return Rows(values, found[0].counts)

    def _combined(self, tap: str, recipe: Recipe, column: Column) -> Rows:
        """Combine the views of each image into one row, or keep them if they are matched one by one."""
        if self.passes.single:
            return Rows(column.values)
        if self.passes.combine == "match":
            return Rows(column.values, column.counts)
        state = self._view_codebook(tap, recipe) if self.passes.codebook else None
        return fitting.combine_views(self.passes.combine, column.values, column.counts, state)

    def _view_codebook(self, tap: str, recipe: Recipe) -> Mapping[str, np.ndarray]:
        name = (tap, recipe.aggregation, str(recipe.whitening_set))
        if name not in self._fitted:
            column = self.column(tap, recipe, str(recipe.whitening_set))
            self._fitted[name] = fitting.view_codebook(self.passes, column.values, column.key, self.store)
        return self._fitted[name]

    def outside(self, recipe: Recipe, views: Mapping[str, np.ndarray]) -> Rows:
        """Join the views of one image from outside, given tap by tap, into descriptors before whitening."""
        members = recipe.taps
        columns = [Column(views[tap], np.array([len(views[tap])]), "") for _, tap in members]
        return self._joined(recipe, columns)

    def state(self, tap: str, recipe: Recipe) -> Any:
        """What describing a query at a tap needs: what the aggregation learned, or part of the network; mostly None."""
        self.column(tap, recipe, "images")
        spec = recipe.aggregation
        known = self._states.get((tap, spec.key, recipe.whitening_set or ""))
        found = known or fitting.network_states(self.backbone, {tap: [spec]}).get((tap, spec.key))
        return found and (found.of_queries or found.value)


def _named(aggregation: str, learning_set: str) -> str:
    """An aggregation together with what it learned from."""
    return f"{aggregation} on {learning_set}" if Aggregation.parse(aggregation).learns else str(aggregation)
