"""The registry of poolings, and the decorator that fills it.

A new method is one decorated function::

    @pooling("median", title="Median")
    def median(maps):
        return maps.flatten(2).median(dim=-1).values

A method that learns something declares the parameter ``learned`` (a `Choice` of False and True), takes `state`, and
gives two functions: ``samples(maps, **parameters)`` returns the local vectors (B, T, D) of a batch of the train split,
``learn(samples, **parameters)`` turns (n, D) of them into the arrays that come back as `state`.

A method that adds up columns by weights takes less code, see `cbirlab.aggregation.weighted`. The package finds a file
in this folder by itself: menus, tables and the command line then have what it registers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from cbirlab.attention.base import check_maps
from cbirlab.backbones.trained import TRAINED
from cbirlab.base.params import check_parameters
from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

AGGREGATIONS: Registry[Callable[..., Tensor]] = Registry("aggregation")
AGGREGATIONS.add_family(TRAINED, "cbirlab.aggregation.trained:find", title="A pooling that was trained here, by name")


def pooling(name: str, *, title: str, reference: str = "", **facts: Any) -> Callable[[Callable[..., Tensor]], Any]:
    """Register a function in `AGGREGATIONS`, its maps and parameters checked at every call.

    The function receives maps in float32 (float64 stays float64), so half precision neither overflows nor loses digits.

    Parameters
    ----------
    facts : further facts about the method; pooling needs none of them.
        `width`, a function of channels and parameters that gives the dimensions (the channels by default);
        `positive`, True if it is made for values >= 0 and negative ones count as zero somewhere;
        `needs`, "classifier" if `state` must hold the weights of the network's own classifier;
        `samples` and `learn`, functions of a method that learns;
        `look`, a function of maps, `state` and parameters that gives what it looked at (`cbirlab.aggregation.look`);
        `parts`, one that divides the vector of one image among the places (`cbirlab.aggregation.division`);
        `fused`, a function of parameters that says how the method joins a walk with other poolings, or None
        (`cbirlab.aggregation.fused`);
        `sweep`, a function of maps and several sets of parameters that gives the vectors for each set, if the method
        takes less time for all sets together.
    """

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @wraps(function)
        def pool(maps: Tensor, *, state: Mapping[str, Tensor] | None = None, **parameters: Any) -> Tensor:
            given = check_parameters(function, parameters, owner=name)
            extra = {} if state is None else {"state": state}
            return function(check_maps(name, maps), **given, **extra)

        AGGREGATIONS.add(name, pool, title=title, reference=reference, **facts)
        return pool

    return decorate
