"""Exact search: inner products with every database row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range, check_parameters
from cbirlab.compression.base import Code
from cbirlab.index.base import check_depth, values_of
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, pack, refuse_not_finite, unpack_scores

CACHED = 2**18
"""Numbers of rows that are compared at a time, so that they stay in the cache."""


class ExactIndex:
    """Compares a query with every row of the database, or with every code: the reference for all other indexes.

    Without a code, scores are inner products; with one, they are the code's (`cbirlab.compression.base.Code`), and rows
    and queries must be L2-normalised.

    A row of zeros is not a descriptor: as a query it has no answer, and in the database it is no answer (see
    `Ranking`).

    Products are summed in float64 and rounded to float32 once. So equal descriptors have equal scores wherever they are
    in the database, and a ranking depends neither on the block size nor on the number of threads.

    Parameters
    ----------
    block_mb : memory for one block of scores and rows; the database may be a memory map larger than memory.

    Attributes
    ----------
    database_ : (N, D), as given to `fit`; not copied. With a code (N, W), the codes.
    """

    def __init__(self, *, block_mb: Annotated[float, Range(0.001, 65536)] = 64) -> None:
        self.block_mb = check_parameters(type(self), {"block_mb": block_mb}, owner="ExactIndex")["block_mb"]

    def fit(self, X: Any, code: Code | None = None, train: Any = None) -> ExactIndex:
        """Take the database `X` (N, D), one row per image, and keep it, or what a fitted `code` keeps of it.

        `train` is there because other indexes learn.
        """
        rows = check_matrix("ExactIndex", "database", X)
        self._width, self._code = rows.shape[1], code
        self.database_ = rows if code is None else self._encoded(rows, code)
        return self

    @property
    def rows(self) -> np.ndarray | None:
        """The database (N, D) if it is kept as it is, without a code."""
        return self._fitted() if self._code is None else None

    def extend(self, X: Any) -> ExactIndex:
        """Add images behind those that are there."""
        more = type(self)(block_mb=self.block_mb).fit(X, self._code)
        if more._width != self._width:
            raise ValueError(f"ExactIndex: rows must have {self._width} dimensions, got {more._width}.")
        self.database_ = np.concatenate([self.database_, more.database_])
        if self._code is not None:
            self._empty = np.concatenate([self._empty, more._empty])
        return self

    def saved(self) -> dict[str, np.ndarray]:
        """What is to be kept of the index beside the rows and the code."""
        return {} if self._code is None else {"codes": self.database_, "empty": self._empty}

    def restore(self, X: Any, code: Code | None, saved: Mapping[str, np.ndarray]) -> ExactIndex:
        """Take the database from what `saved` gave for the same rows and code; codes need no rows."""
        if code is None:
            return self.fit(X)
        self._width, self._code = code.width_, code
        self.database_, self._empty = np.asarray(saved["codes"]), np.asarray(saved["empty"])
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of the database's rows, or of their codes."""
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
        database, queries = self._fitted(), check_matrix("ExactIndex", "queries", Q)
        if queries.shape[1] != self._width:
            raise ValueError(f"ExactIndex: queries must have {self._width} dimensions, got {queries.shape[1]}.")
        depth = check_depth("ExactIndex", k, len(database))
        finite = np.isfinite(queries).all(axis=1)
        if not finite.all():
            raise ValueError(f"ExactIndex: query {int(finite.argmin())} holds NaN or infinity.")
        shape = (len(queries), depth)
        images, scores = np.empty(shape, np.int64), np.empty(shape, np.float32)
        for rows in blocks(len(queries), self._elements() // len(database)):
            keys = self._best_keys(queries[rows], depth)
            images[rows], scores[rows] = keys & LOW_WORD, unpack_scores(keys)
        return Ranking(images, scores)

    def _best_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Sorted keys of the `k` best rows, computed from one block of the database after another."""
        best = np.empty((len(queries), 0), dtype=np.int64)
        asked = queries.astype(np.float64) if self._code is None else self._code.prepare(queries)
        unasked = ~queries.any(axis=1)
        witness = int(unasked.argmin())  # a query with a descriptor, if there is one
        # sorting keys takes four times what the keys do
        for rows in blocks(len(self.database_), self._elements() // 4 // max(len(queries), self._width)):
            scores = np.empty((len(queries), rows.stop - rows.start), np.float32)
            for part in blocks(scores.shape[1], CACHED // asked.shape[1]):
                here = slice(rows.start + part.start, rows.start + part.stop)
                block, found = self.database_[here], scores[:, part]
                if self._code is None:
                    block = block.astype(np.float64)
                    found[:] = asked @ block.T
                    refuse_not_finite(found, here.start)
                    found[:, _zero_rows(block, found[witness])] = -np.inf
                else:
                    found[:] = self._code.scores(asked, block)
                    found[:, self._empty[here]] = -np.inf
            scores[unasked] = -np.inf
            best = np.concatenate([best, pack(scores, rows.start)], axis=1)
            if best.shape[1] > k:
                best = np.partition(best, k - 1, axis=1)[:, :k]
        best.sort(axis=1)
        return best

    def _encoded(self, rows: np.ndarray, code: Code) -> np.ndarray:
        """The codes (N, W), made a block at a time; and which rows are empty, which codes do not tell."""
        self._empty = np.empty(len(rows), bool)
        codes = []
        for part in blocks(len(rows), self._elements() // rows.shape[1]):
            block = np.asarray(rows[part])
            refuse_not_finite(block.T, part.start)
            self._empty[part] = ~block.any(axis=1)
            codes.append(code.encode(block))
        return np.concatenate(codes)

    def _elements(self) -> int:
        return int(self.block_mb * 2**20 / 8)

    def _fitted(self) -> np.ndarray:
        if not hasattr(self, "database_"):
            raise RuntimeError("ExactIndex: call fit(X) with the database before search.")
        return self.database_


def check_matrix(owner: str, name: str, X: Any) -> np.ndarray:
    """Rows (N, D) of real numbers, one per image; not copied.

    Raises
    ------
    ValueError, TypeError : something else.
    """
    X = np.asanyarray(values_of(owner, X))
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"{owner}: {name} must be (N, D), one row per image and not empty, got {X.shape}.")
    if X.dtype.kind not in "fiu":
        raise TypeError(f"{owner}: {name} must hold real numbers, got {X.dtype}.")
    return X


def empty_rows(owner: str, rows: np.ndarray) -> np.ndarray:
    """Numbers of the rows (N, D) that are zero; refuses those that are not finite. Looks at a block at a time."""
    found = []
    for part in blocks(len(rows), 2**16):
        block = np.asarray(rows[part])
        if not np.isfinite(block).all():
            row = part.start + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise ValueError(f"{owner}: database must be finite, got NaN or infinity in row {row}.")
        found.append(part.start + np.flatnonzero(~block.any(axis=1)))
    return np.concatenate(found)


def _zero_rows(block: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which rows (N, D) are zero. Such rows score 0 for any query, so it only looks at rows with that score (N,)."""
    suspects = np.flatnonzero(scores == 0)
    return suspects[~block[suspects].any(axis=1)]
