"""Exact search: inner products with every database row."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range, check_parameters
from cbirlab.index.base import INDEXES, check_depth, values_of
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, pack, refuse_not_finite, unpack_scores


@INDEXES.register("exact", title="Exact search", approximate=False)
class ExactIndex:
    """Inner products with every database row: the reference for all other indexes.

    A row of zeros is not a descriptor: as a query it has no answer, and in the database it is no answer (see
    `Ranking`).

    Products are summed in float64 and rounded to float32 once. So equal descriptors have equal scores wherever they are
    in the database, and a ranking depends neither on the block size nor on the number of threads.

    Parameters
    ----------
    block_mb : memory for one block of scores and rows; the database may be a memory map larger than memory.

    Attributes
    ----------
    database_ : (N, D), as given to `fit`; not copied.
    """

    def __init__(self, *, block_mb: Annotated[float, Range(0.001, 65536)] = 64) -> None:
        self.block_mb = check_parameters(type(self), {"block_mb": block_mb}, owner="ExactIndex")["block_mb"]

    def fit(self, X: Any) -> ExactIndex:
        """Take the database `X` (N, D), one row per image."""
        self.database_ = _matrix("database", X)
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of the database's rows."""
        return self._fitted().nbytes

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
        depth = check_depth("ExactIndex", k, len(database))
        finite = np.isfinite(queries).all(axis=1)
        if not finite.all():
            raise ValueError(f"ExactIndex: query {int(finite.argmin())} holds NaN or infinity.")
        shape = (len(queries), depth)
        images, scores = np.empty(shape, np.int64), np.empty(shape, np.float32)
        for rows in blocks(len(queries), self._elements() // len(database)):
            keys = self._best_keys(queries[rows].astype(np.float64), depth)
            images[rows], scores[rows] = keys & LOW_WORD, unpack_scores(keys)
        return Ranking(images, scores)

    def _best_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Sorted keys of the `k` best rows, computed from one block of the database after another."""
        best = np.empty((len(queries), 0), dtype=np.int64)
        database = self.database_
        for rows in blocks(len(database), self._elements() // max(len(queries), database.shape[1])):
            block = database[rows].astype(np.float64)
            scores = (queries @ block.T).astype(np.float32)
            refuse_not_finite(scores, rows.start)
            _leave_out_zeros(scores, queries, block)
            best = np.concatenate([best, pack(scores, rows.start)], axis=1)
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


def _matrix(name: str, X: Any) -> np.ndarray:
    X = np.asanyarray(values_of("ExactIndex", X))
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"ExactIndex: {name} must be (N, D), one row per image and not empty, got {X.shape}.")
    if X.dtype.kind not in "fiu":
        raise TypeError(f"ExactIndex: {name} must hold real numbers, got {X.dtype}.")
    return X


def _leave_out_zeros(scores: np.ndarray, queries: np.ndarray, block: np.ndarray) -> None:
    """Set the scores (Q, N) of rows of zeros to -inf. Such rows score 0, so it only looks at rows with that score."""
    asked = queries.any(axis=1)
    scores[~asked] = -np.inf
    if asked.any():
        suspects = np.flatnonzero(scores[asked.argmax()] == 0)
        scores[:, suspects[~block[suspects].any(axis=1)]] = -np.inf
