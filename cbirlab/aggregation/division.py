"""Division: the vector of one image as a sum over the places of its map, in float64.

A pooling that can be divided has a fact `parts`, a function of maps (1, C, H, W) in float64, of `state` and its
parameters, that gives its `Block`s and whether they are exact: the summands of its own formula, not one of several
possible divisions. The function gives None if the vector is not such a sum with these parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Block = tuple[np.ndarray, np.ndarray]
"""Columns (P, C) and weights (P,): C consecutive dimensions of the vector, the weighted sum of the columns."""

Division = tuple[list[Block], bool] | None
"""The blocks of a vector, one after the other, and whether they are exact."""


def columns_of(maps: Tensor) -> np.ndarray:
    """The columns (P, C) of the maps of one image."""
    return maps[0].flatten(1).T.numpy()


def at_maxima(columns: np.ndarray) -> np.ndarray:
    """`columns` (P, C) with all but the first maximum of each channel set to zero."""
    kept = np.zeros_like(columns)
    where, channels = columns.argmax(axis=0), np.arange(columns.shape[1])
    kept[where, channels] = columns[where, channels]
    return kept


def whole(columns: np.ndarray) -> Block:
    """The block that is the sum of `columns` (P, C)."""
    return columns, np.ones(len(columns))


def lengths(vectors: np.ndarray) -> np.ndarray:
    """L2 norms (..., 1); 1 for a vector of zeros."""
    found = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(found == 0, 1, found)
