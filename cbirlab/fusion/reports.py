"""Reports on several runs of one benchmark, query by query: which runs complement each other, and where one wins."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.evaluation import Evaluation, Protocol, evaluate, paired, title_of, verdict
from cbirlab.fusion.members import Member, fuse_lists, own_rows
from cbirlab.fusion.methods import FusionMethod
from cbirlab.index import Ranking

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.fusion.running import FusedRun
    from cbirlab.pipeline import Run

    AnyRun = Run | FusedRun


def complementarity(
    runs: Mapping[str, AnyRun], *, level: str | None = None, fusion: str | None = "rrf"
) -> pd.DataFrame:
    """Which representations are worth fusing: every pair compared by the average precision (AP) of each query.

    If the main metric of the protocol is another one, it takes the place of AP, and its name that of "map".

    Two that fail on the same queries (correlation near 1, oracle no better than the better one) gain nothing together.

    Parameters
    ----------
    runs : name to run, all on one benchmark under one protocol.
    level : a level of the protocol; "medium" by default if it has several.
    fusion : a method of `FUSIONS` that fuses scores or ranks, with equal weights; None leaves its column out.

    Returns
    -------
    One row per pair: "a", "b"; "map_a", "map_b"; "pearson" and "spearman" correlation of the APs, NaN where one of
    them is constant; "a_wins", "b_wins", "equal", shares of the queries; "oracle", the mean of the better AP of each
    query; "gain", what the oracle adds to the better of the two; "fused", mAP of the fusion.

    Raises
    ------
    ValueError : fewer than two runs, runs without ground truth or on different benchmarks, a level that the protocol
        does not have, or early fusion, because a run keeps no descriptors.
    """
    import pandas as pd

    if len(runs) < 2:
        raise ValueError(f"complementarity: runs must be at least two, got {len(runs)}.")
    names, found = list(runs), _comparable("complementarity", list(runs.values()))
    protocol = found[0].protocol
    level = protocol.level(level, "complementarity").name
    rows = []
    for (a, first), (b, second) in itertools.combinations(zip(names, found, strict=True), 2):
        row = {"a": a, "b": b, **_compared(first.per_query[level], second.per_query[level], protocol.main)}
        if fusion is not None:
            row["fused"] = _fused([runs[a].ranking, runs[b].ranking], runs[a].dataset, protocol, fusion, level)
        rows.append(row)
    return pd.DataFrame(rows)


def versus(a: AnyRun, b: AnyRun, *, level: str | None = None) -> pd.DataFrame:
    """Compare two runs query by query: where `a` beats `b`, and where it loses.

    Parameters
    ----------
    a, b : runs on one benchmark under one protocol, such as a hand-crafted and a deep one.
    level : a level of the protocol; "medium" by default if it has several.

    Returns
    -------
    One row per query that counts at this level, the largest win of `a` first: "query", its number; "image", the name of
    its file; "ap_a", "ap_b" (or the protocol's main metric, "hit@1_a"), "difference"; "first_a", "first_b", the rank
    from 1 of the first right answer, junk not counted, NaN if the list has none. Its `attrs` hold "metric", its
    "title", "value" ("ap"), "level", "queries", "groups", "a_wins", "b_wins" (counts), and the paired test:
    "mean_difference" with the bounds "low" and "high" of its 95 % bootstrap interval over instances, "p" of the
    randomisation test, and "verdict", what they say together.

    Raises
    ------
    ValueError : as `complementarity`.
    """
    import pandas as pd

    first, second = _comparable("versus", [a, b])
    protocol = first.protocol
    chosen = protocol.level(level, "versus").name
    values_a, values_b = (found.per_query[chosen] for found in (first, second))
    first_a, first_b = (found.judged[chosen].first_rank() + 1 for found in (first, second))
    counted = np.flatnonzero(~np.isnan(values_a))
    frame = pd.DataFrame(
        {
            "query": counted,
            "image": [a.dataset.queries[query].path.name for query in counted],
            f"{protocol.of_query}_a": values_a[counted],
            f"{protocol.of_query}_b": values_b[counted],
            "difference": values_a[counted] - values_b[counted],
            "first_a": first_a[counted],
            "first_b": first_b[counted],
        }
    ).sort_values("difference", ascending=False, kind="stable", ignore_index=True)
    test, groups = paired(first, second, chosen), len(np.unique(first.groups[counted]))
    frame.attrs = {
        "metric": protocol.main,
        "value": protocol.of_query,
        "title": title_of(protocol.main + protocol.level(chosen).suffix),
        "level": chosen,
        "queries": len(counted),
        "groups": groups,
        "a_wins": int((values_a > values_b).sum()),
        "b_wins": int((values_b > values_a).sum()),
        "mean_difference": test.mean,
        "low": test.low,
        "high": test.high,
        "p": test.p,
        "verdict": verdict(test, groups),
    }
    return frame


def _compared(a: np.ndarray, b: np.ndarray, metric: str) -> dict[str, Any]:
    both = ~np.isnan(a)
    a, b = a[both], b[both]
    best = float(np.maximum(a, b).mean()) if len(a) else np.nan
    mean_a, mean_b = (float(values.mean()) if len(values) else np.nan for values in (a, b))
    return {
        f"{metric}_a": mean_a,
        f"{metric}_b": mean_b,
        "pearson": _correlation(a, b),
        "spearman": _correlation(_mid_ranks(a), _mid_ranks(b)),
        "a_wins": float((a > b).mean()) if len(a) else np.nan,
        "b_wins": float((b > a).mean()) if len(a) else np.nan,
        "equal": float((a == b).mean()) if len(a) else np.nan,
        "oracle": best,
        "gain": best - max(mean_a, mean_b),
    }


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks; equal values share the mean of their ranks."""
    import pandas as pd

    return pd.Series(values).rank().to_numpy()


def _fused(rankings: list[Ranking], dataset: Dataset, protocol: Protocol, fusion: str, level: str) -> float:
    method = FusionMethod.parse(fusion)
    if method.stage == "descriptors":
        raise ValueError(f"complementarity: fusion must fuse scores or ranks, as 'rrf' or 'minmax' do, got {fusion!r}.")
    lists = fuse_lists([Member(one) for one in rankings], method, own=own_rows(dataset, protocol))
    found = evaluate(lists, dataset, protocol, resamples=0, remarking=False).per_query[level]
    counted = found[~np.isnan(found)]
    return float(counted.mean()) if len(counted) else float("nan")


def _comparable(owner: str, runs: list[AnyRun]) -> list[Evaluation]:
    """The evaluations of runs, after checking that they answer the same questions under the same protocol."""
    found = [run.evaluation for run in runs if run.evaluation is not None]
    if len(found) < len(runs):
        raise ValueError(f"{owner}: {runs[0].dataset.name} has no ground truth, so its queries have no AP to compare.")
    for run, evaluation in zip(runs, found, strict=True):
        if run.dataset != runs[0].dataset or evaluation.protocol != found[0].protocol:
            raise ValueError(
                f"{owner}: runs must share one dataset and one protocol, got {runs[0].dataset.name!r} "
                f"({found[0].protocol.name}, {found[0].protocol.average_precision}) and {run.dataset.name!r} "
                f"({evaluation.protocol.name}, {evaluation.protocol.average_precision})."
            )
    return found
