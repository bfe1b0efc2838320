"""Metrics: judged rankings in, one number per query out. Written ``name`` or ``name@k`` in a protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np

from cbirlab.evaluation.judgement import AP_METHODS, Judged
from cbirlab.params import Choice, Range, checked
from cbirlab.registry import Registry

METRICS: Registry[Callable[..., np.ndarray]] = Registry("metric")


@METRICS.register("map", title="Mean average precision", reference="Philbin et al., CVPR 2007")
def mean_average_precision(judged: Judged, *, method: Annotated[str, Choice(AP_METHODS)] = "trapezoid") -> np.ndarray:
    """Average precision of each query (Q,); the mean over queries is mAP."""
    return judged.average_precision(method)


@METRICS.register("mp", title="Mean precision at k", reference="Radenović et al., CVPR 2018")
def mean_precision(judged: Judged, *, k: Annotated[int, Range(1, 10**6, integer=True)] = 10) -> np.ndarray:
    """Precision at k of each query (Q,), the list ending at the last positive where that comes earlier."""
    return judged.precision_at(k)


@METRICS.register("recall", title="Mean recall at k", reference="Noh et al., ICCV 2017")
def mean_recall(judged: Judged, *, k: Annotated[int, Range(1, 10**6, integer=True)] = 10) -> np.ndarray:
    """Share of the positives of each query among the first k (Q,)."""
    return judged.recall_at(k)


def measure(metric: str, judged: Judged, average_precision: str) -> np.ndarray:
    """Values per query (Q,) of a metric written as in a protocol: "map", "mp@10".

    Raises
    ------
    UnknownName : no such metric.
    TypeError, ValueError : a cut-off that is none, or none allowed.
    """
    name, _, cutoff = metric.partition("@")
    given = {"k": cutoff} if cutoff else {"method": average_precision} if name == "map" else {}
    return METRICS[name](judged, **checked(METRICS[name], given, owner=f"metric {name!r}"))
