"""Stages: what lies to the right of the descriptors: learning and applying whitening, search, evaluation."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.held_out import HELD_OUT
from cbirlab.evaluation import Evaluation, Scorer
from cbirlab.extract import Sampler, State, image_hashes
from cbirlab.extract.sampling import unpacked
from cbirlab.index import Ranking
from cbirlab.lists import Kept, Lists, without
from cbirlab.pipeline.learning_sets import held_for
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store import Store, StoreUnwritable, digest
from cbirlab.store.code import code_version
from cbirlab.whitening import Whitening, learn, normalise, project

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Run:
    """What came of a recipe.

    Attributes
    ----------
    recipe : resolved, so that it can be run again.
    dataset : what was searched.
    ranking : (Q, N) database rows and scores; of a large run the first places of each query (see `cbirlab.lists`).
    evaluation : under the recipe's protocol; None where the dataset has no ground truth.
    metrics : name to value, in 0..1 but for N-S; empty without ground truth.
    seconds : per stage: "load", "extract", "whiten", "index", "search", "evaluate".
    weights : what tables call the weights.
    dim : dimensions of the descriptors that were searched.
    forward_passes : per database image, over all its views and scales.
    extract_ms : milliseconds that it takes to describe an image; NaN where nobody asked for it.
    searches : seconds of further searches of all queries, made for their time alone.
    index_bytes : that the database takes in the index.
    build_seconds : that it took to fill the index, which may have been before this run.
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
    forward_passes: float = 1.0
    extract_ms: float = math.nan
    searches: tuple[float, ...] = ()
    index_bytes: int = 0
    build_seconds: float = 0.0
    leak: str = ""
    skipped: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What is kept of the answers and of how they were judged."""
        kept = self.ranking.images.nbytes + self.ranking.scores.nbytes
        return kept + (self.evaluation.size_bytes if self.evaluation else 0)

    @property
    def ms_per_query(self) -> float:
        """Milliseconds of search per query, the best of all searches."""
        return 1000 * min((self.seconds["search"], *self.searches)) / max(1, len(self.ranking))

    @property
    def bytes_per_image(self) -> int:
        """Bytes that an image takes in the index, on average."""
        return round(self.index_bytes / len(self.dataset.images))


class Clock:
    """Seconds per stage: ``with clock("search"): ...``."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str) -> Clock:
        self._stage = stage
        return self

    def each(self, stage: str, blocks: Iterable[T]) -> Iterator[T]:
        """Blocks that are made as they are asked for: what that takes counts as `stage`."""
        waiting = iter(blocks)
        while True:
            with self(stage):
                block = next(waiting, None)
            if block is None:
                return
            yield block

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
    if dataset.train and whitening_set == (dataset.train_name or f"{dataset.name}/train"):
        return dataset, "train"
    if whitening_set == f"{dataset.name}/images":
        return dataset, "images"
    if whitening_set == f"{dataset.name}/{HELD_OUT}" and dataset.held_out:
        return dataset.held_out.learning, "train"
    name, _, part = whitening_set.rpartition("/")
    if name and part in ("train", "images", HELD_OUT) and not Path(whitening_set).expanduser().is_dir():
        other = load_dataset(name)
        if part == HELD_OUT and other.held_out:
            other, part = other.held_out.learning, "train"
    else:
        other = load_dataset(whitening_set)
        part = "train" if other.train else "images"
    if part == "train" and not other.train:
        raise ValueError(f"whitening_set {whitening_set!r}: dataset {other.name!r} has no train split.")
    return other, part


def learned(whitening: Whitening, values: np.ndarray, labels: Sequence[str], key: str, store: Store) -> Any:
    """A whitening fitted on `values`, which are known by `key`; from the store if it was fitted before.

    Parameters
    ----------
    labels : instance of each row, for a whitening that learns from pairs.
    """
    estimator = whitening.target()
    pairs = {"labels": sha256(repr(list(labels)).encode()).hexdigest()} if whitening.fact("pairs") else {}
    code = code_version("whitening", estimator)
    specification = {"whitening": whitening.name, "parameters": whitening.parameters, "code": code, "on": key, **pairs}

    def fit() -> dict[str, np.ndarray]:
        fitted = learn(whitening, values, labels if pairs else None)
        return {name: np.asarray(value) for name, value in vars(fitted).items() if name not in fitted.get_params()}

    fitted = estimator(**whitening.parameters)
    for attribute, value in remembered(store, specification, fit).items():
        setattr(fitted, attribute, value.item() if value.ndim == 0 else value)
    return fitted


