"""Pooling: all aggregations of a tap's maps together, the poolings that share something in one walk over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab import aggregation
from cbirlab.aggregation import Aggregation

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.extract.sampling import Sampler

_ORIGINALS = {
    name: aggregation.AGGREGATIONS[name] for name in ("mac", "spoc", "gem", "rmac", "crow", "scda", "pwa", "cam")
}


def pool(
    maps: Tensor, aggregations: Sequence[Aggregation | Sampler], states: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Every aggregation of `maps` (B, C, H, W): its key to float32 (B, D).

    Parameters
    ----------
    states : aggregation key to what its `apply` takes as `state`, of those that have learned something.

    Raises
    ------
    FloatingPointError : a value is not finite, as happens where reduced precision overflows.
    """
    from cbirlab.extract.walk import walk

    known = states or {}
    plain = [spec for spec in aggregations if isinstance(spec, Aggregation) and _plain(spec, known)]
    sweep = [spec for spec in plain if spec.name == "gem"]
    together = [spec for spec in plain if _together(spec, len(sweep))]
    pooled = {}
    if together:
        pooled |= dict(zip([spec.key for spec in together], walk(maps, together), strict=True))
    if len(sweep) > 1:
        values = aggregation.gem_sweep(maps, [spec.parameters["p"] for spec in sweep])
        pooled |= dict(zip([spec.key for spec in sweep], values, strict=True))
    pooled |= {spec.key: spec.apply(maps, known.get(spec.key)) for spec in aggregations if spec.key not in pooled}
    found = {spec.key: pooled[spec.key].float().cpu().numpy() for spec in aggregations}
    for key, values in found.items():
        if not np.isfinite(values).all():
            raise FloatingPointError(f"{key}: a pooled value is not finite; use precision='float32'.")
    return found


def _plain(spec: Aggregation, states: Mapping[str, Any]) -> bool:
    """Whether it is one of our own pooling functions, not one of a notebook with the same name, and nothing else."""
    if spec.attentions or spec.encoding or states.get(spec.key) is not None:
        return False
    return _ORIGINALS.get(spec.name) is aggregation.AGGREGATIONS[spec.name]


def _together(spec: Aggregation, exponents: int) -> bool:
    """Whether `walk` does it; several powers of GeM are faster where they are multiplied together."""
    from cbirlab.extract.walk import walkable

    return walkable(spec) and (spec.name != "gem" or exponents == 1)
