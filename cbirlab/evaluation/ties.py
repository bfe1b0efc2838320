"""Ties: what the order of equal scores decides. Lists go by image index there, which says nothing about the images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cbirlab.index import Ranking


class Equals(NamedTuple):
    """For each result (L,), the run of equal scores around it: its first place in the list, and its length."""

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


def tie_rate(ranking: Ranking) -> np.ndarray:
    """Share of the answers of each query (Q,) whose score another answer of its list has too; NaN without an answer."""
    answers, same = ranking.answers(), ranking.scores[:, 1:] == ranking.scores[:, :-1]
    tied = np.zeros(ranking.scores.shape, bool)
    tied[:, 1:] = same
    tied[:, :-1] |= same
    tied &= ranking.scores > -np.inf
    return np.where(answers > 0, tied.sum(axis=1) / np.maximum(answers, 1), np.nan)


def expected_terms(
    run: Equals, right: np.ndarray, before: np.ndarray, places: np.ndarray, *, trapezoid: bool
) -> np.ndarray:
    """What one positive adds to average precision (P,), on average over all orders of the run that it stands in.

    Place i of a run of n results, r of them right, behind N results of which R are right, holds a positive with
    probability r / n. If it does, ``E = R + (i - 1) (r - 1) / (n - 1)`` positives are before it on average, and the
    precision there is (E + 1) / (N + i), and E / (N + i - 1) just before it. Both are a constant and a multiple of a
    reciprocal, whose sums over the places are known.

    Parameters
    ----------
    run : N and n of each positive.
    right, before : r and R.
    places : how many places of the run count, from its first.

    References
    ----------
    McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied
    scores", ECIR 2008.
    """
    start, length = run
    stop = start + places
    slope = (right - 1) / np.maximum(length - 1, 1)
    constant, reciprocals = slope * places, _reciprocals(start, stop)
    total = constant + (before + 1 - slope * (start + 1)) * reciprocals
    if trapezoid:
        ahead = reciprocals + 1 / np.maximum(start, 1) - 1 / np.maximum(stop, 1)
        total += constant + (before - slope * start) * ahead + (start == 0) * (1 - slope)  # 1 before rank 0
        total /= 2
    return total / length


FAR = 64
"""From here on, sums of reciprocals come from their series, whose next term is below 1e-13."""

HARMONIC = np.concatenate([[0], np.cumsum(1 / np.arange(1, FAR + 1))])


def _reciprocals(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sums of 1 / j over low < j <= high; differences of harmonic numbers would lose digits in long lists."""
    near = HARMONIC[np.minimum(high, FAR)] - HARMONIC[np.minimum(low, FAR)]
    x, y = np.maximum(low, FAR) + 0.5, np.maximum(high, FAR) + 0.5
    return near + np.log1p((y - x) / x) + (_tail(1 / y**2) - _tail(1 / x**2))


def _tail(z: np.ndarray) -> np.ndarray:
    """What the harmonic number of n has beyond the logarithm of n + 1/2 and a constant, for z = (n + 1/2)^-2."""
    return z * (1 / 24 - z * (7 / 960))
