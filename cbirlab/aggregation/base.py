"""The registry of poolings, and the decorator that fills it.

A new method is one decorated function::

    @pooling("median", title="Median")
    def median(maps):
        return maps.flatten(2).median(dim=-1).values

A method that learns something declares the parameter ``learned`` (a `Choice` of False and True), takes `state`, and
names two functions: ``samples(maps, **parameters)`` gives the local vectors (B, T, D) of a batch of the train split,
``learn(samples, **parameters)`` makes of (n, D) of them the arrays that come back as `state`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from cbirlab.attention.base import checked_maps
from cbirlab.params import checked
from cbirlab.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

AGGREGATIONS: Registry[Callable[..., Tensor]] = Registry("aggregation")


def pooling(name: str, *, title: str, reference: str = "", **facts: Any) -> Callable[[Callable[..., Tensor]], Any]:
    """Register a function in `AGGREGATIONS`, its maps and parameters checked at every call.

    The function receives maps in float32 (float64 stays float64), so half precision neither overflows nor loses digits.

    Parameters
    ----------
    facts : `width`, a function of channels and parameters that gives the dimensions (the channels by default);
        `samples` and `learn`, as ``"module:function"``, of a method that learns; `look`, what it looked at;
        `positive`, that it is made for values >= 0 and others count as zero somewhere;
        `needs`, "classifier" where `state` must hold the weights of the network's own classifier.
    """

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @wraps(function)
        def pool(maps: Tensor, *, state: Mapping[str, Tensor] | None = None, **parameters: Any) -> Tensor:
            given = checked(function, parameters, owner=name)
            extra = {} if state is None else {"state": state}
            return function(checked_maps(name, maps), **given, **extra)

        AGGREGATIONS.add(name, pool, title=title, reference=reference, **facts)
        return pool

    return decorate
