"""Quality: how well bits are used. None of these numbers predicts which code retrieves better."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cbirlab.compression.base import Code
from cbirlab.compression.binary import BinaryCode

BLOCK = 4096
"""Rows whose bits are unpacked at a time."""


def bit_balance(code: BinaryCode, X: np.ndarray) -> float:
    """Mean over the bits of ``|mean b|``, with bits as -1 and 1, for rows (N, D): 0 if each splits them in halves."""
    return float(np.abs(bit_use(code.encode(X), code.bits_).balance).mean())


def bit_correlation(code: BinaryCode, X: np.ndarray) -> float:
    """Mean over pairs of bits of ``|corr(b_i, b_j)|``, for rows (N, D); bits that never change are in no pair.

    NaN if fewer than two bits change.
    """
    each = bit_use(code.encode(X), code.bits_).correlation
    return float(each[~np.isnan(each)].mean()) if not np.isnan(each).all() else float("nan")


def quantisation_error(code: Code, X: np.ndarray) -> float:
    """What coding loses of rows (N, D).

    Of a binary code with outputs u it is the least ``|B - a u|^2 / (N K)`` over scales a, which do not change the bits:
    0 if all outputs are of one size, 0.36 if they are normally distributed. Of any other code it is the mean of
    ``|x - decode(x)|^2`` in the space of its codes.
    """
    if isinstance(code, BinaryCode):
        u = np.asarray(code.outputs(X), dtype=np.float64)
        return float(1 - np.abs(u).mean() ** 2 / max(np.square(u).mean(), np.finfo(float).tiny))
    return float(np.square(code.prepare(X) - code.decode(code.encode(X))).sum(axis=1).mean())


class BitUse(NamedTuple):
    """How the bits (K,) of a code are used by a database.

    Attributes
    ----------
    balance : mean of a bit as -1 and 1: 0 if it splits the images in halves, 1 or -1 if it never changes.
    correlation : mean |correlation| with the other bits that change; NaN for a bit that never changes.
    """

    balance: np.ndarray
    correlation: np.ndarray


def bit_use(codes: np.ndarray, bits: int) -> BitUse:
    """Balance and correlation of each bit of packed codes (N, W)."""
    sums, products = np.zeros(bits), np.zeros((bits, bits))
    for start in range(0, len(codes), BLOCK):
        signs = unpacked(codes[start : start + BLOCK], bits).astype(np.float32) * 2 - 1
        sums += signs.sum(axis=0, dtype=np.float64)
        products += signs.T @ signs  # whole numbers below 2^24, so float32 is exact
    balance = sums / len(codes)
    covariance = products / len(codes) - np.outer(balance, balance)
    spread = np.sqrt(np.diagonal(covariance).clip(0))
    changes = np.abs(balance) < 1
    scale = np.where(changes, spread, np.nan)
    found = np.abs(covariance / np.outer(scale, scale))[:, changes]
    others = changes.sum() - 1
    mean = (found.sum(axis=1) - 1) / others if others > 0 else np.full(bits, np.nan)
    return BitUse(balance, mean)


def unpacked(codes: np.ndarray, bits: int) -> np.ndarray:
    """The bits (N, K) of packed codes (N, W)."""
    return np.unpackbits(codes, axis=1, count=bits, bitorder="little").astype(bool)
