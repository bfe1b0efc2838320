"""Labelled: the ground truth of some queries of a dataset as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation.protocols import Level, Protocol

WRONG, OWN = "", "query"
"""Names of database rows without a label, and of the query's own row."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """All labels of some queries (L,), sorted by query: `code` is an index into `names`."""

    query: np.ndarray
    row: np.ndarray
    code: np.ndarray
    names: list[str]

    def of_queries(self, count: int) -> list[slice]:
        """The entries of each query."""
        ends = np.searchsorted(self.query, np.arange(count + 1)).tolist()
        return [slice(*pair) for pair in pairwise(ends)]

    def masks(self, level: Level) -> tuple[np.ndarray, np.ndarray]:
        """Which of `names` are positive at a level, and which are junk."""
        positive = np.array([name in level.positive for name in self.names])
        return positive, np.array([name == OWN or name in level.junk for name in self.names])


def names_of(protocol: Protocol) -> list[str]:
    """The names of everything that a result can be under a protocol."""
    return [WRONG, OWN, *dict.fromkeys(label for level in protocol.levels for label in level.positive + level.junk)]


def check_labels(dataset: Dataset, protocol: Protocol) -> None:
    """Refuse a dataset that a protocol cannot judge.

    Raises
    ------
    ValueError : no labels, or labels that the protocol does not know.
    """
    if not dataset.labels:
        raise ValueError(f"evaluate: dataset {dataset.name!r} has no ground truth, so its rankings have no metrics.")
    known = names_of(protocol)[2:]
    unknown = {label for labels in dataset.labels for label in labels} - {*known}
    if unknown:
        raise ValueError(
            f"evaluate: protocol {protocol.name!r} knows the labels {', '.join(known)}; dataset {dataset.name!r} "
            f"has {', '.join(sorted(unknown))} too; choose the protocol it was made for."
        )


def find_labelled(dataset: Dataset, protocol: Protocol, queries: Sequence[int]) -> Labelled:
    """The labels of some queries, counted from the first of them.

    If the protocol drops the query's own image, that image has a separate label.

    Raises
    ------
    ValueError : labels of rows that are not in the database, or a row with two labels.
    """
    names = names_of(protocol)
    codes = {name: code for code, name in enumerate(names)}
    dropped = protocol.own_image == "dropped"
    entries: list[tuple[int, int, np.ndarray]] = []
    for place, query in enumerate(queries):
        own = dataset.queries[query].index if dropped else None
        for label, rows in dataset.labels[query].items():
            members = np.asarray(rows, dtype=np.int64)
            entries.append((place, codes[label], members if own is None else members[members != own]))
        if own is not None:
            entries.append((place, codes[OWN], np.array([own])))
    sizes = [len(rows) for _, _, rows in entries]
    found = Labelled(
        query=np.repeat(np.array([place for place, _, _ in entries], dtype=np.int64), sizes),
        row=np.concatenate([np.empty(0, np.int64), *(rows for _, _, rows in entries)]),
        code=np.repeat(np.array([code for _, code, _ in entries], dtype=np.uint8), sizes),
        names=names,
    )
    _check_rows(found, dataset)
    return found


def _check_rows(found: Labelled, dataset: Dataset) -> None:
    count, row = len(dataset.images), found.row
    if row.size and (row.min() < 0 or row.max() >= count):
        raise ValueError(f"evaluate: labels of {dataset.name!r} must be rows in [0, {count - 1}].")
    if len(np.unique(found.query * count + row)) != len(row):
        raise ValueError(f"evaluate: dataset {dataset.name!r} labels a database row twice for one query.")
