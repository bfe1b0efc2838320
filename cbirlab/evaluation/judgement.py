"""Judged rankings: the ranks of the positives of many queries, and all formulas in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AP_METHODS = ("trapezoid", "finite-sum")


@dataclass(frozen=True, eq=False)
class Judged:
    """The ranks of the positives of Q queries, with junk taken out.

    Attributes
    ----------
    query : (P,) query of each positive that was found, ascending.
    rank : (P,) its 0-based rank among the results that are not junk, ascending within a query.
    order : (P,) how many positives of the same query stand before it.
    n_positive : (Q,) positives in the database, found or not.
    confidence : (Q,) score of the first result that is not junk, -inf if there is none; None if scores are unknown.
    """

    query: np.ndarray
    rank: np.ndarray
    order: np.ndarray
    n_positive: np.ndarray
    confidence: np.ndarray | None = None

    @classmethod
    def from_labelled(
        cls,
        query: np.ndarray,
        rank: np.ndarray,
        positive: np.ndarray,
        junk: np.ndarray,
        n_positive: np.ndarray,
        scores: np.ndarray | None = None,
    ) -> Judged:
        """Build it from all results that carry a label.

        Parameters
        ----------
        query, rank : (L,) of each labelled result, sorted by query, then by 0-based rank in the full list.
        positive, junk : (L,) masks.
        n_positive : (Q,) as for the class.
        scores : (Q, K) of the full list.
        """
        junk_before, positives_before = (before(mask, query) for mask in (junk, positive))
        kept = positive.nonzero()[0]
        confidence = None if scores is None else _first_score(query, rank, junk, scores)
        of_query, standing, order = (
            one[kept].astype(np.int32) for one in (query, rank - junk_before, positives_before)
        )
        return cls(of_query, standing, order, n_positive, confidence)

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        """The queries of several objects, one after the other."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(len(one.n_positive) for one in parts)])
        query = np.concatenate([one.query + start for one, start in zip(parts, starts, strict=False)])
        confidence = [one.confidence for one in parts if one.confidence is not None]
        return cls(
            query.astype(np.int32),
            np.concatenate([one.rank for one in parts]),
            np.concatenate([one.order for one in parts]),
            np.concatenate([one.n_positive for one in parts]),
            np.concatenate(confidence) if len(confidence) == len(parts) else None,
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self.query, self.rank, self.order, self.n_positive, self.confidence)
        return sum(one.nbytes for one in arrays if one is not None)

    def per_query(self, terms: np.ndarray) -> np.ndarray:
        """Sum over the positives of each query (Q,); NaN for a query that has no positive in the database."""
        sums = np.bincount(self.query, weights=terms, minlength=len(self.n_positive))
        return np.where(self.n_positive > 0, sums, np.nan)

    def first_rank(self) -> np.ndarray:
        """0-based rank of the first positive of each query (Q,); NaN if the list has none."""
        ranks = np.full(len(self.n_positive), np.nan)
        ranks[self.query[self.order == 0]] = self.rank[self.order == 0]
        return ranks

    def found_at(self, k: int | np.ndarray) -> np.ndarray:
        """How many positives stand among the first `k` (Q,); `k` is one number or one per query."""
        return self.per_query(self.rank < np.broadcast_to(k, self.n_positive.shape)[self.query])

    def average_precision(self, method: str = "trapezoid", k: int | np.ndarray | None = None) -> np.ndarray:
        """Average precision of each query (Q,); see the function `average_precision`.

        If the list ends after `k` results, it is divided by the number of positives that fit in, min(n_positive, k).
        """
        if method not in AP_METHODS:
            raise ValueError(f"average precision: method must be one of {', '.join(AP_METHODS)}, got {method!r}.")
        terms = (self.order + 1) / (self.rank + 1)
        if method == "trapezoid":
            before = np.where(self.rank == 0, 1.0, self.order / np.maximum(self.rank, 1))
            terms = (before + terms) / 2
        possible = self.n_positive
        if k is not None:
            possible = np.minimum(possible, k)
            terms = terms * (self.rank < np.broadcast_to(k, self.n_positive.shape)[self.query])
        return self.per_query(terms) / np.maximum(possible, 1)

    def precision_at(self, k: int) -> np.ndarray:
        """Precision among the first `k` (Q,); see the function `precision_at`."""
        count = len(self.n_positive)
        last = np.zeros(count, dtype=np.int64)
        last[self.query] = self.rank + 1  # ranks ascend within a query, so the last one written is the largest
        complete = np.bincount(self.query, minlength=count) == self.n_positive
        cap = np.where(complete, np.minimum(last, k), k)
        return self.found_at(cap) / np.maximum(cap, 1)

    def recall_at(self, k: int | np.ndarray) -> np.ndarray:
        """Share of the positives among the first `k` (Q,); `k` is one number or one per query."""
        return self.found_at(k) / np.maximum(self.n_positive, 1)

    def right_first(self) -> np.ndarray:
        """Whether the first result is a positive (Q,)."""
        return self.first_rank() == 0

    def micro_average_precision(self, equal: str = "by query") -> np.ndarray:
        """What each query adds to the precision over all first results (Q,); NaN for a query without a positive.

        Every query predicts its first result, and the predictions of all queries, including those without a positive,
        form one list by falling confidence. A right prediction at place i of it adds the share of right ones up to i,
        so that the mean over the queries with a positive is microAP, also called GAP.

        Parameters
        ----------
        equal : the order of predictions with equal confidence: "by query", "right first" or "right last".

        Raises
        ------
        ValueError : no scores.
        """
        if self.confidence is None:
            raise ValueError("micro average precision: the list must have scores, got none.")
        right = self.right_first()
        later = {"by query": np.zeros(len(right), bool), "right first": ~right, "right last": right}[equal]
        order = np.lexsort((later, -self.confidence))
        right = right[order]
        values = np.empty(len(order))
        values[order] = right * np.cumsum(right) / np.arange(1, len(order) + 1)
        return np.where(self.n_positive > 0, values, np.nan)


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


def _first_score(query: np.ndarray, rank: np.ndarray, junk: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Score of the first result of each query that is not junk (Q,); -inf if the list holds nothing else."""
    queries, ranks = query[junk], rank[junk]
    place = np.arange(len(queries)) - np.searchsorted(queries, queries)
    leading = np.bincount(queries[ranks == place], minlength=len(scores))  # the junk that has only junk before it
    rows = np.flatnonzero(leading < scores.shape[1])
    found = np.full(len(scores), -np.inf)
    found[rows] = scores[rows, leading[rows]]
    return found


def before(mask: np.ndarray, query: np.ndarray) -> np.ndarray:
    """For each entry, how many earlier entries of `mask` (L,) with the same query are set; `query` (L,) ascends."""
    total = np.concatenate([[0], np.cumsum(mask)])
    return total[:-1] - total[np.searchsorted(query, query)]
