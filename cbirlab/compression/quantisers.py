"""Product quantisation: sub-spaces, each with its codebook. faiss learns the codebooks; a code names their centres."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.base.params import Choice, Range
from cbirlab.compression.base import Code, rotated
from cbirlab.compression.library import faiss_library, one_thread
from cbirlab.compression.scalar import pack, unpack

ROWS_PER_CENTRE = 39
"""Rows of the learning set that a centre of a codebook needs; with fewer, faiss warns."""

CODE_BYTES = 8
"""Bytes of a code if `m` is left open."""

M = Range(1, 4096, integer=True, optional=True)
BITS = Choice((None, 4, 8))


class PQ(Code):
    """The dimensions in `m` groups; of each group the nearest of ``2^bits`` centres.

    Queries stay as they are (asymmetric distance), and scores go by the distance to the centres: inner products alone
    would be ruined by the varying length of decoded rows.

    Parameters
    ----------
    m : groups, a divisor of D; by default as many as make 8 bytes.
    bits : of each group's number: 8 if the learning set has 39 rows for each of 256 centres, else 4.

    Attributes
    ----------
    centres_ : (m, 2^bits, D / m) float32.

    Raises
    ------
    ValueError : `m` does not divide D, fewer rows to learn on than centres.
    MissingLibrary : faiss is not installed.
    """

    centres_: np.ndarray

    def __init__(self, *, m: Annotated[int | None, M] = None, bits: Annotated[int | None, BITS] = None) -> None:
        self.m, self.bits = m, bits

    @property
    def bits_(self) -> int:
        """Bits of the number of a centre."""
        return int(self.centres_.shape[1]).bit_length() - 1

    @property
    def factory(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As PQ8x4np: without the training for polysemous codes, which takes seconds and changes no score."""
        return f"PQ{len(self.centres_)}x{self.bits_}np"

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        m, bits = chosen(type(self).__name__, X.shape, self.m, self.bits)
        faiss = faiss_library(type(self).__name__)
        quantiser = faiss.ProductQuantizer(X.shape[1], m, bits)
        quantiser.cp.min_points_per_centroid = 1  # `chosen` has warned in words
        with one_thread("PQ"):
            quantiser.train(np.ascontiguousarray(X, dtype=np.float32))
        self.centres_ = faiss.vector_to_array(quantiser.centroids).reshape(m, 2**bits, -1).copy()

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Numbers of the nearest centres (N, ceil(m bits / 8)), packed."""
        X = self.check_width(X).astype(np.float64)
        cells = np.empty((len(X), len(self.centres_)), np.uint8)
        for group, centres in enumerate(self.centres_.astype(np.float64)):
            part = X[:, group * centres.shape[1] : (group + 1) * centres.shape[1]]
            cells[:, group] = (np.square(centres).sum(axis=1) - 2 * part @ centres.T).argmin(axis=1)
        return pack(cells, self.bits_)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The centres, side by side (N, D)."""
        cells = unpack(codes, self.bits_, len(self.centres_))
        return np.concatenate([centres[cells[:, group]] for group, centres in enumerate(self.centres_)], axis=1)

    def scores_of_cells(self, prepared: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Scores (Q, k) of the centres (Q, k, m) of some codes for each query, by a table of all centres for each."""
        centres, groups = self.centres_.astype(np.float64), np.arange(len(self.centres_))
        parts = prepared.astype(np.float64).reshape(len(prepared), len(groups), -1)
        tables = np.einsum("qmd,mcd->qmc", parts, centres) - np.square(centres).sum(axis=2) / 2
        first = np.arange(tables.shape[0] * tables.shape[1]).reshape(len(parts), 1, -1) * tables.shape[2]
        found = tables.take(first + cells)
        return (found.sum(axis=2) + 0.5).astype(np.float32)


class OPQ(PQ):
    """PQ after a rotation that is learned together with the codebooks, so that all groups hold about as much.

    Attributes
    ----------
    rotation_ : (D, D) float32.
    """

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        m, bits = chosen("OPQ", X.shape, self.m, self.bits)
        faiss = faiss_library("OPQ")
        quantiser = faiss.ProductQuantizer(X.shape[1], m, bits)
        quantiser.cp.min_points_per_centroid = 1
        rotation = faiss.OPQMatrix(X.shape[1], m)
        rotation.pq = quantiser
        with one_thread("OPQ"):
            rotation.train(np.ascontiguousarray(X, dtype=np.float32))
        self.rotation_ = faiss.vector_to_array(rotation.A).reshape(X.shape[1], -1).T.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said above
            super()._learn(self.space(X), None)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Numbers of the centres that are nearest to the rotated rows."""
        return super().encode(self.space(X))

    def prepare(self, Q: np.ndarray) -> np.ndarray:
        """Rotated queries."""
        return self.space(Q)

    def space(self, X: np.ndarray) -> np.ndarray:
        """Rotated rows."""
        return rotated(X, self.rotation_)


def chosen(owner: str, shape: tuple[int, ...], m: int | None, bits: int | None) -> tuple[int, int]:
    """Groups and bits for a learning set of `shape` (n, D).

    Raises
    ------
    ValueError : `m` does not divide D, or there are fewer rows than centres.
    """
    rows, width = shape
    wanted = bits or (8 if rows >= ROWS_PER_CENTRE * 256 else 4)
    divisors = [one for one in range(1, width + 1) if width % one == 0]
    if m is not None and width % m:
        raise ValueError(f"{owner}: m must divide the {width} dimensions of the rows, {_some(divisors)}, got {m}.")
    if rows < 2**wanted:
        raise ValueError(
            f"{owner}: a codebook of {2**wanted} centres needs at least as many rows to learn on, got {rows}; "
            + ("take bits=4, or " if wanted == 8 else "")
            + "learn on a larger set (whitening_set)."
        )
    if rows < ROWS_PER_CENTRE * 2**wanted:
        warnings.warn(
            f"{owner}: bits={wanted} wants {ROWS_PER_CENTRE * 2**wanted} rows to learn on, {ROWS_PER_CENTRE} for each "
            f"centre, and has {rows}: its centres fit these rows better than others.",
            stacklevel=5,
        )
    elif bits is None and wanted == 4:
        notify(f"{owner}: learns 16 centres (bits=4) on {rows} rows; 256 (bits=8) would want {ROWS_PER_CENTRE * 256}.")
    return m or max(one for one in divisors if one * wanted <= 8 * CODE_BYTES), wanted


def _some(numbers: list[int]) -> str:
    shown: list[Any] = numbers if len(numbers) <= 12 else [*numbers[:11], "..."]
    return "one of " + ", ".join(map(str, shown))
