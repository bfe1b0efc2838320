"""Bits: a binary code from near: which images stand at which Hamming distance, and what one bit does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cbirlab.compression.binary import BinaryCode, hamming
from cbirlab.compression.quality import unpacked


class Ring(NamedTuple):
    """The images at one Hamming distance from a query, which share their places.

    Attributes
    ----------
    distance : in bits.
    rows : of the database, rising.
    first, last : the places that they share, from 1.
    """

    distance: int
    rows: np.ndarray
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class CodedQuery:
    """The code of a query beside those of the database.

    Attributes
    ----------
    code : fitted.
    codes : (N, W), packed codes of the database.
    answers : (n,) rows that may be answers, rising: not the query's own, and none without a descriptor.
    query : (1, W), packed code of the query.
    outputs : (K,), the real numbers whose signs are its bits; a small one would easily have turned out otherwise.
    """

    code: BinaryCode
    codes: np.ndarray
    answers: np.ndarray
    query: np.ndarray
    outputs: np.ndarray

    @cached_property
    def distances(self) -> np.ndarray:
        """Bits in which each answer differs (n,)."""
        return hamming(self.query, self.codes[self.answers])[0]

    @cached_property
    def order(self) -> np.ndarray:
        """The answers (n,) by distance, equal ones by row."""
        return self.answers[np.argsort(self.distances, kind="stable")]

    @property
    def bits(self) -> np.ndarray:
        """Bits of the query (K,)."""
        return unpacked(self.query, self.code.bits_)[0]

    @property
    def strength(self) -> np.ndarray:
        """How sure each bit of the query is (K,), from 0 to 1."""
        sizes = np.abs(self.outputs)
        return sizes / max(float(sizes.max()), np.finfo(np.float64).tiny)

    def bits_of(self, rows: np.ndarray) -> np.ndarray:
        """Bits of some rows of the database (r, K)."""
        return unpacked(self.codes[rows], self.code.bits_)

    def rings(self) -> list[Ring]:
        """The rings that are not empty, from the nearest on."""
        counts = np.bincount(self.distances, minlength=1)
        ends = np.cumsum(counts)
        found = []
        for distance in np.flatnonzero(counts).tolist():
            first, last = int(ends[distance] - counts[distance]), int(ends[distance])
            found.append(Ring(distance, self.order[first:last], first + 1, last))
        return found

    def flipped(self, bit: int) -> CodedQuery:
        """The same query, had one of its bits turned out otherwise: each image comes one nearer or moves one away.

        Raises
        ------
        IndexError : no such bit.
        """
        if not 0 <= bit < self.code.bits_:
            raise IndexError(f"CodedQuery: bit must be in [0, {self.code.bits_ - 1}], got {bit}.")
        query = self.query.copy()
        query[0, bit // 8] ^= np.uint8(1 << bit % 8)
        outputs = self.outputs.copy()
        outputs[bit] = -outputs[bit]
        return replace(self, query=query, outputs=outputs)


def coded_query(
    code: BinaryCode, codes: np.ndarray, query: np.ndarray, *, empty: np.ndarray | None = None, own: int | None = None
) -> CodedQuery:
    """Look at a query (D,) among the codes (N, W) of a database.

    Parameters
    ----------
    empty : (N,) bool, images without a descriptor.
    own : the row that is the query itself, and no answer.
    """
    there = np.ones(len(codes), bool) if empty is None else ~empty
    if own is not None:
        there[own] = False
    outputs = np.asarray(code.outputs(query[None]), dtype=np.float64)[0]
    return CodedQuery(code, codes, np.flatnonzero(there), code.encode(query[None]), outputs)
