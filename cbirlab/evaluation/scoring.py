"""Scoring: a ranking judged against the labels of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.comparing import interval
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.metrics import measure
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.index import Ranking

WRONG, OWN = "", "query"
"""Names of database rows without a label, and of the query's own row."""


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
    """

    protocol: Protocol
    metrics: Mapping[str, float]
    per_query: Mapping[str, np.ndarray]
    groups: np.ndarray
    judged: Mapping[str, Judged] = field(default_factory=dict)


def evaluate(
    ranking: Ranking,
    dataset: Dataset,
    protocol: str | Protocol | None = None,
    average_precision: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Judge `ranking`, one row per query of `dataset`.

    Parameters
    ----------
    ranking : of all queries; may be cut off at K results, then positives that are missing contribute nothing.
    dataset : with labels.
    protocol : a name in `PROTOCOLS` or a protocol; the dataset's own by default.
    average_precision : "trapezoid" or "finite-sum"; the protocol's own by default.
    resamples : of the bootstrap of the main metric over instances; 0 leaves the intervals out.
    seed : of the bootstrap.

    Raises
    ------
    ValueError : no labels, labels the protocol does not know, a ranking of another number of queries, rows out of
        range or twice in one list.
    UnknownName : no such protocol.
    """
    protocol = _resolved(protocol, dataset, average_precision)
    labelled = _labelled(dataset, protocol)
    rank = _ranks(ranking, dataset, labelled)
    metrics: dict[str, float] = {}
    per_query: dict[str, np.ndarray] = {}
    judged: dict[str, Judged] = {}
    for level in protocol.levels:
        judged[level.name] = _judged(level, labelled, rank, ranking.scores)
        values = {name: measure(name, judged[level.name], protocol.average_precision) for name in protocol.metrics}
        metrics |= {name + level.suffix: _mean(found) for name, found in values.items()}
        per_query[level.name] = values[protocol.main]
    evaluation = Evaluation(protocol, metrics, per_query, query_groups(dataset), judged)
    for level in protocol.levels if resamples else ():
        found = interval(evaluation, level.name, n=resamples, seed=seed)
        name = protocol.main + level.suffix
        metrics |= {f"{name}_low": found.low, f"{name}_high": found.high}
    return evaluation


def judge(ranking: Ranking, dataset: Dataset, protocol: str | Protocol | None = None) -> np.ndarray:
    """The label of every result, for frames in a gallery.

    Returns
    -------
    (Q, K) of str: a label of the dataset ("easy", "hard", "junk", "positive"), "query" for the query's own image
    where the protocol drops it, "" for a wrong answer.
    """
    labelled = _labelled(dataset, _resolved(protocol, dataset, None))
    _check(ranking, dataset)
    _check_labels(labelled, dataset)
    names = np.array(labelled.names)
    shown = np.empty(ranking.images.shape, dtype=names.dtype)
    code = np.zeros(len(dataset.images), dtype=np.uint8)
    for query, entries in enumerate(labelled.of_queries(len(ranking))):
        code[labelled.row[entries]] = labelled.code[entries]
        shown[query] = names[code[ranking.images[query]]]
        code[labelled.row[entries]] = 0
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


def _ranks(ranking: Ranking, dataset: Dataset, labelled: _Labelled) -> np.ndarray:
    """Rank (L,) of every labelled row in the list of its query, -1 where a list is cut off before it."""
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
    return rank


def _judged(level: Level, labelled: _Labelled, rank: np.ndarray, scores: np.ndarray) -> Judged:
    positive = np.array([name in level.positive for name in labelled.names])[labelled.code]
    junk = np.array([name == OWN or name in level.junk for name in labelled.names])[labelled.code]
    n_positive = np.bincount(labelled.query[positive], minlength=len(scores))
    order = np.lexsort((rank, labelled.query))
    order = order[rank[order] >= 0]
    return Judged.from_labelled(labelled.query[order], rank[order], positive[order], junk[order], n_positive, scores)


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
