"""Result: what a recipe gave, how long its steps took, and how its rankings were judged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.datasets.walking import in_words
from cbirlab.evaluation import Evaluation, Scorer
from cbirlab.index import Ranking
from cbirlab.index.lists import Kept, Lists, without
from cbirlab.pipeline.learning_sets import held_for
from cbirlab.pipeline.recipe import Recipe
from cbirlab.pipeline.reranked import Told

T = TypeVar("T")

NOT_DECODED = "without a descriptor"

SEARCHES, BUDGET_SECONDS = 5, 0.1
"""A search is repeated until so many were timed, or took so long together; a longer one is timed only once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What a recipe or a fusion gave.

    Attributes
    ----------
    dataset : the one that was searched.
    ranking : (Q, N) database rows and scores; of a large run the first places of each query (`cbirlab.index.lists`).
    evaluation : by the protocol of the recipe; None if the dataset has no ground truth.
    metrics : name to value, in 0..1 but for N-S; empty without ground truth.
    seconds : per step.
    dim : dimensions of the descriptors that were searched.
    distractors : rows of distractors beside the database; in rankings they follow the images of the dataset.
    index_bytes : size of the database in the index.
    build_seconds : time that it took to fill the index, perhaps before this run.
    searches : seconds of further searches of all queries, made only to time them.
    recall : share of the ten nearest images that an approximate search finds, see `cbirlab.index.recall`; 1 for an
        exact one.
    leak : empty, or what the evaluated images share with those that something was learned on.
    skipped : part to row to reason: images that cannot be read.
    """

    dataset: Dataset
    ranking: Ranking
    evaluation: Evaluation | None
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    dim: int
    distractors: int = 0
    index_bytes: int = 0
    build_seconds: float = 0.0
    searches: tuple[float, ...] = ()
    recall: float = 1.0
    leak: str = ""
    skipped: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, str]:
        """Every file that was left out, when the dataset was loaded or when it was described: sentence to cause.

        A file that is a query and a database image too is one file.
        """
        found = {file.reason: file.cause for file in self.dataset.left_out}
        return found | {reason: NOT_DECODED for rows in self.skipped.values() for reason in rows.values()}

    @property
    def size_bytes(self) -> int:
        """Size of what is kept of the answers and of how they were judged."""
        kept = self.ranking.images.nbytes + self.ranking.scores.nbytes
        return kept + (self.evaluation.size_bytes if self.evaluation else 0)

    @property
    def ms_per_query(self) -> float:
        """Milliseconds of search per query, the best of all searches."""
        return 1000 * min((self.seconds["search"], *self.searches)) / max(1, len(self.ranking))

    @property
    def bytes_per_image(self) -> int:
        """Bytes that an image takes in the index, on average."""
        return round(self.index_bytes / (len(self.dataset.images) + self.distractors))


@dataclass(frozen=True, eq=False, kw_only=True)
class Run(Outcome):
    """What a recipe gave; its steps are "load", "extract", "whiten", "index", "search" and "evaluate".

    If results were re-ranked, there are also "rerank", which is part of "search", and "prepare": what was made of the
    database once for all queries.

    Attributes
    ----------
    recipe : resolved, so that it can be run again.
    weights : what tables call the weights.
    forward_passes : per database image, over all its views and scales.
    extract_ms : milliseconds that it takes to describe an image; NaN if nobody asked for it.
    reranked : what re-ranking did, and the first places before it; None if nothing was re-ranked.
    """

    recipe: Recipe
    weights: str
    forward_passes: float = 1.0
    extract_ms: float = math.nan
    reranked: Told | None = None


class Clock:
    """Seconds per stage: ``with clock("search"): ...``."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str) -> Clock:
        self._stage = stage
        return self

    def each(self, stage: str, blocks: Iterable[T]) -> Iterator[T]:
        """Blocks that are made when they are asked for; the time that this takes counts as `stage`."""
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


def time_again(search: Callable[[], object], first: float) -> tuple[float, ...]:
    """Repeat a search for its time in seconds, after a cold one that took `first`."""
    seconds: list[float] = []
    while 1 + len(seconds) < SEARCHES and first + sum(seconds) < BUDGET_SECONDS:
        started = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - started)
    return tuple(seconds)


def judge(
    lists: Lists,
    dataset: Dataset,
    recipe: Recipe,
    clock: Clock,
    again: Lists | None = None,
    *,
    distractors: int = 0,
    described: Callable[[], np.ndarray] | None = None,
) -> tuple[Ranking, Evaluation | None]:
    """The lists as far as they are kept, and all of them judged by the recipe's protocol; None without ground truth.

    Parameters
    ----------
    again : makes the lists again if not all are kept; by default `lists`.
    distractors : how many rows of the lists follow the images of the dataset.
    described : tells which of these have a descriptor (N,).
    """
    kept, held = Kept(*lists.shape), held_for(recipe.whitening_set, dataset)
    truth, judging = (
        dataset if held is None else held.judged,
        (recipe.protocol, recipe.average_precision, recipe.metrics),
    )
    scorer = Scorer(truth, *judging, distractors=distractors) if dataset.labels else None
    left_out = None if held is None else np.pad(held.rows, (0, distractors))
    for block in clock.each("search", lists):
        kept.add(block)
        if scorer is not None:
            with clock("evaluate"):
                scorer.add(block if left_out is None else without(block, left_out))
    with clock("evaluate"):
        evaluation = None if scorer is None else scorer.evaluation()
    if scorer is not None and evaluation is not None:
        scorer.warn(evaluation, described=described)
    return kept.ranking(again or lists), evaluation


def count_left_out(result: Outcome) -> dict[str, int | str]:
    """The cells of a table that tell how many files were left out, and why."""
    found = result.left_out
    return {"skipped": len(found), "left_out": in_words(found.values())}
