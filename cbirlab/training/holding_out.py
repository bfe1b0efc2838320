"""Holding out: identities that training never sees, which say at which step it was best."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cbirlab.training.batches import NO_INSTANCE

FEWEST = 4
"""Identities below which nothing is held out: one or two say little about those to come."""

MOST_QUERIES = 500
"""Rows that ask; of more, some are drawn."""


class Split(NamedTuple):
    """Rows to learn from, and rows to choose the step by: those of other identities, and those of none.

    Attributes
    ----------
    learn, ask : row numbers; all rows that ask show an identity.
    beside : rows without an identity, which are wrong answers to every row that asks.
    """

    learn: np.ndarray
    ask: np.ndarray
    beside: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """All rows that are ranked."""
        return np.concatenate([self.ask, self.beside])


def hold_out(numbers: np.ndarray, share: float, *, seed: int) -> Split:
    """Hold out a share of the identities that are seen at least twice; none if they would be fewer than `FEWEST`.

    Parameters
    ----------
    numbers : (n,), identity of each row, `NO_INSTANCE` for none.
    share : of the identities.
    """
    names, times = np.unique(numbers[numbers != NO_INSTANCE], return_counts=True)
    names = names[times > 1]
    count = int(share * len(names))
    if count < FEWEST:
        nothing = np.empty(0, np.int64)
        return Split(np.arange(len(numbers)), nothing, nothing)
    random = np.random.default_rng(seed)
    held = np.isin(numbers, random.permutation(names)[:count])
    asking = np.flatnonzero(held)
    if len(asking) > MOST_QUERIES:
        asking = np.sort(random.permutation(asking)[:MOST_QUERIES])
    return Split(np.flatnonzero(~held), asking, np.flatnonzero(numbers == NO_INSTANCE))


def leave_one_out(rows: np.ndarray, numbers: np.ndarray) -> float:
    """Mean average precision of the rows that share an identity, each asking the others by its inner products.

    Parameters
    ----------
    rows : (n, D), of length one.
    numbers : (n,), identity of each row, `NO_INSTANCE` for none.

    Returns
    -------
    The mean over the rows with an answer, finite-sum AP, ties by row number; NaN if no row has one.
    """
    same = (numbers[:, None] == numbers) & (numbers != NO_INSTANCE)
    np.fill_diagonal(same, False)
    asking = np.flatnonzero(same.any(axis=1))
    if not len(asking):
        return float("nan")
    scores = rows[asking] @ rows.T
    scores[np.arange(len(asking)), asking] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
    right = np.take_along_axis(same[asking], order, axis=1)
    precision = right.cumsum(axis=1) / np.arange(1, order.shape[1] + 1)
    return float(((precision * right).sum(axis=1) / right.sum(axis=1)).mean())
