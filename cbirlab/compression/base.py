"""What a code is: it learns, encodes and decodes rows, and scores codes for queries."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from cbirlab.base.params import check_parameters


class Code:
    """Base of all codes. Rows go in L2-normalised; a code of a row takes `row_bytes` bytes.

    A code is compared with a query by ``scores``: the larger, the nearer. Codes that stand for a vector, to which
    `decode` leads back, are scored by ``<q, x> + (1 - |x|^2) / 2``, which sorts by the distance ``|q - x|`` and is the
    cosine if the row has length one. (Inner products alone sort wrongly, because decoded rows differ in length.)

    A subclass fills in `_learn`, `encode` and `decode`, and what differs from the rest.

    Attributes
    ----------
    width_ : D of the rows.
    factory : how faiss names the storage of such codes inside its lists and graphs; "" if it has none.
    shifted : whether scores take the length of decoded rows into account.
    symmetric : whether queries are coded too, and codes are compared bit by bit.
    """

    width_: int
    symmetric: bool = False
    factory: str = ""
    shifted: ClassVar[bool] = True

    def get_params(self) -> dict[str, Any]:
        """The parameters and their values."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows of the learning set.

        Parameters
        ----------
        X : (n, D), L2-normalised.
        y : (n,), instance label of each row, "" for none; for codes that learn from pairs.

        Raises
        ------
        ValueError, TypeError : a parameter that is not allowed or does not fit D, NaN, too few rows.
        """
        owner = type(self).__name__
        check_parameters(type(self), self.get_params(), owner=owner)
        X = matrix(owner, X)
        self.width_ = X.shape[1]
        self._learn(X, None if y is None else np.asarray(y).astype(str))
        return self

    def check_width(self, X: np.ndarray) -> np.ndarray:
        """Rows (N, D) as wide as those that were learned from.

        Raises
        ------
        ValueError : others.
        """
        if X.ndim != 2 or X.shape[1] != self.width_:
            raise ValueError(f"{type(self).__name__}: X must be (N, {self.width_}), as what it learned, got {X.shape}.")
        return X

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        """Set what is learned, in attributes that end with an underscore."""

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Codes (N, W) of rows (N, D)."""
        raise NotImplementedError

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The vectors (N, d) for which codes stand."""
        raise NotImplementedError

    def prepare(self, Q: np.ndarray) -> np.ndarray:
        """What codes are compared with, (Q, d) or codes: by default the queries (Q, D) themselves."""
        return Q

    def scores(self, prepared: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Scores (Q, N) in float32 of codes (N, W), for queries from `prepare`; summed in float64."""
        rows = self.decode(codes).astype(np.float64)
        found = prepared.astype(np.float64) @ rows.T
        if self.shifted:
            found += (1 - np.einsum("nd,nd->n", rows, rows)) / 2
        return found.astype(np.float32)

    def scores_beside(self, prepared: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """The same of some decoded rows for each query, (Q, k, d): (Q, k)."""
        rows = decoded.astype(np.float64)
        found = np.einsum("qd,qkd->qk", prepared.astype(np.float64), rows)
        if self.shifted:
            found += (1 - np.einsum("qkd,qkd->qk", rows, rows)) / 2
        return found.astype(np.float32)

    def space(self, X: np.ndarray) -> np.ndarray:
        """Rows as faiss stores them by `factory`; queries alike."""
        return X

    @property
    def row_bytes(self) -> int:
        """Bytes of a code."""
        return self.encode(np.zeros((1, self.width_), np.float32)).nbytes


def matrix(owner: str, X: Any) -> np.ndarray:
    """Checked rows (N, D) of finite numbers, in float32 unless they are float64.

    Raises
    ------
    ValueError : another shape, NaN or infinity.
    """
    X = np.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"{owner}: X must be (N, D), one row per image and not empty, got {X.shape}.")
    X = X if X.dtype == np.float64 else X.astype(np.float32, copy=False)
    if not np.isfinite(X).all():
        row = int(np.flatnonzero(~np.isfinite(X).all(axis=1))[0])
        raise ValueError(f"{owner}: X must be finite, got NaN or infinity in row {row}.")
    return X


def rotated(X: np.ndarray, R: np.ndarray) -> np.ndarray:
    """Rows times a rotation (N, D), summed in float64 and rounded to float32: equal rows stay equal in any block."""
    return (X.astype(np.float64) @ R.astype(np.float64)).astype(np.float32)
