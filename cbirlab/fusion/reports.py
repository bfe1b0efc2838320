"""Reports on several runs of one benchmark, query by query: what complements what, and where one beats the other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.evaluation import Evaluation, Level, Protocol, evaluate, paired_difference
from cbirlab.fusion.members import Member, fuse, own_rows
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

    Two that fail on the same queries (correlation near 1, oracle no better than the better one) gain nothing together.

    Parameters
    ----------
    runs : name to run, all of one benchmark under one protocol.
    level : of the protocol; "medium" by default where there are several.
    fusion : a method of `FUSIONS` that fuses scores or ranks, with equal weights; None leaves its column out.

    Returns
    -------
    One row per pair: "a", "b"; "map_a", "map_b"; "pearson" and "spearman" correlation of the APs, NaN where one of
    them is constant; "a_wins", "b_wins", "equal", shares of the queries; "oracle", the mean of the better AP of each
    query; "gain", what the oracle adds to the better of the two; "fused", mAP of the fusion.

    Raises
    ------
    ValueError : fewer than two runs, runs without ground truth or of different benchmarks, a level that the protocol
        has not, or early fusion: a run keeps no descriptors.
    """
    import pandas as pd

    if len(runs) < 2:
        raise ValueError(f"complementarity: runs must be at least two, got {len(runs)}.")
    names, found = list(runs), _comparable("complementarity", list(runs.values()))
    level = _level("complementarity", found[0].protocol, level).name
    rows = []
    for (a, first), (b, second) in itertools.combinations(zip(names, found, strict=True), 2):
        row = {"a": a, "b": b, **_compared(first.per_query[level], second.per_query[level])}
        if fusion is not None:
            row["fused"] = _fused_map(
                [runs[a].ranking, runs[b].ranking], runs[a].dataset, first.protocol, fusion, level
            )
        rows.append(row)
    return pd.DataFrame(rows)


def versus(a: AnyRun, b: AnyRun, *, level: str | None = None) -> pd.DataFrame:
    """Query by query, where `a` beats `b` and where it loses.

    Parameters
    ----------
    a, b : runs of one benchmark under one protocol, such as a hand-crafted and a deep one.
    level : of the protocol; "medium" by default where there are several.

    Returns
    -------
    One row per query that counts at this level, the largest win of `a` first: "query", its number; "image", the name of
    its file; "ap_a", "ap_b", "difference"; "first_a", "first_b", the rank from 1 of the first right answer, junk not
    counted, NaN where the list has none. Its `attrs` hold "level", "queries", "a_wins", "b_wins" (counts), and
    "mean_difference" with the bounds "low" and "high" of its 95 % bootstrap interval over instances: an interval that
    excludes 0 tells the two apart.

    Raises
    ------
    ValueError : as `complementarity`.
    """
    import pandas as pd

    first, second = _comparable("versus", [a, b])
    chosen = _level("versus", first.protocol, level)
    ap_a, ap_b = (found.per_query[chosen.name] for found in (first, second))
    counted = np.flatnonzero(~np.isnan(ap_a))
    frame = pd.DataFrame(
        {
            "query": counted,
            "image": [a.dataset.queries[query].path.name for query in counted],
            "ap_a": ap_a[counted],
            "ap_b": ap_b[counted],
            "difference": ap_a[counted] - ap_b[counted],
            "first_a": first_right(a.ranking, a.dataset, first.protocol, chosen)[counted],
            "first_b": first_right(b.ranking, b.dataset, first.protocol, chosen)[counted],
        }
    ).sort_values("difference", ascending=False, kind="stable", ignore_index=True)
    interval = paired_difference(ap_a, ap_b, groups=first.groups)
    frame.attrs = {
        "level": chosen.name,
        "queries": len(counted),
        "a_wins": int((ap_a > ap_b).sum()),
        "b_wins": int((ap_b > ap_a).sum()),
        "mean_difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
    }
    return frame


def first_right(ranking: Ranking, dataset: Dataset, protocol: Protocol, level: Level) -> np.ndarray:
    """Rank from 1 of the first positive of each query (Q,), junk taken out; NaN where the list has none."""
    own = own_rows(dataset, protocol)
    ranks = np.full(len(ranking), np.nan)
    for query, labels in enumerate(dataset.labels):
        junk = [row for label in level.junk for row in labels.get(label, ())] + [own[query]]
        kept = ranking.images[query][~np.isin(ranking.images[query], junk)]
        right = [row for label in level.positive for row in labels.get(label, ())]
        found = np.flatnonzero(np.isin(kept, right))
        if len(found):
            ranks[query] = found[0] + 1
    return ranks


def _compared(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    both = ~np.isnan(a)
    a, b = a[both], b[both]
    best = float(np.maximum(a, b).mean()) if len(a) else np.nan
    map_a, map_b = (float(values.mean()) if len(values) else np.nan for values in (a, b))
    return {
        "map_a": map_a,
        "map_b": map_b,
        "pearson": _correlation(a, b),
        "spearman": _correlation(_mid_ranks(a), _mid_ranks(b)),
        "a_wins": float((a > b).mean()) if len(a) else np.nan,
        "b_wins": float((b > a).mean()) if len(a) else np.nan,
        "equal": float((a == b).mean()) if len(a) else np.nan,
        "oracle": best,
        "gain": best - max(map_a, map_b),
    }


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks; equal values share the mean of theirs."""
    import pandas as pd

    return pd.Series(values).rank().to_numpy()


def _fused_map(rankings: list[Ranking], dataset: Dataset, protocol: Protocol, fusion: str, level: str) -> float:
    method = FusionMethod.parse(fusion)
    if method.stage == "descriptors":
        raise ValueError(f"complementarity: fusion must be of scores or ranks, as 'rrf' or 'minmax', got {fusion!r}.")
    ranking = fuse([Member(one) for one in rankings], method, own=own_rows(dataset, protocol))
    found = evaluate(ranking, dataset, protocol, resamples=0).per_query[level]
    counted = found[~np.isnan(found)]
    return float(counted.mean()) if len(counted) else float("nan")


def _comparable(owner: str, runs: list[AnyRun]) -> list[Evaluation]:
    """Their evaluations, if they answer the same questions under the same protocol."""
    found = [run.evaluation for run in runs if run.evaluation is not None]
    if len(found) < len(runs):
        raise ValueError(f"{owner}: {runs[0].dataset.name} has no ground truth, so its queries have no AP to compare.")
    for run, evaluation in zip(runs, found, strict=True):
        if run.dataset != runs[0].dataset or evaluation.protocol != found[0].protocol:
            raise ValueError(
                f"{owner}: runs must be of one dataset under one protocol, got {runs[0].dataset.name!r} "
                f"({found[0].protocol.name}, {found[0].protocol.average_precision}) and {run.dataset.name!r} "
                f"({evaluation.protocol.name}, {evaluation.protocol.average_precision})."
            )
    return found


def _level(owner: str, protocol: Protocol, name: str | None) -> Level:
    levels = {level.name: level for level in protocol.levels}
    chosen = name or ("medium" if "medium" in levels else protocol.levels[0].name)
    if chosen not in levels:
        raise ValueError(f"{owner}: level must be one of {', '.join(levels)}, got {chosen!r}.")
    return levels[chosen]
