"""Batches: which rows each step sees. They depend on seed and epoch alone, so that any epoch can be made again."""

from __future__ import annotations

from typing import Any

import numpy as np

NO_INSTANCE = -1
"""The number of rows that show no instance."""

_SCORES = 1 << 24  # at most so many at a time


def numbered(labels: Any) -> np.ndarray:
    """Labels (n,) as numbers 0, 1, ... in the order of the names; "" is `NO_INSTANCE`."""
    labels = np.asarray(labels).astype(str)
    shown = labels != ""
    numbers = np.full(len(labels), NO_INSTANCE)
    numbers[shown] = np.unique(labels[shown], return_inverse=True)[1]
    return numbers


def together(numbers: np.ndarray) -> np.ndarray:
    """Which rows show the same instance (n, n); a row without one is together with none, not even with itself."""
    return (numbers[:, None] == numbers) & (numbers != NO_INSTANCE)


def shuffled(count: int, size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Every row once, in batches of at most `size`, all about as large."""
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return np.array_split(order, -(-count // size))


def with_partners(numbers: np.ndarray, size: int, *, each: int = 4, seed: int, epoch: int) -> list[np.ndarray]:
    """Every row once, in batches of about `size`: rows of one instance come in groups of about `each`, in one batch.

    So matching pairs are there however rare they are. A row without an instance is a group of its own.

    Parameters
    ----------
    numbers : (n,), instance of each row, as from `numbered`.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(numbers))
    order = order[np.argsort(numbers[order], kind="stable")]
    groups: list[np.ndarray] = []
    for members in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        alone = numbers[members[0]] == NO_INSTANCE
        groups += np.array_split(members, len(members) if alone else -(-len(members) // each))
    mixed = [groups[place] for place in random.permutation(len(groups))]
    ends = np.cumsum([len(group) for group in mixed])
    count = -(-len(numbers) // size)
    cuts = np.searchsorted(ends, len(numbers) * np.arange(1, count) / count) + 1
    return [
        np.concatenate(mixed[low:high]) for low, high in zip([0, *cuts], [*cuts, len(mixed)], strict=True) if low < high
    ]


def classes_of(numbers: np.ndarray, *, classes: int, each: int, seed: int, step: int, fill: bool = False) -> np.ndarray:
    """A batch of `each` rows of some `classes`, drawn for one step; rows of a class follow each other.

    Of an instance with fewer rows, some come twice; with fewer instances, all of them come.

    Parameters
    ----------
    numbers : (n,), instance of each row, as from `numbered`; rows without one are never drawn.
    fill : draw instances that only one row shows last, that row once, where the others leave room.

    Returns
    -------
    (classes * each,) rows, or fewer. They depend on seed and step alone, so that any step can be made again.
    """
    random = np.random.default_rng([seed, step])
    known, times = np.unique(numbers[numbers != NO_INSTANCE], return_counts=True)
    alone = known[times == 1] if fill else known[:0]
    chosen = random.permutation(np.setdiff1d(known, alone))[:classes]
    drawn = [_some(np.flatnonzero(numbers == one), each, random) for one in chosen]
    beside = random.permutation(np.flatnonzero(np.isin(numbers, alone)))[: each * (classes - len(chosen))]
    return np.concatenate([*drawn, beside])


def _some(rows: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """`count` rows in random order; where there are fewer, all of them again and again."""
    return np.resize(random.permutation(rows), count)


def with_neighbours(neighbours: np.ndarray, size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Batches of rows together with their neighbours, every row in one at least; all rows if they are at most `size`.

    Parameters
    ----------
    neighbours : (n, k) rows, as from `nearest`.
    """
    count, k = neighbours.shape
    if count <= size:
        return [np.arange(count)]
    parts = shuffled(count, max(1, size // (k + 1)), seed=seed, epoch=epoch)
    return [np.unique(np.concatenate([part, neighbours[part].ravel()])) for part in parts]


def neighbouring(rows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Which of some `rows` (b,), sorted, are neighbours (b, b): one of the other, or each of each."""
    found = np.zeros((len(rows), len(rows)), bool)
    others = neighbours[rows]
    place = np.minimum(np.searchsorted(rows, others), len(rows) - 1)
    one, which = np.nonzero(rows[place] == others)
    found[one, place[one, which]] = True
    return found | found.T


def nearest(X: np.ndarray, k: int) -> np.ndarray:
    """The `k` rows of `X` (n, D) that are nearest to each row, itself left out: (n, k), in no order.

    Distances are Euclidean, which for rows of length one order like cosines, centred or not.
    """
    found, lengths = np.empty((len(X), k), np.int64), np.square(X).sum(axis=1)
    for start in range(0, len(X), max(1, _SCORES // len(X))):
        rows = np.arange(start, min(start + max(1, _SCORES // len(X)), len(X)))
        distances = lengths - 2 * X[rows] @ X.T
        distances[rows - start, rows] = np.inf
        found[rows] = np.argpartition(distances, k - 1, axis=1)[:, :k]
    return found
