"""RaBitQ: the sign of every dimension after a random rotation, and what makes its inner products unbiased."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from cbirlab.compression.base import Code, rotated
from cbirlab.compression.binary import SEED, random_rotation


class RaBitQ(Code):
    """One bit for each dimension, and two numbers: the inner products that codes give are right on average.

    With c the mean and P a random rotation, a row x is ``c + l o`` with l its distance from c, and o is kept as the
    signs b of ``P^T o``: as the unit vector ``P b / sqrt(D)``. Its product with a query, divided by its product with o,
    is an unbiased estimate of the query's product with o, whose error falls with sqrt(D). Scores estimate
    ``1 - |q - x|^2 / 2`` by the product of o and q - c, which is shorter than q.

    Parameters
    ----------
    seed : of the random rotation.

    Attributes
    ----------
    mean_ : (D,) float32.
    rotation_ : (D, D) float32.

    References
    ----------
    Gao and Long, "RaBitQ: Quantizing high-dimensional vectors with a theoretical error bound for approximate nearest
    neighbor search", SIGMOD 2024.
    """

    factory = "RaBitQ"

    def __init__(self, *, seed: Annotated[int, SEED] = 0) -> None:
        self.seed = seed

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_ = X.mean(axis=0).astype(np.float32)
        self.rotation_ = random_rotation(X.shape[1], self.seed).astype(np.float32)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Signs, then as float32 the length l and the product of o with its code (N, ceil(D / 8) + 8)."""
        turned = self.space(X)
        length = np.linalg.norm(turned, axis=1, keepdims=True)
        unit = turned / np.maximum(length, np.finfo(np.float32).tiny)
        product = np.abs(unit).sum(axis=1, keepdims=True) / np.sqrt(np.float32(self.width_))
        numbers = np.concatenate([length, product], axis=1).astype(np.float32)
        return np.concatenate([np.packbits(turned >= 0, axis=1, bitorder="little"), numbers.view(np.uint8)], axis=1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors (N, D) whose products with queries estimate those of the rows; they are longer than the rows."""
        signs = np.unpackbits(codes[:, :-8], axis=1, count=self.width_, bitorder="little").astype(np.float32) * 2 - 1
        length, product = _numbers(codes)
        scale = length / np.where(product > 0, product, 1) / np.sqrt(np.float32(self.width_))
        return self.mean_ + rotated(signs * scale[:, None], self.rotation_.T)

    def scores(self, prepared: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Scores (Q, N): those of decoded rows, but with the squares of their lengths as the code estimates them."""
        rows, mean = self.decode(codes).astype(np.float64), self.mean_.astype(np.float64)
        squares = _numbers(codes)[0].astype(np.float64) ** 2 + 2 * rows @ mean - mean @ mean
        return (prepared.astype(np.float64) @ rows.T + (1 - squares) / 2).astype(np.float32)

    def space(self, X: np.ndarray) -> np.ndarray:
        """Centred and rotated rows, because faiss does not rotate them."""
        return rotated(X - self.mean_, self.rotation_)


def _numbers(codes: np.ndarray) -> np.ndarray:
    """Length and product (2, N) of codes."""
    return np.ascontiguousarray(codes[:, -8:]).view(np.float32).T
