"""One query: its metrics from the ranks of its positives, as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cbirlab.evaluation.judgement import Judged


def average_precision(
    positive_ranks: Sequence[int],
    junk_ranks: Sequence[int] = (),
    n_positive: int | None = None,
    method: str = "trapezoid",
    k: int | None = None,
) -> float:
    """Average precision of one query.

    With the positives at 0-based ranks r_0 < r_1 < ... once junk is taken out of the list, the precision just after
    the j-th is (j + 1) / (r_j + 1), and just before it j / r_j, or 1 at rank 0.

    Parameters
    ----------
    positive_ranks, junk_ranks : 0-based ranks in the full list, in any order.
    n_positive : positives in the database; those that a truncated list misses contribute nothing. By default, the
        number of those found.
    method : "trapezoid" averages the precision before and after each positive (Oxford, Paris and their revisited
        versions, Holidays, INSTRE); "finite-sum" takes the precision after it (scikit-learn, trec_eval, the survey's
        equation 17), which is never smaller.
    k : the list ends after `k` results, and min(n_positive, k) positives are expected in it; by default it does not
        end.

    Returns
    -------
    In [0, 1]; NaN if there is no positive.

    Raises
    ------
    ValueError : negative or repeated ranks, a rank both positive and junk, `n_positive` below the number found.
    """
    judged = _judged_query(positive_ranks, junk_ranks, n_positive)
    return float(judged.average_precision(method, None if k is None else _cutoff(k))[0])


def precision_at(
    positive_ranks: Sequence[int], k: int, junk_ranks: Sequence[int] = (), n_positive: int | None = None
) -> float:
    """Precision among the first `k` of one query, as the revisited benchmarks define it.

    If the last positive comes before place `k`, the list ends there: positives at ranks 0 and 7 give 2/8 for k = 10,
    not 2/10. Arguments, NaN and errors are those of `average_precision`.
    """
    return float(_judged_query(positive_ranks, junk_ranks, n_positive).precision_at(_cutoff(k))[0])


def recall_at(
    positive_ranks: Sequence[int], k: int, junk_ranks: Sequence[int] = (), n_positive: int | None = None
) -> float:
    """Share of the positives of one query among the first `k`; arguments and errors as for `average_precision`."""
    return float(_judged_query(positive_ranks, junk_ranks, n_positive).recall_at(_cutoff(k))[0])


def _cutoff(k: int) -> int:
    if k != int(k) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, got {k!r}.")
    return int(k)


def _judged_query(positive_ranks: Sequence[int], junk_ranks: Sequence[int], n_positive: int | None) -> Judged:
    positive, junk = _sorted_ranks("positive_ranks", positive_ranks), _sorted_ranks("junk_ranks", junk_ranks)
    if np.intersect1d(positive, junk).size:
        raise ValueError(
            "average precision: a rank is in positive_ranks and in junk_ranks; it can only be one of them."
        )
    total = len(positive) if n_positive is None else n_positive
    if total < len(positive):
        raise ValueError(
            f"average precision: n_positive must be at least {len(positive)}, the number found, got {total}."
        )
    rank = positive - np.searchsorted(junk, positive)
    count = np.arange(len(rank))
    return Judged(np.zeros_like(count), rank, count, np.array([total]))


def _sorted_ranks(name: str, ranks: Sequence[int]) -> np.ndarray:
    values = np.asarray(ranks, dtype=np.float64)
    distinct = np.unique(values)
    if values.ndim != 1 or len(distinct) != len(values) or (distinct < 0).any() or (distinct % 1 != 0).any():
        raise ValueError(f"average precision: {name} must be different whole numbers from 0, got {list(ranks)!r}.")
    return distinct.astype(np.int64)
