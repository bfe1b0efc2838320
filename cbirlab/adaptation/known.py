"""Known: the true labels, all of them or those of a few pictures, and the same dealt out anew as a control."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from cbirlab.adaptation.labelling import Guess, Labels, without_single
from cbirlab.base.params import Range
from cbirlab.training.batches import NO_INSTANCE

PICTURES = Range(4, 1 << 20, integer=True, optional=True)
"""Two groups of two pictures are the fewest that can teach anything."""


def given(rows: np.ndarray, *, given: np.ndarray, seed: int, pictures: Annotated[int | None, PICTURES] = None) -> Guess:
    """The true labels; an instance that only one row shows is left out.

    Parameters
    ----------
    pictures : labels of so many rows at most, of whole instances, see `labels_of`; None for all.
    """
    return Guess(labels=without_single(labels_of(given, pictures, seed=seed)))


def shuffled(
    rows: np.ndarray, *, given: np.ndarray, seed: int, pictures: Annotated[int | None, PICTURES] = None
) -> Guess:
    """The true labels, dealt out anew among the rows that have one: what is gained with them is owed to no label.

    Parameters
    ----------
    pictures : see `given`.
    """
    labels = without_single(labels_of(given, pictures, seed=seed))
    shown = labels != NO_INSTANCE
    labels[shown] = np.random.default_rng(seed).permutation(labels[shown])
    return Guess(labels=labels)


def labels_of(given: np.ndarray, pictures: int | None, *, seed: int) -> np.ndarray:
    """The labels (n,) of `pictures` rows at most, and `NO_INSTANCE` for all others.

    Whole instances are taken in an order that the seed decides, until the next one would be too many: of more pictures
    all those of fewer pictures are part. Instances that only one row shows are left out.

    Parameters
    ----------
    given : (n,) instance of each row, `NO_INSTANCE` where none is known.
    pictures : None for all labels as they are.

    Raises
    ------
    ValueError : the first two instances are more pictures than that.
    """
    if pictures is None:
        return given
    names, times = np.unique(given[given != NO_INSTANCE], return_counts=True)
    names, times = names[times > 1], times[times > 1]
    order = np.random.default_rng(seed).permutation(len(names))
    ends = np.cumsum(times[order])
    count = int((ends <= pictures).sum())
    if count < 2:
        advice = f"take at least {ends[1]}" if len(ends) > 1 else "name the instances of more pictures"
        raise ValueError(
            f"labels: pictures must be enough for two instances of two pictures or more, got {pictures}; {advice}."
        )
    return np.where(np.isin(given, names[order[:count]]), given, NO_INSTANCE)


def control_of(labels: Labels) -> Labels:
    """The same labels, dealt out anew; of guessed ones the true labels are."""
    if labels.name == "clicked":
        return Labels("clicked", {"shuffled": True})
    return Labels("shuffled", {"pictures": labels.parameters.get("pictures")})
