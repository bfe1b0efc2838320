"""Confidence intervals: how much a mean over queries would move with other queries of the same kind; paired tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

BLOCK = 2**22
"""Elements of a (resamples, groups) table held at a time: 32 MB."""

RESAMPLES, TOSSES = 2000, 10_000


class Interval(NamedTuple):
    """A mean and its percentile interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Sequence[float] | np.ndarray,
    n: int = RESAMPLES,
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
    NaN throughout if no query counts. With a single group the interval has no width.

    Raises
    ------
    ValueError : not one value per query, another number of groups than of values, `n` below 1, confidence outside
        (0, 1).
    """
    values = _values("values", values)
    counted = values[~np.isnan(values)]
    mean = float(counted.mean()) if len(counted) else np.nan
    return percentiles(mean, resample_means(values, groups, n, seed), confidence)


def paired_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    n: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the mean of ``a - b`` over the same queries.

    An interval that excludes 0 shows that the two methods differ, if there are many groups; with few it is too narrow,
    and `randomisation_p` is the test to trust.

    Parameters are those of `bootstrap`; a query that is NaN on either side does not count.

    Raises
    ------
    ValueError : the lengths differ.
    """
    return bootstrap(_paired(a, b), n=n, seed=seed, groups=groups, confidence=confidence)


def randomisation_p(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    n: int = TOSSES,
    seed: int = 0,
) -> float:
    """p of the paired randomisation test (Smucker et al., CIKM 2007): is the mean of ``a - b`` more than chance?

    If neither method were better, the sign of the difference of each group would be a coin's: p is the share of `n`
    tosses of all signs that give a mean at least as far from 0. Parameters are those of `paired_difference`.

    Returns
    -------
    In (0, 1]: the observed signs count as one more toss; NaN if no query counts.

    Raises
    ------
    ValueError : as for `paired_difference`.
    """
    _check_resamples(n)
    differences = _paired(a, b)
    sums, _ = _grouped(differences, groups)
    if not len(sums):
        return float("nan")
    observed = abs(sums.sum()) * (1 - 1e-12)  # the same sum in another order must not be smaller
    reached = sum(int((np.abs(signs @ sums) >= observed).sum()) for signs in toss_signs(len(sums), n, seed))
    return (reached + 1) / (n + 1)


def percentiles(mean: float, samples: np.ndarray, confidence: float = 0.95) -> Interval:
    """The interval that holds the middle of the resampled values.

    Raises
    ------
    ValueError : confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"bootstrap: n must be at least 1 and confidence in (0, 1), got confidence {confidence!r}.")
    tail = (1 - confidence) / 2
    samples = samples[~np.isnan(samples)]  # without resamples in which no query counts
    low, high = np.quantile(samples, [tail, 1 - tail]) if len(samples) else (np.nan, np.nan)
    return Interval(mean, float(low), float(high))


def resample_means(values: np.ndarray, groups: Any, n: int, seed: int) -> np.ndarray:
    """The mean of each resample (n,), drawing whole groups; NaN if no query counts."""
    _check_resamples(n)
    sums, sizes = _grouped(values, groups)
    if not len(sums):
        return np.full(n, np.nan)
    blocks = [(draws @ sums) / (draws @ sizes.astype(np.float64)) for draws in draw_groups(len(sums), n, seed)]
    return np.concatenate(blocks)


def resample_micro(
    right: np.ndarray, confidence: np.ndarray, counted: np.ndarray, groups: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Micro average precision of each resample (n,), whole groups drawn and ranked anew.

    A query that is drawn w times takes w places in a row: after N predictions, R of them right, its copies add
    (R + 1) / (N + 1) + ... + (R + w) / (N + w) = w - (N - R) (H(N + w) - H(N)), with the harmonic numbers H.

    Parameters
    ----------
    right, confidence : (Q,), for the first result of each query.
    counted : (Q,) whether the query has a positive.
    """
    _check_resamples(n)
    order = np.argsort(-confidence, kind="stable")
    names, members = np.unique(groups[order], return_inverse=True)
    right, counted = right[order], counted[order]
    samples = []
    for draws in draw_groups(len(names), n, seed):
        for rows in np.array_split(draws, max(1, len(draws) * len(right) // BLOCK)):
            drawn = rows[:, members].astype(np.int64)
            before = np.cumsum(drawn, axis=1) - drawn
            wrong_before = (np.cumsum(drawn * ~right, axis=1) - drawn * ~right)[:, right]
            harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, drawn.sum(axis=1).max() + 1))])
            place, copies = before[:, right], drawn[:, right]
            added = copies - wrong_before * (harmonic[place + copies] - harmonic[place])
            with np.errstate(invalid="ignore"):  # a resample without a query that counts has no value
                samples.append(added.sum(axis=1) / (drawn @ counted))
    return np.concatenate(samples)


def _check_resamples(n: int) -> None:
    if n < 1 or n != int(n):
        raise ValueError(f"bootstrap: n must be at least 1 and confidence in (0, 1), got n {n!r}.")


def _paired(a: Any, b: Any) -> np.ndarray:
    first, second = _values("a", a), _values("b", b)
    if len(first) != len(second):
        raise ValueError(
            f"paired_difference: a and b must have one value per query, for the same queries, got {len(first)} and "
            f"{len(second)} values."
        )
    return first - second


def _grouped(values: np.ndarray, groups: Any) -> tuple[np.ndarray, np.ndarray]:
    """For each group, the sum of the values and the number of queries that count."""
    if groups is not None and len(groups) != len(values):
        raise ValueError(f"bootstrap: groups must have one entry per value ({len(values)}), got {len(groups)}.")
    counted = ~np.isnan(values)
    kept = values[counted]
    members = np.arange(len(kept)) if groups is None else np.unique(np.asarray(groups)[counted], return_inverse=True)[1]
    return np.bincount(members, weights=kept), np.bincount(members)


def draw_groups(groups: int, n: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each group is drawn in each resample, (n, groups) in blocks: the same for every interval of a table."""
    sizes = _block_sizes(groups, n)
    if len(sizes) == 1:
        yield _kept_draws(groups, n, seed)
        return
    random = np.random.default_rng(seed)
    for size in sizes:
        yield _counts(random, groups, size)


def toss_signs(groups: int, n: int = TOSSES, seed: int = 0) -> Iterator[np.ndarray]:
    """The sign of each group in each toss, (n, groups) of -1 and 1 in blocks."""
    random = np.random.default_rng(seed)
    for size in _block_sizes(groups, n):
        yield random.integers(2, size=(size, groups), dtype=np.int8) * 2.0 - 1.0


@lru_cache(maxsize=8)
def _kept_draws(groups: int, n: int, seed: int) -> np.ndarray:
    counts = _counts(np.random.default_rng(seed), groups, n)
    counts.flags.writeable = False
    return counts


def _counts(random: np.random.Generator, groups: int, n: int) -> np.ndarray:
    picks = random.integers(groups, size=(n, groups))
    picks += np.arange(n)[:, None] * groups
    return np.bincount(picks.ravel(), minlength=n * groups).reshape(n, groups).astype(np.float64)


def _block_sizes(groups: int, n: int) -> list[int]:
    size = max(1, BLOCK // groups)
    return [min(size, n - start) for start in range(0, n, size)]


def _values(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"bootstrap: {name} must be one number per query, got shape {array.shape}.")
    return array
