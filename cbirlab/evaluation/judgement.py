"""Judged rankings: the ranks of the positives of many queries, and all formulas in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cbirlab.evaluation.ties import Equals, expected_terms

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
    equal : the run of equal scores around each positive that was found (P,), among the results that are not junk; None
        if none of them has the score of another result, or scores are unknown.
    """

    query: np.ndarray
    rank: np.ndarray
    order: np.ndarray
    n_positive: np.ndarray
    confidence: np.ndarray | None = None
    equal: Equals | None = None

    @classmethod
    def from_labelled(
        cls,
        query: np.ndarray,
        rank: np.ndarray,
        positive: np.ndarray,
        junk: np.ndarray,
        n_positive: np.ndarray,
        scores: np.ndarray | None = None,
        equal: Equals | None = None,
    ) -> Judged:
        """Build it from all results that carry a label.

        Parameters
        ----------
        query, rank : (L,) of each labelled result, sorted by query, then by 0-based rank in the full list.
        positive, junk : (L,) masks.
        n_positive : (Q,) as for the class.
        scores : (Q, K) of the full list.
        equal : the runs of equal scores around these results, as `equals` finds them in `scores`.
        """
        junk_before, positives_before = (before(mask, query) for mask in (junk, positive))
        kept = positive.nonzero()[0]
        confidence = None if scores is None else _first_score(query, rank, junk, scores)
        of_query, standing, order = (
            one[kept].astype(np.int32) for one in (query, rank - junk_before, positives_before)
        )
        runs = None if equal is None else _without_junk(equal, query, junk, junk_before, kept)
        return cls(of_query, standing, order, n_positive, confidence, runs)

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
            _joined_runs(parts),
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self.query, self.rank, self.order, self.n_positive, self.confidence, *(self.equal or ()))
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
        """Average precision of each query (Q,); see `one_query.average_precision`.

        If the list ends after `k` results, it is divided by the number of positives that fit in, min(n_positive, k).
        """
        return self._average(self._terms(method, k), k)

    def expected_average_precision(self, method: str = "trapezoid", k: int | np.ndarray | None = None) -> np.ndarray:
        """The mean of `average_precision` over all orders of equal scores (Q,), each as likely as any other.

        Raises
        ------
        ValueError : no scores, or no such method.
        """
        if self.confidence is None:
            raise ValueError("expected average precision: the list must have scores, got none.")
        terms = self._terms(method, k)
        if self.equal is not None:
            before, right = self._of_run()
            places = self.equal.length
            if k is not None:
                places = np.clip(np.broadcast_to(k, self.n_positive.shape)[self.query] - self.equal.start, 0, places)
            expected = expected_terms(self.equal, right, before, places, trapezoid=method == "trapezoid")
            terms = np.where(self.equal.length > 1, expected, terms)
        return self._average(terms, k)

    def _terms(self, method: str, k: int | np.ndarray | None) -> np.ndarray:
        """What each positive adds to average precision (P,)."""
        if method not in AP_METHODS:
            raise ValueError(f"average precision: method must be one of {', '.join(AP_METHODS)}, got {method!r}.")
        terms = (self.order + 1) / (self.rank + 1)
        if method == "trapezoid":
            before = np.where(self.rank == 0, 1.0, self.order / np.maximum(self.rank, 1))
            terms = (before + terms) / 2
        if k is not None:
            terms = terms * (self.rank < np.broadcast_to(k, self.n_positive.shape)[self.query])
        return terms

    def _average(self, terms: np.ndarray, k: int | np.ndarray | None) -> np.ndarray:
        possible = self.n_positive if k is None else np.minimum(self.n_positive, k)
        return self.per_query(terms) / np.maximum(possible, 1)

    def best(self) -> Judged:
        """With the positives first among the results whose scores equal theirs."""
        if self.equal is None:
            return self
        before, _ = self._of_run()
        return replace(self, rank=self.equal.start + (self.order - before), equal=None)

    def worst(self) -> Judged:
        """With the positives last among the results whose scores equal theirs."""
        if self.equal is None:
            return self
        before, right = self._of_run()
        start, length = self.equal
        return replace(self, rank=start + length - right + (self.order - before), equal=None)

    def _of_run(self) -> tuple[np.ndarray, np.ndarray]:
        """For each positive (P,), how many positives stand before its run of equal scores, and how many in it."""
        start = self.rank if self.equal is None else self.equal.start
        first = np.flatnonzero(np.diff(self.query, prepend=-1) | np.diff(start, prepend=-1))
        right = np.diff(first, append=len(start))
        return np.repeat(self.order[first], right), np.repeat(right, right)

    def precision_at(self, k: int) -> np.ndarray:
        """Precision among the first `k` (Q,); see `one_query.precision_at`."""
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


def _without_junk(
    equal: Equals, query: np.ndarray, junk: np.ndarray, junk_before: np.ndarray, kept: np.ndarray
) -> Equals | None:
    """The runs around the `kept` ones of all labelled results (L,), as they are once junk is taken out."""
    start, length = (one[kept].astype(np.int32) for one in equal)
    if junk.any():
        first = np.flatnonzero(np.diff(query, prepend=-1) | np.diff(equal.start, prepend=-1))
        size = np.diff(first, append=len(query))
        ignored = np.add.reduceat(junk, first, dtype=np.int32)
        start -= np.repeat(junk_before[first], size)[kept].astype(np.int32)
        length -= np.repeat(ignored, size)[kept]
    return Equals(start, length) if (length > 1).any() else None


def _joined_runs(parts: Sequence[Judged]) -> Equals | None:
    if all(one.equal is None for one in parts):
        return None
    runs = [one.equal or Equals(one.rank, np.ones_like(one.rank)) for one in parts]
    return Equals(*(np.concatenate(arrays) for arrays in zip(*runs, strict=True)))
