"""Scoring: a ranking judged against the labels of a dataset."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.comparing import interval
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.labelled import Labelled, check_labels, labelled, names_of
from cbirlab.evaluation.metrics import measure, pooled
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.evaluation.remarks import Answers, remarks
from cbirlab.evaluation.ties import Equals, best_and_worst, decided, equals
from cbirlab.index import Ranking
from cbirlab.lists import Lists, blocks, lists_of, some_of

NO_ANSWER = "no answer"
"""Name of database rows at a score of -inf (see `Ranking`)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out, and under which protocol.

    Attributes
    ----------
    protocol : prints every choice.
    metrics : means over queries, in [0, 1] but for N-S: "map_medium", "mp@10_medium", and intervals of the protocol's
        main metric, "map_medium_low" and "..._high"; without suffix where the protocol has one level ("map",
        "map_low", "mp@10"). NaN where no query has a positive.
    per_query : the main metric, mostly average precision, of every query (Q,) at every level; NaN where the query has
        no positive there.
    groups : (Q,) queries of one number share an instance; for `bootstrap` and `paired_difference`.
    judged : level to the ranks of the positives.
    tied : level to what the order of equal scores decides of the main metric of each query (Q,): its value under the
        best order less that under the worst; 0 where the order changes nothing.
    """

    protocol: Protocol
    metrics: Mapping[str, float]
    per_query: Mapping[str, np.ndarray]
    groups: np.ndarray
    judged: Mapping[str, Judged] = field(default_factory=dict)
    tied: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of its arrays."""
        arrays = [self.groups, *self.per_query.values(), *self.tied.values()]
        return sum(one.nbytes for one in arrays) + sum(one.size_bytes for one in self.judged.values())


def evaluate(
    ranking: Ranking | Lists,
    dataset: Dataset,
    protocol: str | Protocol | None = None,
    average_precision: str | None = None,
    *,
    metrics: Sequence[str] = (),
    resamples: int = 2000,
    seed: int = 0,
    remarking: bool = True,
) -> Evaluation:
    """Judge `ranking`, one row per query of `dataset`.

    Parameters
    ----------
    ranking : of all queries; may be cut off at K results, then positives that are missing contribute nothing, nor do
        those at a score of -inf, which is no answer.
    dataset : with labels.
    protocol : a name in `PROTOCOLS` or a protocol; the dataset's own by default.
    average_precision : "trapezoid" or "finite-sum"; the protocol's own by default.
    metrics : further ones beside the protocol's, "recall@1" or "hit@5".
    resamples : of the bootstrap of the main metric over instances; 0 leaves the intervals out.
    seed : of the bootstrap.
    remarking : warn of what makes the numbers less than they seem; no, where one ranking of many is judged.

    Warns
    -----
    UserWarning : queries or images without an answer, levels at which no query has a positive, queries that the order
        of equal scores decides.

    Raises
    ------
    ValueError : no labels, labels the protocol does not know, a ranking of another number of queries, rows out of
        range or twice in one list.
    UnknownName : no such protocol or metric.
    """
    scorer, lists = Scorer(dataset, protocol, average_precision, metrics), lists_of(ranking)
    _check_queries(len(lists), dataset)
    for block in lists:
        scorer.add(block)
    evaluation = scorer.evaluation(resamples=resamples, seed=seed)
    if remarking:
        scorer.warn(evaluation, stacklevel=3)
    return evaluation


