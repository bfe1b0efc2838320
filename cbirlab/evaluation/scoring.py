"""Scoring: a ranking judged against the labels of a dataset."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.comparing import interval
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.metrics import measure
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.evaluation.remarks import remarks
from cbirlab.evaluation.ties import Equals, decided, equals
from cbirlab.index import Ranking

WRONG, OWN, NO_ANSWER = "", "query", "no answer"
"""Names of database rows without a label, of the query's own row, and of rows at a score of -inf (see `Ranking`)."""


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


def evaluate(
    ranking: Ranking,
    dataset: Dataset,
    protocol: str | Protocol | None = None,
    average_precision: str | None = None,
    *,
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
    UnknownName : no such protocol.
    """
    protocol = _resolved(protocol, dataset, average_precision)
    labelled = _labelled(dataset, protocol)
    found = _found(ranking, dataset, labelled)
    metrics: dict[str, float] = {}
    per_query: dict[str, np.ndarray] = {}
    judged: dict[str, Judged] = {}
    tied: dict[str, np.ndarray] = {}
    for level in protocol.levels:
        one = found.judged(level)
        judged[level.name], tied[level.name] = one, found.decided(level, one, protocol)
        values = {name: measure(name, one, protocol.average_precision) for name in protocol.metrics}
        metrics |= {name + level.suffix: _mean(value) for name, value in values.items()}
        per_query[level.name] = values[protocol.main]
    evaluation = Evaluation(protocol, metrics, per_query, query_groups(dataset), judged, tied)
    for level in protocol.levels if resamples else ():
        bounds = interval(evaluation, level.name, n=resamples, seed=seed)
        name = protocol.main + level.suffix
        metrics |= {f"{name}_low": bounds.low, f"{name}_high": bounds.high}
    for remark in remarks(evaluation, ranking, dataset) if remarking else ():
        warnings.warn(f"evaluate: {remark}", stacklevel=2)
    return evaluation


def judge(ranking: Ranking, dataset: Dataset, protocol: str | Protocol | None = None) -> np.ndarray:
    """The label of every result, for frames in a gallery.

    Returns
    -------
    (Q, K) of str: a label of the dataset ("easy", "hard", "junk", "positive"), "query" for the query's own image
    where the protocol drops it, "" for a wrong answer, "no answer" at a score of -inf.
    """
    labelled = _labelled(dataset, _resolved(protocol, dataset, None))
    _check(ranking, dataset)
    _check_labels(labelled, dataset)
    names = np.array(labelled.names)
    shown = np.empty(ranking.images.shape, dtype=np.array([*labelled.names, NO_ANSWER]).dtype)
    code = np.zeros(len(dataset.images), dtype=np.uint8)
    for query, entries in enumerate(labelled.of_queries(len(ranking))):
        code[labelled.row[entries]] = labelled.code[entries]
        shown[query] = names[code[ranking.images[query]]]
        code[labelled.row[entries]] = 0
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
class _Labelled:
    """All labels of a dataset as arrays (L,), sorted by query: `code` is a place in `names`."""

    query: np.ndarray
    row: np.ndarray
    code: np.ndarray
    names: list[str]

    def of_queries(self, count: int) -> list[slice]:
        """The entries of each query."""
        ends = np.searchsorted(self.query, np.arange(count + 1)).tolist()
        return [slice(*pair) for pair in pairwise(ends)]

    def masks(self, level: Level) -> tuple[np.ndarray, np.ndarray]:
        """Which of `names` are positive at a level, and which are junk."""
        positive = np.array([name in level.positive for name in self.names])
        return positive, np.array([name == OWN or name in level.junk for name in self.names])


def _labelled(dataset: Dataset, protocol: Protocol) -> _Labelled:
    if not dataset.labels:
        raise ValueError(f"evaluate: dataset {dataset.name!r} has no ground truth, so its rankings have no metrics.")
    names = [WRONG, OWN, *dict.fromkeys(label for level in protocol.levels for label in level.positive + level.junk)]
    codes = {name: code for code, name in enumerate(names)}
    unknown = {label for labels in dataset.labels for label in labels} - {*names[2:]}
    if unknown:
        raise ValueError(
            f"evaluate: protocol {protocol.name!r} knows the labels {', '.join(names[2:])}; dataset {dataset.name!r} "
            f"has {', '.join(sorted(unknown))} too; choose the protocol it was made for."
        )
    entries = [
        (query, codes[label], rows)
        for query, labels in enumerate(dataset.labels)
        for label, rows in _without_own(labels, dataset.queries[query].index, protocol).items()
    ]
    sizes = [len(rows) for _, _, rows in entries]
    return _Labelled(
        query=np.repeat(np.array([query for query, _, _ in entries], dtype=np.int64), sizes),
        row=np.fromiter(chain.from_iterable(rows for _, _, rows in entries), dtype=np.int64, count=sum(sizes)),
        code=np.repeat(np.array([code for _, code, _ in entries], dtype=np.uint8), sizes),
        names=names,
    )


def _without_own(
    labels: Mapping[str, tuple[int, ...]], own: int | None, protocol: Protocol
) -> Mapping[str, tuple[int, ...]]:
    """Labels of one query, its own image moved to a label of its own where the protocol drops it."""
    if own is None or protocol.own_image == "kept":
        return labels
    return {label: tuple(row for row in rows if row != own) for label, rows in labels.items()} | {OWN: (own,)}


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
    labelled: _Labelled
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

    def decided(self, level: Level, judged: Judged, protocol: Protocol) -> np.ndarray:
        return decided(judged, self.query, *self.masks(level), self.equal, protocol)


def _found(ranking: Ranking, dataset: Dataset, labelled: _Labelled) -> _Found:
    rank = _ranks(ranking, dataset, labelled)
    order = np.lexsort((rank, labelled.query))
    order = order[rank[order] >= 0]
    query, rank = labelled.query[order], rank[order]
    return _Found(query, rank, labelled.code[order], labelled, ranking.scores, equals(query, rank, ranking.scores))


def _ranks(ranking: Ranking, dataset: Dataset, labelled: _Labelled) -> np.ndarray:
    """Rank (L,) of every labelled row in the list of its query, -1 where the list ends before it."""
    _check(ranking, dataset)
    _check_labels(labelled, dataset)
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


def _check(ranking: Ranking, dataset: Dataset) -> None:
    if len(ranking) != len(dataset.queries):
        raise ValueError(f"evaluate: ranking must have one row per query ({len(dataset.queries)}), got {len(ranking)}.")
    images = ranking.images
    if images.size and (images.min() < 0 or images.max() >= len(dataset.images)):
        raise ValueError(f"evaluate: ranking must hold database rows in [0, {len(dataset.images) - 1}].")


def _check_labels(labelled: _Labelled, dataset: Dataset) -> None:
    count, row = len(dataset.images), labelled.row
    if row.size and (row.min() < 0 or row.max() >= count):
        raise ValueError(f"evaluate: labels of {dataset.name!r} must be rows in [0, {count - 1}].")
    if len(np.unique(labelled.query * count + row)) != len(row):
        raise ValueError(f"evaluate: dataset {dataset.name!r} labels a database row twice for one query.")


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")
