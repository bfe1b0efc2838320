"""Scoring: a ranking judged against the labels of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.intervals import bootstrap_many
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.metrics import measure
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.index import Ranking

BLOCK = 2**24
"""Labels held at a time (query, database row): 16 MB."""

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
    _check(ranking, dataset, protocol)
    blocks = [
        _judged_levels(labels, ranking.images[rows], protocol) for rows, labels in _label_blocks(dataset, protocol)
    ]
    metrics: dict[str, float] = {}
    per_query: dict[str, np.ndarray] = {}
    for place, level in enumerate(protocol.levels):
        for metric in protocol.metrics:
            values = [measure(metric, judged[place], protocol.average_precision) for judged in blocks]
            metrics[metric + level.suffix] = _mean(np.concatenate(values))
        precisions = [judged[place].average_precision(protocol.average_precision) for judged in blocks]
        per_query[level.name] = np.concatenate(precisions)
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
    protocol = _resolved(protocol, dataset, None)
    _check(ranking, dataset, protocol)
    names = np.array(_names(protocol))
    codes = [
        np.take_along_axis(labels, ranking.images[rows], axis=1) for rows, labels in _label_blocks(dataset, protocol)
    ]
    return names[np.concatenate(codes)]


def query_groups(dataset: Dataset) -> np.ndarray:
    """Group of each query (Q,): queries whose first positive shows one instance are one group, others stand alone."""
    keys = []
    for query, labels in enumerate(dataset.labels):
        first = next((rows[0] for label, rows in labels.items() if label != "junk" and len(rows)), None)
        known = dataset.instances and first is not None
        keys.append(f"instance {dataset.instances[first]}" if known else f"query {query}")
    return np.unique(keys, return_inverse=True)[1] if keys else np.zeros(0, dtype=np.int64)


def _resolved(protocol: str | Protocol | None, dataset: Dataset, average_precision: str | None) -> Protocol:
    protocol = dataset.protocol if protocol is None else protocol
    protocol = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
    return protocol if average_precision is None else protocol.with_average_precision(average_precision)


def _check(ranking: Ranking, dataset: Dataset, protocol: Protocol) -> None:
    if not dataset.labels:
        raise ValueError(f"evaluate: dataset {dataset.name!r} has no ground truth, so its rankings have no metrics.")
    if len(ranking) != len(dataset.queries):
        raise ValueError(f"evaluate: ranking must have one row per query ({len(dataset.queries)}), got {len(ranking)}.")
    images, count = ranking.images, len(dataset.images)
    if images.size and not (images.min() >= 0 and images.max() < count):
        raise ValueError(f"evaluate: ranking must hold database rows in [0, {count - 1}].")
    seen = np.zeros(count, dtype=bool)
    for query, row in enumerate(images):
        seen[:] = False
        seen[row] = True
        if np.count_nonzero(seen) != len(row):
            raise ValueError(
                f"evaluate: ranking must hold every database row at most once per query; query {query} repeats one."
            )
    known = {*_names(protocol)}
    unknown = {label for labels in dataset.labels for label in labels} - known
    if unknown:
        raise ValueError(
            f"evaluate: protocol {protocol.name!r} knows the labels {', '.join(sorted(known - {WRONG, OWN}))}; "
            f"dataset {dataset.name!r} has {', '.join(sorted(unknown))} too; choose the protocol it was made for."
        )


def _names(protocol: Protocol) -> list[str]:
    """Names by code: wrong, the query's own row, then the labels of the protocol."""
    labels = dict.fromkeys(label for level in protocol.levels for label in (*level.positive, *level.junk))
    return [WRONG, OWN, *labels]


def _label_blocks(dataset: Dataset, protocol: Protocol) -> Iterator[tuple[slice, np.ndarray]]:
    """Codes of all database rows for some queries at a time: (slice of queries, (q, N) uint8)."""
    codes = {name: code for code, name in enumerate(_names(protocol))}
    size = max(1, BLOCK // len(dataset.images))
    for start in range(0, len(dataset.queries), size):
        stop = min(start + size, len(dataset.queries))
        table = np.zeros((stop - start, len(dataset.images)), dtype=np.uint8)
        for line, labels in zip(table, dataset.labels[start:stop], strict=True):
            for label, rows in labels.items():
                line[list(rows)] = codes[label]
        if protocol.own_image == "dropped":
            for line, query in zip(table, dataset.queries[start:stop], strict=True):
                if query.index is not None:
                    line[query.index] = codes[OWN]
        yield slice(start, stop), table


def _judged_levels(table: np.ndarray, images: np.ndarray, protocol: Protocol) -> list[Judged]:
    codes = np.take_along_axis(table, images, axis=1)
    names = _names(protocol)
    return [_judged(level, names, codes, table) for level in protocol.levels]


def _judged(level: Level, names: list[str], codes: np.ndarray, table: np.ndarray) -> Judged:
    positive = np.array([name in level.positive for name in names])
    junk = np.array([name in level.junk or name == OWN for name in names])
    return Judged.from_masks(positive[codes], junk[codes], positive[table].sum(axis=1))


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")
