"""Confidence intervals: how much a mean over queries would move with other queries of the same kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean and its percentile interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Sequence[float] | np.ndarray,
    n: int = 2000,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a mean.

    Parameters
    ----------
    values : (Q,) one number per query; NaN queries do not count.
    n : resamples.
    seed : of the resampling; the same seed gives the same interval.
    groups : (Q,) queries of one group (of one landmark) are drawn together, because they are not independent; by
        default every query is its own group.
    confidence : share of the resamples inside the interval.

    Returns
    -------
    NaN throughout where no query counts. With a single group the interval has no width.
    """
    return bootstrap_many({"": values}, n=n, seed=seed, groups=groups, confidence=confidence)[""]


def paired_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    n: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the mean of ``a - b`` over the same queries: one that excludes 0 tells the two methods apart.

    Parameters are those of `bootstrap`; a query that is NaN on either side does not count.

    Raises
    ------
    ValueError : the lengths differ.
    """
    first, second = _values("a", a), _values("b", b)
    if len(first) != len(second):
        raise ValueError(f"paired_difference: a and b must be of the same queries, got {len(first)} and {len(second)}.")
    return bootstrap(first - second, n=n, seed=seed, groups=groups, confidence=confidence)


def bootstrap_many(
    columns: Mapping[str, Sequence[float] | np.ndarray],
    *,
    n: int = 2000,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """`bootstrap` of several columns of values over the same queries, from the same draws."""
    if n < 1 or not 0 < confidence < 1:
        raise ValueError(f"bootstrap: n must be at least 1 and confidence in (0, 1), got {n!r} and {confidence!r}.")
    return {name: _interval(_values(name, values), n, seed, groups, confidence) for name, values in columns.items()}


def _interval(values: np.ndarray, n: int, seed: int, groups: Any, confidence: float) -> Interval:
    if groups is not None and len(groups) != len(values):
        raise ValueError(f"bootstrap: groups must have one entry per value ({len(values)}), got {len(groups)}.")
    counted = ~np.isnan(values)
    kept = values[counted]
    if not len(kept):
        return Interval(np.nan, np.nan, np.nan)
    members = np.arange(len(kept)) if groups is None else np.unique(np.asarray(groups)[counted], return_inverse=True)[1]
    sums, sizes = np.bincount(members, weights=kept), np.bincount(members)
    draws = _draws(len(sums), n, seed)
    means = (draws @ sums) / (draws @ sizes.astype(np.float64))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(kept.mean()), float(low), float(high))


@lru_cache(maxsize=8)
def _draws(groups: int, n: int, seed: int) -> np.ndarray:
    """How often each group is drawn in each resample, (n, groups). Every interval of a table uses the same draws."""
    picks = np.random.default_rng(seed).integers(groups, size=(n, groups))
    picks += np.arange(n)[:, None] * groups
    counts = np.bincount(picks.ravel(), minlength=n * groups).reshape(n, groups).astype(np.float64)
    counts.flags.writeable = False
    return counts


def _values(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"bootstrap: {name or 'values'} must be one number per query, got shape {array.shape}.")
    return array
