"""Metrics: judged rankings in, one number per query out. Written ``name`` or ``name@k`` in a protocol.

"Recall" means two things: in information retrieval, the share of the positives that were found, here `recall`; in
metric learning and place recognition, whether any was found, here `hit`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Choice, Range, check_parameters
from cbirlab.base.registry import Registry
from cbirlab.evaluation.judgement import AP_METHODS, Judged

METRICS: Registry[Callable[..., np.ndarray]] = Registry("metric")
"""Facts: `short` is the name in a narrow table, `largest` the best value (1 by default), `pooled` whether the value of
a query depends on the other queries."""

POOLED = "microap"
"""The metric that is not a mean over independent queries: their predictions form one list."""

BOUNDS = {"": "", "_low": ", lower bound", "_high": ", upper bound"}


@METRICS.register("map", title="Mean average precision", reference="Philbin et al., CVPR 2007", short="mAP")
def mean_average_precision(
    judged: Judged,
    *,
    k: Annotated[int | None, Range(1, 10**6, integer=True, optional=True)] = None,
    method: Annotated[str, Choice(AP_METHODS)] = "trapezoid",
) -> np.ndarray:
    """Average precision of each query (Q,), over the first `k` results if given; the mean over queries is mAP."""
    return judged.average_precision(method, k)


@METRICS.register(
    "map_ties",
    title="Mean average precision, the mean over all orders of equal scores",
    reference="McSherry and Najork, ECIR 2008",
    short="mAP, ties in any order",
)
def expected_average_precision(
    judged: Judged,
    *,
    k: Annotated[int | None, Range(1, 10**6, integer=True, optional=True)] = None,
    method: Annotated[str, Choice(AP_METHODS)] = "trapezoid",
) -> np.ndarray:
    """Average precision of each query (Q,), the mean over all orders of equal scores."""
    return judged.expected_average_precision(method, k)


@METRICS.register(
    "map_ties_worst",
    title="Mean average precision, right answers last among equal scores",
    reference="McSherry and Najork, ECIR 2008",
    short="mAP, ties at their worst",
)
def worst_average_precision(
    judged: Judged,
    *,
    k: Annotated[int | None, Range(1, 10**6, integer=True, optional=True)] = None,
    method: Annotated[str, Choice(AP_METHODS)] = "trapezoid",
) -> np.ndarray:
    """The smallest average precision of each query (Q,) over all orders of equal scores."""
    return judged.worst().average_precision(method, k)


@METRICS.register(
    "map_ties_best",
    title="Mean average precision, right answers first among equal scores",
    reference="McSherry and Najork, ECIR 2008",
    short="mAP, ties at their best",
)
def best_average_precision(
    judged: Judged,
    *,
    k: Annotated[int | None, Range(1, 10**6, integer=True, optional=True)] = None,
    method: Annotated[str, Choice(AP_METHODS)] = "trapezoid",
) -> np.ndarray:
    """The largest average precision of each query (Q,) over all orders of equal scores."""
    return judged.best().average_precision(method, k)


@METRICS.register("mp", title="Mean precision at k", reference="Radenović et al., CVPR 2018", short="mP")
def mean_precision(judged: Judged, *, k: Annotated[int, Range(1, 10**6, integer=True)] = 10) -> np.ndarray:
    """Precision at k of each query (Q,); the list ends at the last positive if that comes earlier."""
    return judged.precision_at(k)


@METRICS.register("precision", title="Precision at k, of k results always", reference="Manning et al. 2008, 8.4")
def precision(judged: Judged, *, k: Annotated[int, Range(1, 10**6, integer=True)] = 10) -> np.ndarray:
    """Positives among the first k, divided by k, of each query (Q,)."""
    return judged.found_at(k) / k


@METRICS.register("recall", title="Mean recall at k", reference="Noh et al., ICCV 2017", short="mR")
def mean_recall(judged: Judged, *, k: Annotated[int, Range(1, 10**6, integer=True)] = 10) -> np.ndarray:
    """Share of the positives of each query among the first k (Q,)."""
    return judged.recall_at(k)


@METRICS.register(
    "hit",
    title="Recall at k of metric learning and place recognition: any right answer",
    reference="Song et al., CVPR 2016; Arandjelović et al., CVPR 2016",
)
def hit(judged: Judged, *, k: Annotated[int, Range(1, 10**6, integer=True)] = 1) -> np.ndarray:
    """1 for each query with a positive among the first k, else 0 (Q,)."""
    return np.minimum(judged.found_at(k), 1)


@METRICS.register("r_precision", title="R-precision", reference="Musgrave et al., ECCV 2020", short="R-precision")
def r_precision(judged: Judged) -> np.ndarray:
    """Precision among the first R of each query (Q,), R being the number of its positives."""
    return judged.recall_at(judged.n_positive)


@METRICS.register("map_r", title="MAP at R", reference="Musgrave et al., ECCV 2020", short="MAP@R")
def map_at_r(judged: Judged) -> np.ndarray:
    """Average precision, as a finite sum, of the first R results of each query (Q,)."""
    return judged.average_precision("finite-sum", judged.n_positive)


@METRICS.register("mrr", title="Mean reciprocal rank", reference="Voorhees, TREC-8 1999", short="MRR")
def reciprocal_rank(judged: Judged) -> np.ndarray:
    """1 over the rank of the first positive of each query (Q,), 0 if none was found."""
    return np.where(judged.n_positive > 0, np.nan_to_num(1 / (judged.first_rank() + 1)), np.nan)


@METRICS.register(
    "ns", title="N-S score: right among the first four", reference="Nistér and Stewénius, CVPR 2006", short="N-S",
    largest=4.0,
)  # fmt: skip
def n_s(judged: Judged) -> np.ndarray:
    """Positives among the first four of each query (Q,), 0 to 4: there are four, counting the query itself."""
    return judged.found_at(4)


@METRICS.register(
    POOLED,
    title="Micro average precision (GAP)",
    reference="Perronnin et al., CVPR 2009",
    short="microAP",
    pooled=True,
)
def micro_average_precision(judged: Judged) -> np.ndarray:
    """What each query adds to the average precision over the first results of all queries (Q,)."""
    return judged.micro_average_precision()


def measure(metric: str, judged: Judged, average_precision: str) -> np.ndarray:
    """Values per query (Q,) of a metric written as in a protocol: "map", "map@100", "mp@10".

    Raises
    ------
    UnknownName : no such metric.
    TypeError, ValueError : an invalid cut-off, or one that the metric does not allow.
    """
    name, given = _declared(metric)
    method = {"method": average_precision} if "method" in given else {}
    return METRICS[name](judged, **given | method)


def decided_by_ties(metric: str, judged: Judged, average_precision: str) -> np.ndarray:
    """A metric of each query under the best order of equal scores, minus that under the worst one (Q,).

    Results beyond the end of a cut list are not known and not moved. Micro average precision puts the first results of
    all queries into one list; there, too, equal ones are moved.
    """
    best, worst = judged.best(), judged.worst()
    if metric == POOLED:
        high, low = best.micro_average_precision("right first"), worst.micro_average_precision("right last")
    elif judged.equal is None:
        return np.zeros(len(judged.n_positive))
    else:
        high, low = (measure(metric, one, average_precision) for one in (best, worst))
    return np.nan_to_num(high - low)


def parse_metrics(metrics: str | Sequence[str]) -> tuple[str, ...]:
    """The metrics of a text or a list, separated by commas: "recall@1,hit@5" or ["recall@1", "hit@5"].

    Raises
    ------
    UnknownName, TypeError, ValueError : as for `measure`.
    """
    texts = [metrics] if isinstance(metrics, str) else metrics
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"metrics must be names, as 'recall@1,hit@5' or ['recall@1', 'hit@5'], got {metrics!r:.80}.")
    found = tuple(one.strip() for text in texts for one in text.split(",") if one.strip())
    for one in found:
        _declared(one)
    return found


def _declared(metric: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of a metric."""
    name, _, cutoff = metric.partition("@")
    given = {"k": cutoff} if cutoff else {}
    return name, check_parameters(METRICS[name], given, owner=f"metric {name!r}")


