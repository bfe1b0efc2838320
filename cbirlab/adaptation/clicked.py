"""Clicked: labels from pairs of pictures that a person called the same, or not the same."""

from __future__ import annotations

from collections import deque
from typing import Annotated

import numpy as np

from cbirlab.adaptation.judgements import Judged
from cbirlab.adaptation.labelling import Guess
from cbirlab.base.params import Choice
from cbirlab.base.text import printable
from cbirlab.training.batches import NO_INSTANCE


def clicked(
    rows: np.ndarray,
    *,
    given: np.ndarray,
    seed: int,
    judged: Judged,
    shuffled: Annotated[bool, Choice((False, True))] = False,
) -> Guess:
    """Labels of judged pictures: connected groups of those called the same; what is only "not the same" stands alone.

    A picture that stands alone has a label of its own, and is a wrong answer for all groups: it fills the room that
    these leave in a batch. Two groups count as different, even if no click says so: judge a picture of each if that may
    be wrong.

    Parameters
    ----------
    judged : what was said about rows.
    shuffled : deal the labels out anew among the judged pictures: what is gained with them is owed to no click.

    Raises
    ------
    ValueError : a pair that is "not the same" although others join it; no two pictures that are the same, or nothing
        beside them.
    """
    labels = groups_of(judged, len(rows))
    labels[~rows.any(axis=1)] = NO_INSTANCE
    shown = labels != NO_INSTANCE
    counts = np.unique(labels[shown], return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        raise ValueError(
            f"labels 'clicked' must hold two pictures called the same, and one that is not the same as these, got "
            f"{len(judged.pairs)} judgements, {int(judged.same.sum())} of them the same; judge more pairs."
        )
    if shuffled:
        labels[shown] = np.random.default_rng(seed).permutation(labels[shown])
    return Guess(labels=labels)


def groups_of(judged: Judged, count: int) -> np.ndarray:
    """The label (count,) of each row: the smallest row of its group; `NO_INSTANCE` for what was never judged.

    Raises
    ------
    ValueError : a pair that is "not the same" in one group; the message names all pictures that join it.
    """
    near: dict[int, list[int]] = {int(row): [] for row in np.unique(judged.pairs)}
    for one, other in judged.pairs[judged.same].tolist():
        near[one].append(other)
        near[other].append(one)
    labels = np.full(count, NO_INSTANCE, np.int64)
    for row in near:  # ascending, so that the first of a group is its smallest
        if labels[row] == NO_INSTANCE:
            labels[[*_reached(row, near)]] = row
    for one, other in judged.pairs[~judged.same].tolist():
        if labels[one] == labels[other]:
            before, path = _reached(one, near), [other]
            while path[-1] != one:
                path.append(before[path[-1]])
            chain = " = ".join(repr(printable(judged.names[row])) for row in reversed(path))
            raise ValueError(
                f"labels 'clicked': judgements must not contradict each other, got {chain}, but the first and the "
                "last are called not the same; take one of these judgements back."
            )
    return labels


def _reached(start: int, near: dict[int, list[int]]) -> dict[int, int]:
    """Rows that are joined to one, each with the row before it on a shortest way."""
    before, waiting = {start: start}, deque([start])
    while waiting:
        row = waiting.popleft()
        for other in near[row]:
            if other not in before:
                before[other] = row
                waiting.append(other)
    return before
