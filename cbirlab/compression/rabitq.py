"""RaBitQ: the sign of every dimension after a random rotation, and what makes its inner products unbiased."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from cbirlab.compression.base import Code
from cbirlab.compression.binary import SEED, random_rotation


class RaBitQ(Code):
    """One bit for each dimension, and two numbers: the inner products that codes give are right on average.

    With c the mean and P a random rotation, a row x is ``c + |x - c| o``, and o is kept as the signs b of ``P^T o``:
    as the unit vector ``P b / sqrt(D)``. Its product with a query, divided by its product with o, is an unbiased
    estimate of the query's product with o, whose error falls with sqrt(D).

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
    shifted: ClassVar[bool] = False

    def __init__(self, *, seed: Annotated[int, SEED] = 0) -> None:
        self.seed = seed

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_ = X.mean(axis=0).astype(np.float32)
        self.rotation_ = random_rotation(X.shape[1], self.seed).astype(np.float32)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Signs, and as float32 the length ``|x - c|`` over the product of o with its code (N, ceil(D / 8) + 8)."""
        turned = (X.astype(np.float32) - self.mean_) @ self.rotation_
        length = np.linalg.norm(turned, axis=1, keepdims=True)
        unit = turned / np.maximum(length, np.finfo(np.float32).tiny)
        product = np.abs(unit).sum(axis=1, keepdims=True) / np.sqrt(np.float32(self.width_))
        numbers = np.concatenate([length, product], axis=1).astype(np.float32)
        return np.concatenate([np.packbits(turned >= 0, axis=1, bitorder="little"), numbers.view(np.uint8)], axis=1)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors (N, D) whose products with queries are the estimates; they are longer than the rows."""
        signs = np.unpackbits(codes[:, :-8], axis=1, count=self.width_, bitorder="little").astype(np.float32) * 2 - 1
        length, product = np.ascontiguousarray(codes[:, -8:]).view(np.float32).T
        scale = length / np.where(product > 0, product, 1) / np.sqrt(np.float32(self.width_))
        return self.mean_ + (signs * scale[:, None]) @ self.rotation_.T

    def space(self, X: np.ndarray) -> np.ndarray:
        """Centred and rotated rows, because faiss does not rotate them."""
        return (X - self.mean_) @ self.rotation_
