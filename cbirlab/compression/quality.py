"""Quality: how well bits are used. None of these numbers predicts which code retrieves better."""

from __future__ import annotations

import numpy as np

from cbirlab.compression.base import Code
from cbirlab.compression.binary import BinaryCode


def bit_balance(code: BinaryCode, X: np.ndarray) -> float:
    """Mean over the bits of ``|mean b|``, with bits as -1 and 1, for rows (N, D): 0 if each splits them in halves."""
    return float(np.abs(_bits(code, X).mean(axis=0)).mean())


def bit_correlation(code: BinaryCode, X: np.ndarray) -> float:
    """Mean over pairs of bits of ``|corr(b_i, b_j)|``, for rows (N, D); bits that never change are in no pair.

    NaN if fewer than two bits change.
    """
    bits = _bits(code, X)
    bits = bits[:, bits.std(axis=0) > 0]
    if bits.shape[1] < 2:
        return float("nan")
    return float(np.abs(np.corrcoef(bits.T)[np.triu_indices(bits.shape[1], 1)]).mean())


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


def _bits(code: BinaryCode, X: np.ndarray) -> np.ndarray:
    return np.where(code.outputs(X) >= 0, 1.0, -1.0)
