"""Pooling: all aggregations of a tap's maps, image by image while they are in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation import Aggregation


def pool(maps: Tensor, aggregations: Sequence[Aggregation]) -> dict[str, np.ndarray]:
    """Every aggregation of `maps` (B, C, H, W): its key to float32 (B, D).

    Raises
    ------
    FloatingPointError : a value is not finite, as happens where reduced precision overflows.
    """
    from cbirlab.aggregation import gem_sweep

    sweep = [spec for spec in aggregations if spec.name == "gem"]
    swept = {}
    if len(sweep) > 1:
        pooled = gem_sweep(maps, [dict(spec.params)["p"] for spec in sweep])
        swept = {spec.key: values for spec, values in zip(sweep, pooled, strict=True)}
    found = {}
    for spec in aggregations:
        values = swept[spec.key] if spec.key in swept else spec.apply(maps)
        found[spec.key] = values.float().cpu().numpy()
        if not np.isfinite(found[spec.key]).all():
            raise FloatingPointError(f"{spec.key}: a pooled value is not finite; use precision='float32'.")
    return found
