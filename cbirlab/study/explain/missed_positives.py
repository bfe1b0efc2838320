"""Positives: where the right answers of one query are in the list, and which were missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbirlab.index.lists import lists_of

if TYPE_CHECKING:
    from cbirlab.fusion.result import FusedRun
    from cbirlab.pipeline import Run


class Positive(NamedTuple):
    """A right answer: database row, rank from 1 without junk (None if the list lacks this answer), label."""

    row: int
    rank: int | None
    label: str


def positives(run: Run | FusedRun, query: int, level: str | None = None) -> list[Positive]:
    """All right answers of a query, best rank first.

    Parameters
    ----------
    query : row among the dataset's queries.
    level : a level of the protocol; "medium" by default if it has several.

    Raises
    ------
    ValueError : a dataset without ground truth, or a level that its protocol does not have.
    IndexError : no such query.
    """
    if run.evaluation is None:
        raise ValueError(f"positives: {run.dataset.name} has no ground truth, so no answer is known to be right.")
    if not 0 <= query < len(run.dataset.queries):
        raise IndexError(f"positives: query must be in [0, {len(run.dataset.queries) - 1}], got {query}.")
    protocol, labels = run.evaluation.protocol, run.dataset.labels[query]
    chosen = protocol.level(level, "positives")
    own = [run.dataset.queries[query].index] if protocol.own_image == "dropped" else []
    junk = [row for label in chosen.junk for row in labels.get(label, ())] + [row for row in own if row is not None]
    answered = lists_of(run.ranking).of(query)
    listed = answered.images[0, : answered.answers()[0]]
    kept = listed[~np.isin(listed, junk)]
    ranks = {int(row): place for place, row in enumerate(kept, start=1)}
    found = [
        Positive(row, ranks.get(row), label)
        for label in chosen.positive
        for row in labels.get(label, ())
        if row not in own
    ]
    return sorted(found, key=lambda one: (one.rank is None, one.rank or 0, one.row))


def find_missed(run: Run | FusedRun, query: int, k: int = 20, level: str | None = None) -> list[Positive]:
    """The right answers of a query that are not among the first `k`, best rank first; arguments as in `positives`."""
    if k < 0 or k != int(k):
        raise ValueError(f"missed: k must be a whole number of at least 0, got {k!r}.")
    return [one for one in positives(run, query, level) if one.rank is None or one.rank > k]
