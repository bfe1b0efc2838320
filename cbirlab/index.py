"""Indexes: descriptors in, rankings out. Larger scores are better; equal scores are ordered by image index, always."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from cbirlab.params import Range, checked
from cbirlab.registry import Registry

INDEXES: Registry[Any] = Registry("index")

LOW_WORD = np.int64(0xFFFFFFFF)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The answer of a search.

    A score of -inf means no answer: the query or the image has no descriptor (a picture that cannot be read, an image
    that shows no word), or the list has ended. Such rows stand last, by image index, and count as not found, so a
    query without a descriptor finds nothing.

    Attributes
    ----------
    images : (Q, K) of whole numbers, database rows, best first; int64 of a search, int32 where a run keeps them.
    scores : (Q, K) float32, finite or -inf, never rising.
    complete : `cbirlab.lists.Lists` of a large run, whose first places alone are kept here: what makes the complete
        lists again. Else None.

    Raises
    ------
    ValueError : shapes that differ, scores that are NaN or infinity, or that rise.
    """

    images: np.ndarray
    scores: np.ndarray
    complete: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.images.ndim != 2 or self.images.shape != self.scores.shape:
            raise ValueError(
                f"Ranking: images and scores must be (Q, K) alike, got {self.images.shape} and {self.scores.shape}."
            )
        _check_falling(self.scores)

    def __len__(self) -> int:
        return len(self.images)

    def top(self, k: int) -> Ranking:
        """The first `k` results of every query."""
        if self.complete is not None and k > self.images.shape[1]:
            return self.complete.whole().top(k)
        return Ranking(self.images[:, :k], self.scores[:, :k])

    def answers(self) -> np.ndarray:
        """How many results of each query (Q,) are answers: those before the first score of -inf."""
        ends = self.scores[:, -1:] == -np.inf
        if not ends.any():
            return np.full(len(self), self.scores.shape[1])
        return self.scores.shape[1] - np.where(ends[:, 0], (self.scores == -np.inf).sum(axis=1), 0)


