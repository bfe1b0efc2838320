"""Pooling: all aggregations of a tap's maps together; poolings that share work do it in one walk over the maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import Aggregation

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation.fused import Fused
    from cbirlab.extract.sampling import Sampler


def pool(
    maps: Tensor, aggregations: Sequence[Aggregation | Sampler], states: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Every aggregation of `maps` (B, C, H, W): its key to float32 (B, D).

    Parameters
    ----------
    states : aggregation key to the `state` for its `apply`, for aggregations that have learned something.

    Raises
    ------
    FloatingPointError : a value is not finite, as happens where reduced precision overflows.
    """
    known = states or {}
    plain = [spec for spec in aggregations if isinstance(spec, Aggregation) and _plain(spec, known)]
    pooled = _swept(maps, plain)
    pooled |= _walked(maps, [spec for spec in plain if spec.key not in pooled])
    pooled |= {spec.key: spec.apply(maps, known.get(spec.key)) for spec in aggregations if spec.key not in pooled}
    return arrays_of({spec.key: pooled[spec.key] for spec in aggregations})


def arrays_of(pooled: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Pooled values as float32 (B, D).

    Raises
    ------
    FloatingPointError : a value is not finite.
    """
    found = {key: values.float().cpu().numpy() for key, values in pooled.items()}
    for key, values in found.items():
        if not np.isfinite(values).all():
            raise FloatingPointError(
                f"{key}: a pooled value is not finite; use precision='float32', and if it is that already, other "
                "weights: the network gives values for these pictures that are no numbers."
            )
    return found


def reducing(aggregations: Sequence[Aggregation | Sampler], states: Mapping[str, Any]) -> dict[str, Fused]:
    """How each aggregation is made of reductions of a map, by key; empty if one of them needs more."""
    forms = {
        spec.key: form
        for spec in aggregations
        if isinstance(spec, Aggregation) and _plain(spec, states) and (form := spec.fused()) and form.reduces
    }
    return forms if len(forms) == len({spec.key for spec in aggregations}) else {}


def _plain(spec: Aggregation, states: Mapping[str, Any]) -> bool:
    """Whether an aggregation pools the maps as they are and has learned nothing."""
    return not spec.attentions and not spec.learns and states.get(spec.key) is None


def _swept(maps: Tensor, specs: Iterable[Aggregation]) -> dict[str, Tensor]:
    """Compute methods that appear with several sets of parameters and are faster with all sets together."""
    by_name: dict[str, list[Aggregation]] = {}
    for spec in specs:
        by_name.setdefault(spec.name, []).append(spec)
    found: dict[str, Tensor] = {}
    for several in by_name.values():
        sweep = several[0].fact("sweep") if len(several) > 1 else None
        if sweep:
            values = sweep(maps, [spec.parameters for spec in several])
            found |= zip([spec.key for spec in several], values, strict=True)
    return found


def _walked(maps: Tensor, specs: Iterable[Aggregation]) -> dict[str, Tensor]:
    """Compute the poolings that say how they join a walk."""
    from cbirlab.extract.fused_pooling import walk

    forms = {spec.key: form for spec in specs if (form := spec.fused())}
    return dict(zip(forms, walk(maps, [*forms.values()]), strict=True)) if forms else {}