def warn_of_few(recipe: Recipe, whitening: Any, images: int, width: int) -> None:
    """Say where nobody chose to learn on so few images, and what would do with them."""
    if not whitening.tempered and images < 2 * min(width, recipe.dimensions or width):
        warnings.warn(
            f"whitening {recipe.whitening!r} is learned on {images} images for {width} dimensions, so its smallest "
            "variances are mostly error: take 'shrinkage', 'pca(power=0.25)' or at most "
            f"{max(1, images // 2)} dimensions.",
            stacklevel=5,
        )


def remembered(
    store: Store, specification: Mapping[str, Any], fit: Callable[[], dict[str, np.ndarray]]
) -> Mapping[str, np.ndarray]:
    """What `fit` learns, or what the store has of it."""
    entry = store.get("fitted", specification)
    if entry is not None:
        return entry.arrays
    arrays = fit()
    with suppress(StoreUnwritable):  # extraction has said so already; fitting again is cheap
        store.put("fitted", specification, arrays)
    return arrays


def learned_state(
    spec: Aggregation, sampler: Sampler, rows: np.ndarray, key: str, store: Store, given: Mapping[str, np.ndarray]
) -> State:
    """What an aggregation learns from the sampled `rows` of the train split, which are known by `key`.

    Parameters
    ----------
    given : arrays that it needs besides, of the network's classifier.
    """
    code = code_version("aggregation", "encoding", spec.target())
    specification = {"aggregation": spec.key, "code": code, "on": key}
    arrays = remembered(store, specification, lambda: spec.learn(*unpacked(rows, sampler)))
    both = {**arrays, **given}
    of_queries = spec.prepare(both, queries=True) if spec.fact("similarity") else None
    return State(spec.prepare(both), digest(specification), of_queries)


def projected(whitening: Any, values: np.ndarray) -> np.ndarray:
    """Descriptors whitened with all dimensions, not yet normalised again; None as whitening leaves them as they are."""
    return normalise(values) if whitening is None else project(whitening, values)


def shortened(values: np.ndarray, dimensions: int | None) -> np.ndarray:
    """The leading dimensions, rows L2-normalised."""
    kept = values if dimensions is None else values[:, :dimensions]
    return normalise(kept) if len(kept) else kept


def judged(
    lists: Lists, dataset: Dataset, recipe: Recipe, clock: Clock, again: Lists | None = None
) -> tuple[Ranking, Evaluation | None]:
    """What is kept of the lists, and all of them under the recipe's protocol; None where there is no ground truth.

    Parameters
    ----------
    again : what makes the lists again where not all is kept; by default `lists`.
    """
    kept, held = Kept(*lists.shape), held_for(recipe, dataset)
    truth, judging = (
        dataset if held is None else held.judged,
        (recipe.protocol, recipe.average_precision, recipe.metrics),
    )
    scorer = Scorer(truth, *judging) if dataset.labels else None
    for block in clock.each("search", lists):
        kept.add(block)
        if scorer is not None:
            with clock("evaluate"):
                scorer.add(block if held is None else without(block, held.rows))
    with clock("evaluate"):
        evaluation = None if scorer is None else scorer.evaluation()
    if scorer is not None and evaluation is not None:
        scorer.warn(evaluation)
    return kept.ranking(again or lists), evaluation


def leak_between(learning: tuple[Dataset, str], dataset: Dataset, store: Store) -> str:
    """What the images that was learned on share with the evaluated ones, by their bytes; empty if nothing."""
    owner, part = learning
    held = dataset.held_out
    if held is not None and owner is held.learning:
        paths = held.evaluated
    else:
        paths = [*dataset.images, *(query.path for query in dataset.queries)]
    evaluated = image_hashes(paths, store)
    used = image_hashes(owner.train if part == "train" else owner.images, store)
    shared = len(evaluated & used)
    return f"learned on {shared} of the {len(evaluated)} evaluated images" if shared else ""


def check_dimensions(recipe: Recipe, width: int) -> int | None:
    """Dimensions to keep of `width` whitened ones.

    Raises
    ------
    ValueError : fewer dimensions are asked for where they have no order of importance.
    """
    if recipe.whitening.fact("ordered") or recipe.dimensions in (None, width):
        return recipe.dimensions
    raise ValueError(
        f"Recipe: dimensions must be {width} or None with whitening {recipe.whitening!r}, got {recipe.dimensions}; "
        "its dimensions have no order of importance, use whitening='pca' to keep fewer."
    )
