"""Stages: what lies to the right of the descriptors: learning and applying whitening, search, evaluation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import Evaluation, evaluate
from cbirlab.extract import image_hashes
from cbirlab.index import INDEXES, Ranking
from cbirlab.params import checked
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store import Store, StoreUnwritable
from cbirlab.whitening import WHITENINGS, learn, normalise, project

_WHITENING_VERSION = 1


@dataclass(frozen=True, eq=False)
class Run:
    """What came of a recipe.

    Attributes
    ----------
    recipe : resolved, so that it can be run again.
    dataset : what was searched.
    ranking : (Q, N) database rows and scores.
    evaluation : under the recipe's protocol; None where the dataset has no ground truth.
    metrics : name to value in 0..1; empty without ground truth.
    seconds : per stage: "load", "extract", "whiten", "search", "evaluate".
    weights : what tables call the weights.
    dim : dimensions of the descriptors that were searched.
    leak : empty, or what the evaluated images have to do with what was learned.
    skipped : part to row to reason: images that cannot be read.
    """

    recipe: Recipe
    dataset: Dataset
    ranking: Ranking
    evaluation: Evaluation | None
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    weights: str
    dim: int
    leak: str = ""
    skipped: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def ms_per_query(self) -> float:
        """Milliseconds of search per query."""
        return 1000 * self.seconds["search"] / max(1, len(self.ranking))

    @property
    def bytes_per_image(self) -> int:
        """Bytes of one descriptor in the index."""
        return 4 * self.dim


class Clock:
    """Seconds per stage: ``with clock("search"): ...``."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str) -> Clock:
        self._stage = stage
        return self

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + time.perf_counter() - self._start


def learning_part(whitening_set: str, dataset: Dataset) -> tuple[Dataset, str]:
    """Dataset and part that a resolved whitening set names.

    Raises
    ------
    UnknownName : no such dataset.
    ValueError : it has no train split, and that is what was asked for.
    """
    if whitening_set == dataset.train_name:
        return dataset, "train"
    if whitening_set == f"{dataset.name}/images":
        return dataset, "images"
    name, _, part = whitening_set.rpartition("/")
    if name and part in ("train", "images") and not Path(whitening_set).expanduser().is_dir():
        other = load_dataset(name)
    else:
        other = load_dataset(whitening_set)
        part = "train" if other.train else "images"
    if part == "train" and not other.train:
        raise ValueError(f"whitening_set {whitening_set!r}: dataset {other.name!r} has no train split.")
    return other, part


def learned(name: str, values: np.ndarray, key: str, store: Store) -> Any:
    """The whitening `name` fitted on `values`, which are known by `key`; from the store if it was fitted before."""
    estimator = WHITENINGS[name]
    parameters = checked(estimator, {}, owner=name)
    specification = {"whitening": name, "parameters": parameters, "on": key, "version": _WHITENING_VERSION}
    entry = store.get("fitted", specification)
    if entry is None:
        fitted = learn(name, values)
        found = {attribute: value for attribute, value in vars(fitted).items() if attribute not in parameters}
        arrays = {attribute: value for attribute, value in found.items() if isinstance(value, np.ndarray)}
        numbers = {attribute: int(value) for attribute, value in found.items() if attribute not in arrays}
        try:
            store.put("fitted", specification, arrays, numbers=numbers)
        except StoreUnwritable:
            return fitted  # extraction has said so already; fitting again is cheap
        return fitted
    fitted = estimator(**parameters)
    for attribute, value in {**entry.arrays, **entry.notes["numbers"]}.items():
        setattr(fitted, attribute, value)
    return fitted


def projected(whitening: Any, values: np.ndarray) -> np.ndarray:
    """Descriptors whitened with all dimensions, not yet normalised again; None as whitening leaves them as they are."""
    return normalise(values) if whitening is None else project(whitening, values)


def shortened(values: np.ndarray, dimensions: int | None) -> np.ndarray:
    """The leading dimensions, rows L2-normalised."""
    kept = values if dimensions is None else values[:, :dimensions]
    return normalise(kept) if len(kept) else kept


def search(recipe: Recipe, images: np.ndarray, queries: np.ndarray) -> Ranking:
    """Rank the database rows for each query."""
    if not len(queries):
        return Ranking(np.empty((0, len(images)), np.int64), np.empty((0, len(images)), np.float32))
    return INDEXES[recipe.index]().fit(images).search(queries)


def judged(ranking: Ranking, dataset: Dataset, recipe: Recipe) -> Evaluation | None:
    """The ranking under the recipe's protocol, or None where there is no ground truth."""
    if not dataset.labels:
        return None
    return evaluate(ranking, dataset, recipe.protocol, recipe.average_precision)


def leak_between(learning: tuple[Dataset, str], dataset: Dataset, store: Store) -> str:
    """What the images that whitening was learned on share with the evaluated ones, by their bytes; empty if nothing."""
    owner, part = learning
    evaluated = image_hashes([*dataset.images, *(query.path for query in dataset.queries)], store)
    used = image_hashes(owner.train if part == "train" else owner.images, store)
    shared = len(evaluated & used)
    return f"whitening learned on {shared} of the {len(evaluated)} evaluated images" if shared else ""


def check_dimensions(recipe: Recipe, width: int) -> int | None:
    """Dimensions to keep of `width` whitened ones.

    Raises
    ------
    ValueError : fewer dimensions are asked for without whitening: channels have no order of importance.
    """
    if WHITENINGS.info(recipe.whitening).facts["learned"] or recipe.dimensions in (None, width):
        return recipe.dimensions
    raise ValueError(
        f"Recipe: dimensions must be {width} or None with whitening {recipe.whitening!r}, got {recipe.dimensions}; "
        "channels have no order of importance, use whitening='pca' to keep fewer."
    )