class Scorer:
    """Judges lists that come block by block: what is kept of them is where the positives stand.

    Parameters
    ----------
    dataset, protocol, average_precision, metrics : as of `evaluate`.

    Raises
    ------
    UnknownName, ValueError : as `evaluate` does.
    """

    def __init__(
        self,
        dataset: Dataset,
        protocol: str | Protocol | None = None,
        average_precision: str | None = None,
        metrics: Sequence[str] = (),
    ) -> None:
        self.dataset = dataset
        self.protocol = _resolved(protocol, dataset, average_precision).with_metrics(*metrics)
        check_labels(dataset, self.protocol)
        self._parts: dict[str, list[_Scored]] = {level.name: [] for level in self.protocol.levels}
        self._answers = Answers(len(dataset.images))
        self._done = 0

    def add(self, lists: Ranking) -> None:
        """Judge the lists of the next queries."""
        for rows in blocks(len(lists), len(self.dataset.images)):
            self._add(some_of(lists, rows))

    def _add(self, block: Ranking) -> None:
        queries = range(self._done, self._done + len(block))
        found = _found(block, self.dataset, labelled(self.dataset, self.protocol, queries))
        for level in self.protocol.levels:
            self._parts[level.name].append(_Scored.of(found, level, self.protocol))
        self._answers.add(block)
        self._done = queries.stop

    def evaluation(self, *, resamples: int = 2000, seed: int = 0) -> Evaluation:
        """All lists together, once every query was judged."""
        _check_queries(self._done, self.dataset)
        protocol, metrics = self.protocol, {}
        scored = {level: _Scored.joined(parts, protocol) for level, parts in self._parts.items()}
        for level in protocol.levels:
            values = scored[level.name].values
            metrics |= {name + level.suffix: _mean(value) for name, value in values.items()}
        evaluation = Evaluation(
            protocol=protocol,
            metrics=metrics,
            per_query={level: one.values[protocol.main] for level, one in scored.items()},
            groups=query_groups(self.dataset),
            judged={level: one.judged for level, one in scored.items()},
            tied={level: one.tied for level, one in scored.items()},
        )
        for level in protocol.levels if resamples else ():
            bounds = interval(evaluation, level.name, n=resamples, seed=seed)
            name = protocol.main + level.suffix
            metrics |= {f"{name}_low": bounds.low, f"{name}_high": bounds.high}
        return evaluation

    def warn(self, evaluation: Evaluation, stacklevel: int = 2) -> None:
        """Warn of what makes its numbers less than they seem."""
        for remark in remarks(evaluation, self._answers, self.dataset):
            warnings.warn(f"evaluate: {remark}", stacklevel=stacklevel)


class _Scored(NamedTuple):
    """Lists judged at one level: the metrics of each query, and what the order of equal scores decides.

    Of what depends on other queries there is nothing before all are joined; `best` and `worst` are kept for that.
    """

    judged: Judged
    values: dict[str, np.ndarray]
    tied: np.ndarray
    best: Judged | None
    worst: Judged | None

    @classmethod
    def of(cls, found: _Found, level: Level, protocol: Protocol) -> _Scored:
        judged = found.judged(level)
        best, worst = found.best_and_worst(level, judged)
        values = {name: _measured(name, judged, protocol) for name in protocol.metrics if not pooled(name)}
        if pooled(protocol.main):
            return cls(judged, values, np.empty(0), best, worst)
        return cls(judged, values, decided(best, worst, protocol), None, None)

    @classmethod
    def joined(cls, parts: Sequence[_Scored], protocol: Protocol) -> _Scored:
        judged = Judged.joined([one.judged for one in parts])
        values = {
            name: _measured(name, judged, protocol)
            if pooled(name)
            else np.concatenate([one.values[name] for one in parts])
            for name in protocol.metrics
        }
        best, worst = ([getattr(one, name) for one in parts] for name in ("best", "worst"))
        if pooled(protocol.main):
            tied = decided(Judged.joined(best), Judged.joined(worst), protocol)
        else:
            tied = np.concatenate([one.tied for one in parts])
        return cls(judged, values, tied, None, None)


def judge(ranking: Ranking, dataset: Dataset, protocol: str | Protocol | None = None) -> np.ndarray:
    """The label of every result, for frames in a gallery.

    Returns
    -------
    (Q, K) of str: a label of the dataset ("easy", "hard", "junk", "positive"), "query" for the query's own image
    where the protocol drops it, "" for a wrong answer, "no answer" at a score of -inf.
    """
    protocol = _resolved(protocol, dataset, None)
    check_labels(dataset, protocol)
    _check_queries(len(ranking), dataset)
    _check_rows(ranking, dataset)
    names = np.array(names_of(protocol))
    shown = np.empty(ranking.images.shape, dtype=np.array([*names, NO_ANSWER]).dtype)
    code = np.zeros(len(dataset.images), dtype=np.uint8)
    for query, images in enumerate(ranking.images):
        own = labelled(dataset, protocol, [query])
        code[own.row] = own.code
        shown[query] = names[code[images]]
        code[own.row] = 0
    shown[ranking.scores == -np.inf] = NO_ANSWER
    return shown


