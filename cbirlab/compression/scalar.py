"""Codes that keep dimensions, with fewer bits or fewer of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

import numpy as np

from cbirlab.base.params import Choice, Range
from cbirlab.compression.base import Code
from cbirlab.whitening import normalise


class FullRows(Code):
    """No code: rows in float32, scored by their inner products."""

    factory = "Flat"
    shifted: ClassVar[bool] = False

    @classmethod
    def of_width(cls, width: int) -> Self:
        """Of rows (N, width)."""
        self = cls()
        self.width_ = width
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """The rows themselves, in float32."""
        return np.asarray(X, dtype=np.float32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The rows themselves."""
        return codes


class Float16(Code):
    """Rows in half precision: half the memory, and hardly a place in a ranking changes."""

    factory = "SQfp16"

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Rows (N, D) in float16."""
        return X.astype(np.float16)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Rows (N, D) in float32."""
        return codes.astype(np.float32)


class ScalarQuantiser(Code):
    """Every dimension in a few bits: equal steps over the range that it has in the learning set.

    A value stands in the cell ``floor((x - low) / (high - low) (2^bits - 1))`` and is read as its middle; a value
    outside the range moves to its border. The cells are those of faiss.

    Parameters
    ----------
    bits : of each dimension: 8 are a quarter of the memory, 4 an eighth.

    Attributes
    ----------
    low_, high_ : (D,).
    """

    def __init__(self, *, bits: Annotated[int, Choice((4, 6, 8))] = 8) -> None:
        self.bits = bits

    @property
    def factory(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """SQ4, SQ6 or SQ8."""
        return f"SQ{self.bits}"

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.low_, self.high_ = X.min(axis=0).astype(np.float32), X.max(axis=0).astype(np.float32)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Packed cells (N, ceil(D bits / 8)), the lowest bit first."""
        step = np.where(self.high_ > self.low_, self.high_ - self.low_, 1)
        cells = np.clip((X - self.low_) / step, 0, 1).astype(np.float32) * self._cells
        return pack(cells.astype(np.uint8), self.bits)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The middles of the cells (N, D)."""
        cells = unpack(codes, self.bits, self.width_).astype(np.float32)
        return self.low_ + (cells + np.float32(0.5)) / self._cells * (self.high_ - self.low_)

    @property
    def _cells(self) -> np.float32:
        return np.float32(2**self.bits - 1)


class Truncated(Code):
    """The leading dimensions, L2-normalised again; after PCA they hold most of the variance.

    Matryoshka representations are trained so that this costs little. The order of PCA has only the mechanics of it.

    Parameters
    ----------
    dimensions : leading ones that are kept.
    """

    factory = "Flat"

    def __init__(self, *, dimensions: Annotated[int, Range(1, 65536, integer=True)] = 64) -> None:
        self.dimensions = dimensions

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        if self.dimensions > X.shape[1]:
            raise ValueError(
                f"Truncated: dimensions must be at most {X.shape[1]}, the width of the rows, got {self.dimensions}."
            )

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Rows (N, dimensions) of length one."""
        return normalise(self.check_width(X)[:, : self.dimensions]).astype(np.float32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The same."""
        return codes

    def prepare(self, Q: np.ndarray) -> np.ndarray:
        """Queries cut like the rows."""
        return self.encode(Q)

    def space(self, X: np.ndarray) -> np.ndarray:
        """Rows (N, dimensions) of length one."""
        return self.encode(X)


def pack(cells: np.ndarray, bits: int) -> np.ndarray:
    """Numbers (N, D) of so many bits each as bytes (N, ceil(D bits / 8)), the lowest bit first."""
    if bits == 8:
        return cells
    each = np.unpackbits(cells[:, :, None], axis=2, count=bits, bitorder="little")
    return np.packbits(each.reshape(len(cells), -1), axis=1, bitorder="little")


def unpack(codes: np.ndarray, bits: int, width: int) -> np.ndarray:
    """The numbers (N, width) that `pack` put into bytes."""
    if bits == 8:
        return codes
    each = np.unpackbits(codes, axis=1, count=width * bits, bitorder="little").reshape(len(codes), width, bits)
    return np.packbits(each, axis=2, bitorder="little")[:, :, 0]
