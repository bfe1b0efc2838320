"""Scoring: judges a ranking against the labels of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.comparing import interval
from cbirlab.evaluation.found import Found, check_rows, find
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.labelled import check_labels, find_labelled, names_of
from cbirlab.evaluation.metrics import decided_by_ties, is_pooled, measure
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.evaluation.remarks import Answers, remarks
from cbirlab.evaluation.result import Evaluation
from cbirlab.index import Ranking
from cbirlab.index.lists import Lists, blocks, lists_of, some_of

NO_ANSWER = "no answer"
"""Name of database rows at a score of -inf (see `Ranking`)."""


def evaluate(
    ranking: Ranking | Lists,
    dataset: Dataset,
    protocol: str | Protocol | None = None,
    average_precision: str | None = None,
    *,
    metrics: Sequence[str] = (),
    distractors: int = 0,
    resamples: int = 2000,
    seed: int = 0,
    remarking: bool = True,
) -> Evaluation:
    """Judge `ranking`, one row per query of `dataset`.

    Parameters
    ----------
    ranking : of all queries; it may be cut off at K results: missing positives contribute nothing, nor do those with a
        score of -inf, which means no answer.
    dataset : with labels.
    protocol : a name in `PROTOCOLS` or a protocol; the dataset's own by default.
    average_precision : "trapezoid" or "finite-sum"; the protocol's own by default.
    metrics : further metrics, in addition to the protocol's, such as "recall@1" or "hit@5".
    distractors : how many rows of the lists follow the images of the dataset; they are wrong answers.
    resamples : of the bootstrap of the main metric over instances; 0 leaves the intervals out.
    seed : of the bootstrap.
    remarking : warn of reasons why the numbers mean less than they seem to; set it to False for one ranking of many.

    Warns
    -----
    UserWarning : queries or images without an answer, levels at which no query has a positive, queries that the order
        of equal scores decides.

    Raises
    ------
    ValueError : no labels, labels that the protocol does not know, a ranking with another number of queries, rows out
        of range or twice in one list.
    UnknownName : no such protocol or metric.
    """
    scorer = Scorer(dataset, protocol, average_precision, metrics, distractors=distractors)
    lists = lists_of(ranking)
    _check_queries(len(lists), dataset)
    for block in lists:
        scorer.add(block)
    evaluation = scorer.evaluation(resamples=resamples, seed=seed)
    if remarking:
        scorer.warn(evaluation)
    return evaluation


class Scorer:
    """Judges lists that come block by block, and keeps only the ranks of the positives.

    Parameters
    ----------
    dataset, protocol, average_precision, metrics : as for `evaluate`.
    distractors : how many rows of the lists follow the images of the dataset; they are wrong answers.

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
        *,
        distractors: int = 0,
    ) -> None:
        self.dataset = dataset
        self.protocol = _resolved(protocol, dataset, average_precision).with_metrics(*metrics)
        check_labels(dataset, self.protocol)
        self._parts: dict[str, list[_Scored]] = {level.name: [] for level in self.protocol.levels}
        self._rows = len(dataset.images) + distractors
        self._answers = Answers(self._rows)
        self._done = 0

    def add(self, lists: Ranking) -> None:
        """Judge the lists of the next queries."""
        for rows in blocks(len(lists), self._rows):
            self._add(some_of(lists, rows))

    def _add(self, block: Ranking) -> None:
        queries = range(self._done, self._done + len(block))
        labelled = find_labelled(self.dataset, self.protocol, queries)
        found = find(block, self.dataset, labelled, self._rows - len(self.dataset.images))
        for level in self.protocol.levels:
            self._parts[level.name].append(_Scored.of(found, level, self.protocol))
        self._answers.add(block)
        self._done = queries.stop

    def evaluation(self, *, resamples: int = 2000, seed: int = 0) -> Evaluation:
        """The evaluation of all lists, once every query has been judged."""
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

    def warn(self, evaluation: Evaluation, described: Callable[[], np.ndarray] | None = None) -> None:
        """Warn of reasons why its numbers mean less than they seem to; `described` is as for `remarks`."""
        for remark in remarks(evaluation, self._answers, self.dataset, described):
            notify(f"evaluate: {remark}")


class _Scored(NamedTuple):
    """Lists judged at one level: the metrics of each query, and what the order of equal scores decides.

    Values that depend on other queries exist only once all lists are joined.
    """

    judged: Judged
    values: dict[str, np.ndarray]
    tied: np.ndarray

    @classmethod
    def of(cls, found: Found, level: Level, protocol: Protocol) -> _Scored:
        judged, method = found.judged(level), protocol.average_precision
        values = {name: measure(name, judged, method) for name in protocol.metrics if not is_pooled(name)}
        pooled = is_pooled(protocol.main)
        return cls(judged, values, np.empty(0) if pooled else decided_by_ties(protocol.main, judged, method))

    @classmethod
    def joined(cls, parts: Sequence[_Scored], protocol: Protocol) -> _Scored:
        judged, method = Judged.joined([one.judged for one in parts]), protocol.average_precision
        values = {
            name: measure(name, judged, method)
            if is_pooled(name)
            else np.concatenate([one.values[name] for one in parts])
            for name in protocol.metrics
        }
        if is_pooled(protocol.main):
            return cls(judged, values, decided_by_ties(protocol.main, judged, method))
        return cls(judged, values, np.concatenate([one.tied for one in parts]))


def judge(ranking: Ranking, dataset: Dataset, protocol: str | Protocol | None = None) -> np.ndarray:
    """The label of every result, for frames in a gallery.

    Returns
    -------
    (Q, K) of str: a label of the dataset ("easy", "hard", "junk", "positive"), "query" for the query's own image if the
    protocol drops it, "" for a wrong answer, "no answer" at a score of -inf.
    """
    protocol = _resolved(protocol, dataset, None)
    check_labels(dataset, protocol)
    _check_queries(len(ranking), dataset)
    check_rows(ranking, len(dataset.images))
    names = np.array(names_of(protocol))
    shown = np.empty(ranking.images.shape, dtype=np.array([*names, NO_ANSWER]).dtype)
    code = np.zeros(len(dataset.images), dtype=np.uint8)
    for query, images in enumerate(ranking.images):
        own = find_labelled(dataset, protocol, [query])
        code[own.row] = own.code
        shown[query] = names[code[images]]
        code[own.row] = 0
    shown[ranking.scores == -np.inf] = NO_ANSWER
    return shown


def query_groups(dataset: Dataset) -> np.ndarray:
    """Group of each query (Q,): queries whose first positives show one instance share a group, others stand alone."""
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


def _check_queries(queries: int, dataset: Dataset) -> None:
    if queries != len(dataset.queries):
        raise ValueError(f"evaluate: ranking must have one row per query ({len(dataset.queries)}), got {queries}.")


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")
