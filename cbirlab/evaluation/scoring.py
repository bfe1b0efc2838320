"""Scoring: a ranking judged against the labels of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.intervals import bootstrap_many
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.metrics import measure
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.index import Ranking

BLOCK = 2**24
"""Elements of a (queries, N) table held at a time: 64 MB of ranks."""

WRONG, OWN = "", "query"
"""Names of database rows without a label, and of the query's own row."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out, and under which protocol.

    Attributes
    ----------
    protocol : prints every choice.
    metrics : means over queries in [0, 1]: "map_medium", "mp@10_medium", and with intervals "map_medium_low" and
        "..._high"; without suffix where the protocol has one level ("map", "map_low", "mp@10"). NaN where no query
        has a positive.
    per_query : average precision (Q,) of every level, NaN where the query has no positive there.
    groups : (Q,) queries of one number share an instance; for `bootstrap` and `paired_difference`.
    """

    protocol: Protocol
    metrics: Mapping[str, float]
    per_query: Mapping[str, np.ndarray]
    groups: np.ndarray


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
    resamples : of the bootstrap of mAP over instances; 0 leaves the intervals out.
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
    for level in protocol.levels:
        judged = _judged(level, labelled, rank, len(dataset.queries))
        for metric in protocol.metrics:
            metrics[metric + level.suffix] = _mean(measure(metric, judged, protocol.average_precision))
        per_query[level.name] = judged.average_precision(protocol.average_precision)
    groups = query_groups(dataset)
    if resamples:
        columns = {f"map{level.suffix}": per_query[level.name] for level in protocol.levels}
        for name, interval in bootstrap_many(columns, n=resamples, seed=seed, groups=groups).items():
            metrics |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return Evaluation(protocol, metrics, per_query, groups)


def judge(ranking: Ranking, dataset: Dataset, protocol: str | Protocol | None = None) -> np.ndarray:
    """The label of every result, for frames in a gallery.

    Returns
    -------
    (Q, K) of str: a label of the dataset ("easy", "hard", "junk", "positive"), "query" for the query's own image
    where the protocol drops it, "" for a wrong answer.
    """
    labelled = _labelled(dataset, _resolved(protocol, dataset, None))
    _check(ranking, dataset)
    names = np.array(labelled.names)
    shown = np.empty(ranking.images.shape, dtype=names.dtype)
    for queries, entries in _blocks(labelled.query, dataset):
        table = np.zeros((queries.stop - queries.start, len(dataset.images)), dtype=np.uint8)
        table[labelled.query[entries] - queries.start, labelled.row[entries]] = labelled.code[entries]
        shown[queries] = names[np.take_along_axis(table, ranking.images[queries], axis=1)]
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
    rank = np.empty(len(labelled.row), dtype=np.int64)
    places = np.arange(ranking.images.shape[1], dtype=np.int32)
    for queries, entries in _blocks(labelled.query, dataset):
        images = ranking.images[queries]
        place = np.full((len(images), len(dataset.images)), -1, dtype=np.int32)
        np.put_along_axis(place, images, places[None], axis=1)
        if np.count_nonzero(place >= 0) != images.size:
            raise ValueError("evaluate: ranking must hold a database row at most once per query, got one twice.")
        row = labelled.row[entries]
        if row.size and (row.min() < 0 or row.max() >= len(dataset.images)):
            raise ValueError(f"evaluate: labels of {dataset.name!r} must be rows in [0, {len(dataset.images) - 1}].")
        rank[entries] = place[labelled.query[entries] - queries.start, row]
        flat = labelled.query[entries] * len(dataset.images) + row
        if len(np.unique(flat)) != len(flat):
            raise ValueError(f"evaluate: dataset {dataset.name!r} labels a database row twice for one query.")
    return rank


def _judged(level: Level, labelled: _Labelled, rank: np.ndarray, n_queries: int) -> Judged:
    positive = np.array([name in level.positive for name in labelled.names])[labelled.code]
    junk = np.array([name == OWN or name in level.junk for name in labelled.names])[labelled.code]
    n_positive = np.bincount(labelled.query[positive], minlength=n_queries)
    order = np.lexsort((rank, labelled.query))
    order = order[rank[order] >= 0]
    return Judged.from_labelled(labelled.query[order], rank[order], positive[order], junk[order], n_positive)


def _blocks(query: np.ndarray, dataset: Dataset) -> Iterator[tuple[slice, slice]]:
    """Some queries at a time, and their entries in the sorted `query`, so that a (queries, N) table stays small."""
    size = max(1, BLOCK // len(dataset.images))
    for start in range(0, len(dataset.queries), size):
        stop = min(start + size, len(dataset.queries))
        yield slice(start, stop), slice(*np.searchsorted(query, [start, stop]))


def _check(ranking: Ranking, dataset: Dataset) -> None:
    if len(ranking) != len(dataset.queries):
        raise ValueError(f"evaluate: ranking must have one row per query ({len(dataset.queries)}), got {len(ranking)}.")
    images = ranking.images
    if images.size and (images.min() < 0 or images.max() >= len(dataset.images)):
        raise ValueError(f"evaluate: ranking must hold database rows in [0, {len(dataset.images) - 1}].")


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")
