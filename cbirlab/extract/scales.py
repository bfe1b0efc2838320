"""Scales: descriptors of one image at several sizes become one, by their mean or by GeM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.extract.sampling import Sampler
from cbirlab.params import Choice

if TYPE_CHECKING:
    from cbirlab.aggregation import Aggregation

SCALE_POOLING = Choice(("mean", "gem"))


def exponent_of(scale_pooling: str, aggregation: Aggregation | Sampler) -> float | None:
    """Exponent of GeM over scales, None for the mean.

    Raises
    ------
    ValueError : GeM over scales of what is not GeM.
    """
    if SCALE_POOLING.check("extract", "scale_pooling", scale_pooling) == "mean" or isinstance(aggregation, Sampler):
        return None
    if aggregation.name != "gem":
        raise ValueError(
            f"extract: scale_pooling 'gem' needs the aggregation to be gem, got {aggregation.key!r}; use 'mean'."
        )
    return float(aggregation.parameters["p"])


def over_scales(values: Sequence[np.ndarray], exponent: float | None) -> np.ndarray:
    """One matrix (N, D) of those of all scales, rows L2-normalised before; of a single scale the one as it is."""
    if len(values) == 1:
        return values[0]
    from cbirlab.whitening import normalise

    unit = [normalise(one) for one in values]
    if exponent is None:
        return np.asarray(np.mean(unit, axis=0, dtype=np.float32))
    return np.asarray(np.mean([one**exponent for one in unit], axis=0) ** (1 / exponent), dtype=np.float32)
