"""Colours of points on a map: groups with a name each, or numbers from low to high."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cbirlab.plots.maps import MOST_GROUPS as MOST_COLOURED

MOST_GROUPS = 32767
NO_GROUP = -1
GREY = -1
"""The place in the palette of groups that have no colour of their own."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#3f9fd8", "#7b4fa3", "#882255")
SCALE = ("#440154", "#443983", "#31688e", "#21918c", "#35a268", "#8ab81d")
"""On a white page; `dots.js` has them too, and those of a dark one."""

LEVELS = 32
"""Steps of a scale: more cannot be told apart."""

TAILS = (0.01, 0.99)
FAR = 1.5
"""A few numbers that stretch the scale to so many times what the others need lie beyond its ends."""


@dataclass(frozen=True, eq=False)
class Colouring:
    """What colour each point has, and what that means.

    Attributes
    ----------
    names : of the groups; none for numbers.
    numbers : int16 (N,), each point's group or level; `NO_GROUP` where nothing is known.
    looks : place of each group in the palette, or `GREY`.
    scale : lowest and highest number, as texts; empty for groups.
    notes : of numbers, each as a text.
    values : the numbers (N,), NaN where there is none; empty for groups.
    """

    names: Sequence[str]
    numbers: np.ndarray
    looks: Sequence[int] = ()
    scale: Sequence[str] = ()
    notes: Sequence[str] = ()
    values: np.ndarray = field(default_factory=lambda: np.empty(0))

    def first(self, count: int) -> Colouring:
        """The colours of the first points."""
        return replace(self, numbers=self.numbers[:count], notes=self.notes[:count], values=self.values[:count])


def by_groups(groups: Sequence[str], looks: Sequence[int] | None = None) -> Colouring:
    """A colour for each group; if there are many, for the largest ones.

    Parameters
    ----------
    groups : one name per point, "" for none.
    looks : place of each group in the palette, in the order of the names' first members.

    Raises
    ------
    ValueError : more groups than there are numbers.
    """
    names, numbers = group_points(groups)
    return Colouring(names, numbers, looks_of(numbers, len(names)) if looks is None else looks)


def by_numbers(values: np.ndarray, write: Callable[[float], str] = "{:.4g}".format) -> Colouring:
    """Colours from the lowest to the highest of `values` (N,), NaN where there is none; `write` gives their texts."""
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    notes = [write(float(value)) if there else "" for value, there in zip(values, known, strict=True)]
    if not known.any():
        return Colouring((), np.full(len(values), NO_GROUP, np.int16), (), ("no value", ""), notes, values)
    least, most = float(values[known].min()), float(values[known].max())
    low, high = (float(end) for end in np.quantile(values[known], TAILS))
    if most - least <= FAR * (high - low) or low == high:
        low, high = least, most
    shares = ((values - low) / ((high - low) or 1)).clip(0, 1)
    numbers = np.where(known, np.rint(np.nan_to_num(shares) * (LEVELS - 1)), NO_GROUP).astype(np.int16)
    scale = (("≤ " if low > least else "") + write(low), ("≥ " if high < most else "") + write(high))
    return Colouring((), numbers, (), scale, notes, values)


def group_points(groups: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Names of the groups in the order of their first member, and the number of each member's group; `NO_GROUP` for "".

    Raises
    ------
    ValueError : more groups than there are numbers.
    """
    names = [name for name in dict.fromkeys(str(group) for group in groups) if name]
    if len(names) > MOST_GROUPS:
        raise ValueError(f"Scatter: there can be {MOST_GROUPS} groups at most, got {len(names)}; leave `groups` out.")
    numbers = {name: number for number, name in enumerate(names)} | {"": NO_GROUP}
    return names, np.array([numbers[str(group)] for group in groups], dtype=np.int16)


def looks_of(numbers: np.ndarray, count: int) -> list[int]:
    """The places of `count` groups in the palette; `GREY` for all but the largest if there are many."""
    if count <= MOST_COLOURED + 1:  # who is alone in grey could as well have a colour
        return [*range(count)]
    sizes = np.bincount(numbers[numbers >= 0], minlength=count)
    largest = np.sort(np.argsort(-sizes, kind="stable")[:MOST_COLOURED])
    looks = np.full(count, GREY)
    looks[largest] = np.arange(MOST_COLOURED)
    return looks.tolist()


def colour_of_share(share: float) -> str:
    """The colour on a white page at a share of the way from low to high."""
    stops = np.array([[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in SCALE])
    at = share * (len(SCALE) - 1)
    mixed = [round(float(np.interp(at, np.arange(len(SCALE)), part))) for part in stops.T]
    return "#" + "".join(f"{part:02x}" for part in mixed)
