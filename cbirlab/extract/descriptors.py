"""Descriptors: the filled grid, as arrays in the store; the mean or GeM joins descriptors of several scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbirlab.base.params import Choice
from cbirlab.extract.sampling import Sampler
from cbirlab.store import Entry

if TYPE_CHECKING:
    from cbirlab.aggregation import Aggregation

SCALE_POOLING = Choice(("mean", "gem"))


@dataclass(frozen=True)
class Descriptors:
    """Pooled values of all taps and aggregations, not normalised; row i of a part is its image i.

    Attributes
    ----------
    arrays : (tap, aggregation key) to part to float32 (N, D); with several views an image, a row per view. With
        several scales, their mean or GeM after L2-normalisation.
    keys : (tap, aggregation key) to part to a hash of everything the values depend on.
    counts : part to (images,), how many views each image has: its rows in `arrays`, one after the other.
    pass_ms : (tap, aggregation key) to part to milliseconds per image of the pass or passes that made it; NaN where
        that is not known.
    skipped : part to image to reason: images that could not be read; their rows are zeros.
    computed_images : number of forward passes of single images or views.
    """

    arrays: Mapping[tuple[str, str], Mapping[str, np.ndarray]]
    keys: Mapping[tuple[str, str], Mapping[str, str]]
    counts: Mapping[str, np.ndarray]
    pass_ms: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    skipped: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    computed_images: int = 0

    def __getitem__(self, name: tuple[str, str]) -> Mapping[str, np.ndarray]:
        """Parts of one tap and aggregation, ``descriptors["layer4", "gem(p=3)"]["images"]``."""
        if name not in self.arrays:
            known = ", ".join(f"({tap}, {aggregation})" for tap, aggregation in self.arrays)
            raise KeyError(f"No descriptors of {name}; there are {known}.")
        return self.arrays[name]

    def __iter__(self):
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


class Filled(NamedTuple):
    """One finished column at one scale.

    Attributes
    ----------
    values : float32 (rows, D).
    skipped : rows that could not be read, and why.
    pass_ms : milliseconds per row of the pass that made it, decoding and all columns of the same pass included; NaN
        where a killed run had left nothing to compute.
    """

    values: np.ndarray
    skipped: Mapping[int, str]
    pass_ms: float


def entry_values(entry: Entry) -> Filled:
    """What a finished entry holds."""
    skipped = {int(row): reason for row, reason in entry.notes["skipped"].items()}
    pass_ms = entry.notes.get("pass_ms")
    return Filled(entry.arrays["values"], skipped, math.nan if pass_ms is None else pass_ms)


def exponent_of(scale_pooling: str, aggregation: Aggregation | Sampler) -> float | None:
    """Exponent of GeM over scales, None for the mean.

    Raises
    ------
    ValueError : GeM over scales with an aggregation that is not GeM.
    """
    if SCALE_POOLING.check("extract", "scale_pooling", scale_pooling) == "mean" or isinstance(aggregation, Sampler):
        return None
    if aggregation.name != "gem":
        raise ValueError(
            f"extract: scale_pooling 'gem' needs the aggregation to be gem, got {aggregation.key!r}; use 'mean'."
        )
    return float(aggregation.parameters["p"])


def over_scales(values: Sequence[np.ndarray], exponent: float | None) -> np.ndarray:
    """Join the matrices of all scales into one (N, D), each L2-normalised first; a single scale stays as it is."""
    if len(values) == 1:
        return values[0]
    from cbirlab.whitening import normalise

    unit = [normalise(one) for one in values]
    if exponent is None:
        return np.asarray(np.mean(unit, axis=0, dtype=np.float32))
    return np.asarray(np.mean([one**exponent for one in unit], axis=0) ** (1 / exponent), dtype=np.float32)