def is_pooled(metric: str) -> bool:
    """Whether the value of one query depends on the other queries; for a metric written as in a protocol."""
    return bool(METRICS.info(metric.partition("@")[0]).facts.get("pooled", False))


def title_of(column: str) -> str:
    """A metric's column as a label: "map_medium" is "mAP (Medium)"; for any other column, its name."""
    name, cutoff, level, bound = _parts(column)
    if not name:
        return column
    label = f"{METRICS.info(name).facts.get('short', name)}{cutoff}" + (f" ({level.capitalize()})" if level else "")
    return label + BOUNDS[bound]


def largest(column: str) -> float:
    """The best value that a metric's column can hold."""
    name = _parts(column)[0]
    return float(METRICS.info(name).facts.get("largest", 1.0)) if name else 1.0


def _parts(column: str) -> tuple[str, str, str, str]:
    """Metric, cut-off with its "@", level, and end of the interval of a column; empty if it is not a metric's."""
    bound = next((end for end in BOUNDS if end and column.endswith(end)), "")
    names = "|".join(sorted(map(re.escape, METRICS), key=len, reverse=True))
    found = re.fullmatch(rf"({names})(@\d+)?(?:_(\w+))?", column.removesuffix(bound))
    return (found[1], found[2] or "", found[3] or "", bound) if found else ("", "", "", "")
