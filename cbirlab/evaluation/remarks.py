"""Remarks: reasons why the numbers of an evaluation mean less than they seem to, a sentence for each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.index import Ranking

if TYPE_CHECKING:
    from cbirlab.evaluation.result import Evaluation

NAMED = 3
"""How many images a sentence names."""

NOTICED = 5e-4
"""Half a unit of the last digit that tables show. In a large database some float32 scores are equal by chance."""


class Answers:
    """Counts the answers of lists that come block by block, and finds the images that no list has as an answer.

    Parameters
    ----------
    images : N.
    """

    def __init__(self, images: int) -> None:
        self._counts: list[np.ndarray] = []
        self.images = self.length = images
        self.past = np.zeros(images, np.int64)
        """For each image (N,), in how many lists with answers it comes after the last answer."""

    def add(self, block: Ranking) -> None:
        """Count the answers of the next queries."""
        counts, self.length = block.answers(), block.images.shape[1]
        self._counts.append(counts)
        for query in np.flatnonzero((counts > 0) & (counts < self.length)):
            self.past[block.images[query, counts[query] :]] += 1

    @property
    def counts(self) -> np.ndarray:
        """The number of answers of each query (Q,)."""
        return np.concatenate(self._counts)


def remarks(
    evaluation: Evaluation, answers: Answers, dataset: Dataset, described: Callable[[], np.ndarray] | None = None
) -> Iterator[str]:
    """The remarks on an evaluation; none if there is nothing to say.

    Parameters
    ----------
    described : tells which images have a descriptor (N,), if that is known.
    """
    yield from _without_answer(answers, dataset, described)
    yield from _nothing_to_find(evaluation, dataset)
    yield from _ties(evaluation)


def _without_answer(found: Answers, dataset: Dataset, described: Callable[[], np.ndarray] | None) -> Iterator[str]:
    """A remark on queries that have no answer, and on images that are never an answer."""
    answers, length = found.counts, found.length
    unanswered = np.flatnonzero(answers == 0)
    if len(unanswered):
        names = _named([dataset.queries[query].path.name for query in unanswered], len(answers), "queries")
        yield f"{names} have no descriptor (or an empty list), so these find nothing and count as 0."
    short = np.flatnonzero((answers > 0) & (answers < length))
    if length < found.images or len(short) + len(unanswered) < len(answers) or not len(short):
        return  # an image that is missing only in some lists does have a descriptor
    missing = found.past[: len(dataset.images)] == len(short)
    empty, beyond = "have no descriptor", "come after the end of every list"
    if described is None or not missing.any():
        reasons = {f"{empty}, or {beyond}": missing}
    else:
        reasons = {empty: missing & ~described(), beyond: missing & described()}
    for reason, rows in reasons.items():
        if rows.any():
            found_by_none = [dataset.images[row].name for row in np.flatnonzero(rows)]
            yield f"{_named(found_by_none, len(dataset.images), 'images')} {reason}, so no query finds them."


def _nothing_to_find(evaluation: Evaluation, dataset: Dataset) -> Iterator[str]:
    """A remark on levels at which no query has a positive: their metrics are NaN."""
    empty = [level for level, judged in evaluation.judged.items() if not (judged.n_positive > 0).any()]
    if not empty:
        return
    where = "" if len(empty) == len(evaluation.judged) == 1 else f" at the level {' and '.join(empty)}"
    alone = 0 < len(dataset.instances) == len({*dataset.instances}) and not any(
        rows for labels in dataset.labels for rows in labels.values()
    )
    why = ": every image is the only one of its class or folder" if alone else ""
    queries = len(dataset.queries)
    yield f"none of the {queries} queries of {dataset.name!r} has a right answer{where}{why}; metrics there are nan."


def _ties(evaluation: Evaluation) -> Iterator[str]:
    """A remark on queries that the order of equal scores decides, at the level with most of them."""
    level, spans = max(evaluation.tied.items(), key=lambda item: np.count_nonzero(item[1]))
    count, counted = np.count_nonzero(spans), (evaluation.judged[level].n_positive > 0).sum()
    if spans.sum() >= NOTICED * counted > 0:
        name = evaluation.protocol.main + evaluation.protocol.level(level).suffix
        yield (
            f"equal scores affect {count} of {counted} queries: ties keep the order of the images, and another order "
            f"would change {name} by up to {spans.sum() / counted:.2g}."
        )


def _named(names: Sequence[str], count: int, kind: str) -> str:
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return f"{len(names)} of {count} {kind} ({shown})"
