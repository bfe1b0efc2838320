"""Judging: every choice between a ranking and a number, as one flat record; an alternative is the record with one field
changed.

It judges as `cbirlab.evaluate` does, or as other evaluation codes that papers have compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cbirlab.base.params import Choice
from cbirlab.datasets import Dataset
from cbirlab.evaluation import Judged, Level, Protocol
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.evaluation.metrics import METRICS, POOLED, measure
from cbirlab.evaluation.ties import equals
from cbirlab.index import Ranking
from cbirlab.index.lists import Lists, lists_of

JUNK = Choice(("ignored", "wrong", "right"))
OWN_IMAGE = Choice(("dropped", "as labelled", "wrong", "right"))
FIRST = 10  # number of first results that precision counts


@dataclass(frozen=True)
class Judging:
    """How a ranking becomes a number per query.

    Attributes
    ----------
    level : a level of the protocol.
    measure : a name in `MEASURES`, or a metric as in a protocol, "hit@1".
    junk : how images with a junk label of the level count: ignored, as if they were not in the database, or as wrong or
        right answers.
    own_image : how the query's own image counts if it is in the database: "as labelled" is what `Protocol` calls kept.
    results : how many results count; None for all there are.
    average_precision : how a metric of a protocol, like "map@100", computes it.

    Raises
    ------
    ValueError : an option that is not declared.
    """

    level: Level
    measure: str = "trapezoid"
    junk: str = "ignored"
    own_image: str = "dropped"
    results: int | None = None
    average_precision: str = "trapezoid"

    def __post_init__(self) -> None:
        JUNK.check("Judging", "junk", self.junk)
        OWN_IMAGE.check("Judging", "own_image", self.own_image)
        if self.measure.partition("@")[0] not in METRICS:
            Choice(tuple(MEASURES)).check("Judging", "measure", self.measure)

    @classmethod
    def of(cls, protocol: Protocol, level: str | None = None) -> Judging:
        """Judge as a protocol does at a level, by its main metric; "medium" by default if it has several levels."""
        own = "dropped" if protocol.own_image == "dropped" else "as labelled"
        method = protocol.average_precision
        main = method if protocol.main == "map" else protocol.main
        return cls(protocol.level(level, "differences"), main, own_image=own, average_precision=method)

    @property
    def metric(self) -> str:
        """What tables call the measure: every average precision is mAP."""
        return "map" if self.measure in MEASURES else self.measure

    @property
    def pooled(self) -> bool:
        """Whether the measure of a query depends on the other queries."""
        return self.measure == POOLED

    def values(self, ranking: Ranking | Lists, dataset: Dataset) -> np.ndarray:
        """The measure of each query (Q,); NaN if there is nothing to find."""
        return measured_by([self], ranking, dataset)[self].values

    def measured(self, judged: Judged) -> np.ndarray:
        """The measure of each query (Q,) from what `judged` gave."""
        if self.measure in MEASURES:
            return MEASURES[self.measure](judged, self.results)
        return measure(self.measure, judged, self.average_precision)

    def judged(self, ranking: Ranking | Lists, dataset: Dataset) -> Judged:
        """Where the right answers are in the list, once ignored images are taken out."""
        return Judged.joined([self.judged_from(first, block, dataset) for first, block in _numbered(ranking)])

    def judged_from(self, first: int, ranking: Ranking, dataset: Dataset) -> Judged:
        """Do what `judged` does, for the lists of some queries from query `first` on."""
        queries, ranks, right, ignored, counts = [], [], [], [], []
        listed = ranking.top(ranking.images.shape[1] if self.results is None else self.results)
        for query, (order, answers) in enumerate(zip(listed.images, listed.answers(), strict=True)):
            sought, left_out = self.rows(dataset, first + query)
            order = order[:answers]
            is_right, is_ignored = (np.isin(order, [*rows]) for rows in (sought, left_out))
            places = np.flatnonzero(is_right | is_ignored)
            queries.append(np.full(len(places), query))
            ranks.append(places)
            right.append(is_right[places])
            ignored.append(is_ignored[places])
            counts.append(len(sought))
        labelled = (np.concatenate(parts) for parts in (queries, ranks, right, ignored))
        query, rank, positive, junk = labelled
        equal = equals(query, rank, listed.scores)
        return Judged.from_labelled(query, rank, positive, junk, np.array(counts, np.int64), listed.scores, equal)

    def rows(self, dataset: Dataset, query: int) -> tuple[set[int], set[int]]:
        """Database rows that are right for a query, and rows that are ignored."""
        labels, own = dataset.labels[query], dataset.queries[query].index
        right, ignored = ({row for name in names for row in labels.get(name, ())} for names in self._names())
        if own is not None and self.own_image != "as labelled":
            right, ignored = right - {own}, ignored - {own}
            right |= {own} if self.own_image == "right" else set()
            ignored |= {own} if self.own_image == "dropped" else set()
        return right, ignored

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels that are right, and labels that are ignored."""
        right, junk = self.level.positive, self.level.junk
        return (right + junk if self.junk == "right" else right), (junk if self.junk == "ignored" else ())


class Measured(NamedTuple):
    """Judged lists: the value of each query (Q,), and the places of right answers if queries depend on each other."""

    values: np.ndarray
    judged: Judged | None


def measured_by(judgings: Iterable[Judging], ranking: Ranking | Lists, dataset: Dataset) -> dict[Judging, Measured]:
    """Apply every judging to the complete lists in one walk over them."""
    parts: dict[Judging, list[Any]] = {one: [] for one in judgings}
    for first, block in _numbered(ranking):
        for one, found in parts.items():
            judged = one.judged_from(first, block, dataset)
            found.append(judged if one.pooled else one.measured(judged))
    return {one: _together(one, found) for one, found in parts.items()}


def _numbered(ranking: Ranking | Lists) -> Iterator[tuple[int, Ranking]]:
    """Blocks of complete lists, each with the query that it begins at."""
    first = 0
    for block in lists_of(ranking):
        yield first, block
        first += len(block)


def _together(judging: Judging, parts: list[Any]) -> Measured:
    if not judging.pooled:
        return Measured(np.concatenate(parts), None)
    judged = Judged.joined(parts)
    return Measured(judging.measured(judged), judged)


def _over_found(judged: Judged, results: int | None) -> np.ndarray:
    """Average precision over the right answers that were found; 0 for lists that hold none."""
    found = judged.per_query(np.ones(len(judged.rank)))
    return judged.average_precision("finite-sum") * judged.n_positive / np.maximum(found, 1)


MEASURES: Mapping[str, Callable[[Judged, int | None], np.ndarray]] = {
    **{name: lambda judged, results, name=name: judged.average_precision(name) for name in AP_METHODS},
    "map@r": lambda judged, results: judged.average_precision("finite-sum", judged.n_positive),
    "over min(right, results)": lambda judged, results: judged.average_precision("finite-sum", results),
    "over right in results": _over_found,
    "precision up to the last right": lambda judged, results: judged.precision_at(FIRST),
    f"precision over {FIRST}": lambda judged, results: judged.found_at(FIRST) / FIRST,
    f"precision over min(right, {FIRST})": lambda judged, results: (
        judged.found_at(FIRST) / np.clip(judged.n_positive, 1, FIRST)
    ),
}
"""By name, of `Judged` and the number of results: average precision by the trapezoid, by the finite sum, over the first
R results (R right answers; Musgrave et al., ECCV 2020), and by the finite sum over what a cut list can hold (Google
Landmarks) or does hold (hashing); precision among the first as revisited Oxford and Paris have it, and over two others.
"""