@INDEXES.register("exact", title="Exact search", approximate=False)
class ExactIndex:
    """Inner products with every database row: the reference of all other indexes.

    A row of zeros is no descriptor: as a query it has no answer, in the database it is none (see `Ranking`).

    Products are summed in float64 and rounded to float32 once. So equal descriptors have equal scores wherever they
    stand, and a ranking depends neither on the block size nor on the number of threads.

    Parameters
    ----------
    block_mb : memory for one block of scores and rows; the database may be a memory map larger than memory.

    Attributes
    ----------
    database_ : (N, D), as given to `fit`; not copied.
    """

    def __init__(self, *, block_mb: Annotated[float, Range(0.001, 65536)] = 64) -> None:
        self.block_mb = checked(type(self), {"block_mb": block_mb}, owner="ExactIndex")["block_mb"]

    def fit(self, X: Any) -> ExactIndex:
        """Take the database `X` (N, D), one row per image."""
        self.database_ = _matrix("database", X)
        return self

    def search(self, Q: Any, k: int | None = None) -> Ranking:
        """Rank the database for each row of `Q` (Q, D).

        Parameters
        ----------
        Q : descriptors of the queries.
        k : results per query, all N by default.

        Raises
        ------
        RuntimeError : `fit` was not called.
        ValueError : widths differ, `k` is out of range, NaN or infinity in queries or database.
        """
        database, queries = self._fitted(), _matrix("queries", Q)
        if queries.shape[1] != database.shape[1]:
            raise ValueError(f"ExactIndex: queries must have {database.shape[1]} dimensions, got {queries.shape[1]}.")
        if k is not None and not (1 <= k <= len(database) and k == int(k)):
            raise ValueError(
                f"ExactIndex: k must be a whole number in [1, {len(database)}], the database size, or None, got {k!r}."
            )
        finite = np.isfinite(queries).all(axis=1)
        if not finite.all():
            raise ValueError(f"ExactIndex: query {int(finite.argmin())} holds NaN or infinity.")
        shape = (len(queries), len(database) if k is None else int(k))
        images, scores = np.empty(shape, np.int64), np.empty(shape, np.float32)
        for rows in _blocks(len(queries), self._elements() // len(database)):
            keys = self._best_keys(queries[rows].astype(np.float64), shape[1])
            images[rows], scores[rows] = keys & LOW_WORD, _unpacked_scores(keys)
        return Ranking(images, scores)

    def _best_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Sorted keys of the `k` best rows, from one block of the database after the other."""
        best = np.empty((len(queries), 0), dtype=np.int64)
        database = self.database_
        for rows in _blocks(len(database), self._elements() // max(len(queries), database.shape[1])):
            block = database[rows].astype(np.float64)
            scores = (queries @ block.T).astype(np.float32)
            _refuse_not_finite(scores, rows.start)
            _leave_out_zeros(scores, queries, block)
            best = np.concatenate([best, _packed(scores, rows.start)], axis=1)
            if best.shape[1] > k:
                best = np.partition(best, k - 1, axis=1)[:, :k]
        best.sort(axis=1)
        return best

    def _elements(self) -> int:
        return int(self.block_mb * 2**20 / 8)

    def _fitted(self) -> np.ndarray:
        if not hasattr(self, "database_"):
            raise RuntimeError("ExactIndex: call fit(X) with the database before search.")
        return self.database_


def ranked(scores: np.ndarray) -> Ranking:
    """The ranking of a matrix of scores (Q, N), larger is better, equal ones by image index; -inf is no answer.

    Raises
    ------
    ValueError : NaN or infinity.
    """
    scores = np.asarray(scores, dtype=np.float32)
    _refuse_not_finite(scores, 0, no_answer=-np.inf)
    keys = np.sort(_packed(scores, 0), axis=1)
    return Ranking(keys & LOW_WORD, _unpacked_scores(keys))


def _packed(scores: np.ndarray, first_row: int) -> np.ndarray:
    """One int64 per score that sorts by falling score, then by row: ties are decided, in sort and partition alike.

    The bits of a float32 sort like integers once those of negative numbers are flipped; adding zero makes -0.0 and
    0.0 equal.
    """
    bits = (scores + np.float32(0)).view(np.int32)
    rising = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    return (~rising << 32) | np.arange(first_row, first_row + scores.shape[1], dtype=np.int64)


def _unpacked_scores(keys: np.ndarray) -> np.ndarray:
    rising = (~(keys >> 32)).astype(np.int32)
    return np.where(rising < 0, rising ^ np.int32(0x7FFFFFFF), rising).view(np.float32)


def _blocks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, max(1, size)):
        yield slice(start, min(start + max(1, size), count))


def _matrix(name: str, X: Any) -> np.ndarray:
    X = np.asanyarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"ExactIndex: {name} must be (N, D), one row per image and not empty, got {X.shape}.")
    if X.dtype.kind not in "fiu":
        raise TypeError(f"ExactIndex: {name} must hold real numbers, got {X.dtype}.")
    return X


def _leave_out_zeros(scores: np.ndarray, queries: np.ndarray, block: np.ndarray) -> None:
    """Set the scores (Q, N) of rows of zeros to -inf. They score 0, so only such rows are looked at."""
    asked = queries.any(axis=1)
    scores[~asked] = -np.inf
    if asked.any():
        suspects = np.flatnonzero(scores[asked.argmax()] == 0)
        scores[:, suspects[~block[suspects].any(axis=1)]] = -np.inf


def _refuse_not_finite(scores: np.ndarray, first_row: int, no_answer: float | None = None) -> None:
    """A NaN has no place in a ranking. Looking at scores spares a pass over the database."""
    refused = ~np.isfinite(scores)
    if no_answer is not None:
        refused &= scores != no_answer
    if refused.any():
        row = first_row + int(refused.any(axis=0).argmax())
        raise ValueError(f"ExactIndex: database row {row} holds NaN, infinity or values too large for float32 scores.")


def _check_falling(scores: np.ndarray) -> None:
    """Refuse what is no ranking's scores; a block of queries at a time, because lists may be long."""
    for rows in _blocks(len(scores), 2**22 // max(1, scores.shape[1])):
        block = scores[rows]
        if (block[:, 1:] <= block[:, :-1]).all() and (block[:, :1] < np.inf).all():
            continue
        if np.isnan(block).any() or (block == np.inf).any():
            raise ValueError(
                "Ranking: scores must be finite, or -inf where there is no answer, got NaN or infinity; what are they?"
            )
        query = int((block[:, 1:] > block[:, :-1]).any(axis=1).argmax())
        place = int((block[query, 1:] > block[query, :-1]).argmax())
        low, high = (float(one) for one in block[query, place : place + 2])
        raise ValueError(
            f"Ranking: scores must not rise from one result to the next, got {low:.6g} before {high:.6g} in row "
            f"{rows.start + query}; are they distances? Then pass -distances, else sort each row, best first."
        )
