"""Comparing: intervals of an evaluation, the paired test between two of them, and the table of their queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbirlab.base.text import printable
from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.intervals import (
    Interval,
    paired_difference,
    percentiles,
    randomisation_p,
    resample_means,
    resample_micro,
)
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.metrics import POOLED, measure

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.evaluation.result import Evaluation


LIKELY = 0.05
"""Above this p, a difference could be chance."""

FEW_GROUPS = 20
"""With fewer groups of queries, a percentile interval of 95 % holds the true mean less often than that."""


class PairedTest(NamedTuple):
    """Mean difference of two methods over the same queries, its percentile interval, and p of the randomisation test.

    p is NaN for micro average precision, whose queries cannot be exchanged one by one.
    """

    mean: float
    low: float
    high: float
    p: float

    @property
    def apart(self) -> bool:
        """Whether the two methods differ by more than chance, see `told_apart`."""
        return told_apart(self.low, self.high, self.p)


def told_apart(low: float, high: float, p: float = np.nan) -> bool:
    """Whether a difference is more than chance: its interval excludes 0 and, where p is known, p is at most 0.05.

    The two criteria agree, except for few groups of queries: then the interval is too narrow, and p still holds.
    """
    return bool((low > 0 or high < 0) and not p > LIKELY)


def verdict(test: PairedTest, groups: int) -> str:
    """What a paired test over so many groups of queries shows, as the end of a sentence that gives its interval."""
    p = "" if np.isnan(test.p) else f" with p {test.p:.2g}"
    if told_apart(test.low, test.high) and not test.apart:
        said = f"which excludes 0, but p is {test.p:.2g}: this does not tell the two apart"
    else:
        said = f"which{p} {'tells' if test.apart else 'does not tell'} the two apart"
    return said + (f" (the queries form only {groups} groups: go by p)" if p and groups < FEW_GROUPS else "")


def interval(
    evaluation: Evaluation, level: str | None = None, *, n: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Bootstrap interval of the protocol's main metric, instances drawn with all their queries.

    Parameters
    ----------
    level : of the protocol; "medium" by default where there are several.
    n, seed, confidence : as for `bootstrap`.

    Raises
    ------
    ValueError : no such level, `n` below 1, confidence outside (0, 1).
    """
    name = evaluation.protocol.level(level, "interval").name
    return percentiles(_mean(evaluation, name), _samples(evaluation, name, n, seed), confidence)


def paired_interval(
    a: Evaluation,
    b: Evaluation,
    level: str | None = None,
    *,
    n: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the lead of `a` over `b` on the same queries, in the protocol's main metric.

    Parameters
    ----------
    a, b : evaluations of two recipes on one dataset under one protocol.
    level, n, seed, confidence : as for `interval`.

    Raises
    ------
    ValueError : protocols or queries differ; or as for `interval`.
    """
    name = _comparable(a, b, level)
    if a.protocol.main != POOLED:
        return paired_difference(a.per_query[name], b.per_query[name], a.groups, n, seed, confidence)
    samples = _samples(a, name, n, seed) - _samples(b, name, n, seed)  # from the same draws
    return percentiles(_mean(a, name) - _mean(b, name), samples, confidence)


def paired(a: Evaluation, b: Evaluation, level: str | None = None, *, seed: int = 0) -> PairedTest:
    """Whether `a` is better than `b` over the same queries; parameters and errors are those of `paired_interval`."""
    name = _comparable(a, b, level)
    pooled = a.protocol.main == POOLED
    p = np.nan if pooled else randomisation_p(a.per_query[name], b.per_query[name], a.groups, seed=seed)
    return PairedTest(*paired_interval(a, b, name, seed=seed), p)


def per_query_table(evaluation: Evaluation, dataset: Dataset, level: str | None = None) -> pd.DataFrame:
    """Every query with all metrics of its protocol.

    Parameters
    ----------
    evaluation : from `evaluate`, on `dataset`.
    level : of the protocol; "medium" by default where there are several.

    Returns
    -------
    One row per query, even if it does not count (its metrics are then NaN): "query", its number; "image", the name of
    its file; "group", a number that queries of one instance share; "positives", how many are in the database; "first",
    the rank of the first positive, from 1, junk not counted, NaN if the list has none; and the metrics, "map", "mp@10".

    Raises
    ------
    ValueError : no such level, or an evaluation of other queries.
    """
    import pandas as pd

    protocol = evaluation.protocol
    judged = evaluation.judged[protocol.level(level, "per_query_table").name]
    if len(judged.n_positive) != len(dataset.queries):
        raise ValueError(
            f"per_query_table: evaluation must cover the {len(dataset.queries)} queries of {dataset.name!r}, got "
            f"{len(judged.n_positive)}."
        )
    return pd.DataFrame(
        {
            "query": np.arange(len(dataset.queries)),
            "image": [printable(query.path.name) for query in dataset.queries],
            "group": evaluation.groups,
            "positives": judged.n_positive,
            "first": judged.first_rank() + 1,
            **{name: measure(name, judged, protocol.average_precision) for name in protocol.metrics},
        }
    )


def _comparable(a: Evaluation, b: Evaluation, level: str | None) -> str:
    """The level at which to compare; refuses evaluations that do not compare."""
    if a.protocol != b.protocol or not np.array_equal(a.groups, b.groups):
        raise ValueError(
            f"paired: a and b must evaluate the same queries under one protocol, got {a.protocol.name!r} with "
            f"{len(a.groups)} queries and {b.protocol.name!r} with {len(b.groups)}."
        )
    return a.protocol.level(level, "paired").name


def _mean(evaluation: Evaluation, level: str) -> float:
    return evaluation.metrics[evaluation.protocol.main + evaluation.protocol.level(level).suffix]


def _samples(evaluation: Evaluation, level: str, n: int, seed: int) -> np.ndarray:
    """The main metric of each resample of the queries (n,)."""
    if evaluation.protocol.main != POOLED:
        return resample_means(evaluation.per_query[level], evaluation.groups, n, seed)
    return resample_pooled(evaluation.judged[level], evaluation.groups, n, seed)


def resample_pooled(judged: Judged, groups: np.ndarray, n: int = 2000, seed: int = 0) -> np.ndarray:
    """Micro average precision of each resample of the queries (n,); the same seed gives the same draws."""
    confidence = np.zeros(len(judged.n_positive)) if judged.confidence is None else judged.confidence
    return resample_micro(judged.right_first(), confidence, judged.n_positive > 0, groups, n, seed)