def query_groups(dataset: Dataset) -> np.ndarray:
    """Group of each query (Q,): queries whose first positive shows one instance are one group, others stand alone."""
    numbers: dict[str, int] = {}
    groups = []
    for query, labels in enumerate(dataset.labels):
        first = next((rows[0] for label, rows in labels.items() if label != "junk" and len(rows)), None)
        if first is None or not dataset.instances:
            group = f"query {query}"
        else:
            group = f"instance {dataset.instances[first]}"
        groups.append(numbers.setdefault(group, len(numbers)))
    return np.array(groups, dtype=np.int64)


def _resolved(protocol: str | Protocol | None, dataset: Dataset, average_precision: str | None) -> Protocol:
    protocol = dataset.protocol if protocol is None else protocol
    protocol = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
    return protocol if average_precision is None else protocol.with_average_precision(average_precision)


@dataclass(frozen=True, eq=False)
class _Found:
    """The labelled rows (F,) that the lists hold as answers, sorted by query, then by place.

    Attributes
    ----------
    query, rank, code : of each; `code` is a place in `names`.
    labelled : all of them, found or not.
    scores : (Q, K) of the lists.
    equal : runs of equal scores; None where all stand alone.
    """

    query: np.ndarray
    rank: np.ndarray
    code: np.ndarray
    labelled: Labelled
    scores: np.ndarray
    equal: Equals | None

    def masks(self, level: Level) -> tuple[np.ndarray, np.ndarray]:
        """Which are positive (F,), and which are junk."""
        positive, junk = self.labelled.masks(level)
        return positive[self.code], junk[self.code]

    def judged(self, level: Level) -> Judged:
        positive, _ = self.labelled.masks(level)
        sought = self.labelled.query[positive[self.labelled.code]]
        n_positive = np.bincount(sought, minlength=len(self.scores))
        return Judged.from_labelled(self.query, self.rank, *self.masks(level), n_positive, self.scores)

    def best_and_worst(self, level: Level, judged: Judged) -> tuple[Judged, Judged]:
        if self.equal is None:
            return judged, judged
        return best_and_worst(judged, self.query, *self.masks(level), self.equal)


def _found(ranking: Ranking, dataset: Dataset, labelled: Labelled) -> _Found:
    rank = _ranks(ranking, dataset, labelled)
    order = np.lexsort((rank, labelled.query))
    order = order[rank[order] >= 0]
    query, rank = labelled.query[order], rank[order]
    return _Found(query, rank, labelled.code[order], labelled, ranking.scores, equals(query, rank, ranking.scores))


def _ranks(ranking: Ranking, dataset: Dataset, labelled: Labelled) -> np.ndarray:
    """Rank (L,) of every labelled row in the list of its query, -1 where the list ends before it."""
    _check_rows(ranking, dataset)
    rank = np.empty(len(labelled.row), dtype=np.int64)
    places = np.arange(ranking.images.shape[1], dtype=np.int32)
    place = np.full(len(dataset.images), -1, dtype=np.int32)
    complete = len(places) == len(place)  # then two sweeps are cheaper than two more visits row by row
    for images, entries in zip(ranking.images, labelled.of_queries(len(ranking)), strict=True):
        place[images] = places
        if place.min() < 0 if complete else (place[images] != places).any():
            raise ValueError("evaluate: ranking must hold a database row at most once per query, got one twice.")
        rank[entries] = place[labelled.row[entries]]
        place[slice(None) if complete else images] = -1
    rank[rank >= ranking.answers()[labelled.query]] = -1
    return rank


def _check_rows(ranking: Ranking, dataset: Dataset) -> None:
    images = ranking.images
    if images.size and (images.min() < 0 or images.max() >= len(dataset.images)):
        raise ValueError(f"evaluate: ranking must hold database rows in [0, {len(dataset.images) - 1}].")


def _check_queries(queries: int, dataset: Dataset) -> None:
    if queries != len(dataset.queries):
        raise ValueError(f"evaluate: ranking must have one row per query ({len(dataset.queries)}), got {queries}.")


def _measured(metric: str, judged: Judged, protocol: Protocol) -> np.ndarray:
    return measure(metric, judged, protocol.average_precision)


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")
