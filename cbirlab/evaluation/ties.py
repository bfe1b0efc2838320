"""Ties: what the order of equal scores decides. Lists go by image index there, which says nothing about the images."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cbirlab.evaluation.judgement import Judged, before
from cbirlab.evaluation.metrics import POOLED, measure
from cbirlab.evaluation.protocols import Protocol


class Equals(NamedTuple):
    """For each labelled result (L,), the run of equal scores around it: its first place in the list, and its length."""

    start: np.ndarray
    length: np.ndarray


def equals(query: np.ndarray, rank: np.ndarray, scores: np.ndarray) -> Equals | None:
    """The runs around the results (L,) at `rank` in the lists (Q, K) of `scores`; None if no two scores are equal."""
    last = scores.shape[1] - 1
    own = scores[query, rank]
    tied = (rank > 0) & (scores[query, np.maximum(rank - 1, 0)] == own)
    tied |= (rank < last) & (scores[query, np.minimum(rank + 1, last)] == own)
    entries = tied.nonzero()[0]
    if not len(entries):
        return None
    start, stop = rank.copy(), rank + 1
    for one in np.split(entries, np.flatnonzero(np.diff(query[entries])) + 1):
        rising = scores[query[one[0]], ::-1]
        start[one] = len(rising) - np.searchsorted(rising, own[one], side="right")
        stop[one] = len(rising) - np.searchsorted(rising, own[one], side="left")
    return Equals(start, stop - start)


def best_and_worst(
    judged: Judged, query: np.ndarray, positive: np.ndarray, junk: np.ndarray, equal: Equals
) -> tuple[Judged, Judged]:
    """`judged` with the positives first, and last, among the results whose scores equal theirs.

    Parameters
    ----------
    query, positive, junk : (L,) as passed to `Judged.from_labelled` for `judged`.
    """
    ours = np.flatnonzero(equal.length > 1)
    key = query[ours] * (equal.start.max() + 1) + equal.start[ours]
    _, first, run = np.unique(key, return_index=True, return_inverse=True)
    right, ignored = (np.bincount(run, weights=mask[ours]).astype(np.int64) for mask in (positive, junk))
    wrong = equal.length[ours][first] - right - ignored
    junk_before, right_before = (before(mask, query)[ours] for mask in (junk, positive))
    place = (equal.start[ours] - junk_before[first][run]) + (right_before - right_before[first][run])
    found = positive[ours]
    of_positive = (np.cumsum(positive) - 1)[ours][found]
    best, worst = judged.rank.copy(), judged.rank.copy()
    best[of_positive] = place[found]
    worst[of_positive] = (place + wrong[run])[found]
    return replace(judged, rank=best), replace(judged, rank=worst)


def measure_ties(best: Judged, worst: Judged, protocol: Protocol) -> np.ndarray:
    """The main metric of each query under the best order of equal scores, minus that under the worst one (Q,).

    Results beyond the end of a cut list are not known and not moved. Micro average precision puts the first results of
    all queries into one list; there, too, equal ones are moved.
    """
    if protocol.main == POOLED:
        high, low = best.micro_average_precision("right first"), worst.micro_average_precision("right last")
    elif best is worst:
        return np.zeros(len(best.n_positive))
    else:
        high, low = (measure(protocol.main, one, protocol.average_precision) for one in (best, worst))
    return np.nan_to_num(high - low)
