"""The registry of attention weights, the decorator that fills it, and the class of a method with all its parameters.

A new one is a decorated function::

    @attention("loudest", title="Loudest channel", kind="spatial")
    def loudest(maps):
        return maps.amax(dim=1)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from cbirlab.base.methods import Method
from cbirlab.base.params import check_parameters
from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

ATTENTIONS: Registry[Callable[..., Tensor]] = Registry("attention")
KINDS = ("spatial", "channel")


def attention(
    name: str, *, title: str, kind: str, reference: str = "", **facts: Any
) -> Callable[[Callable[..., Tensor]], Any]:
    """Register a function in `ATTENTIONS`; maps, parameters and the shape of the weights are checked at every call.

    The function receives maps in float32 (float64 stays float64) and returns weights >= 0.

    Parameters
    ----------
    kind : "spatial" for weights (B, H, W), "channel" for weights (B, C).
    facts : `positive` says that the method is made for values >= 0.

    Raises
    ------
    ValueError : an unknown kind, or a name that is taken.
    """
    if kind not in KINDS:
        raise ValueError(f"attention {name!r}: kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}.")

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @wraps(function)
        def weigh(maps: Tensor, **parameters: Any) -> Tensor:
            given = check_parameters(function, parameters, owner=name)
            maps = check_maps(name, maps)
            weights = function(maps, **given)
            batch, channels, height, width = maps.shape
            due = (batch, height, width) if kind == "spatial" else (batch, channels)
            if tuple(weights.shape) != due:
                raise ValueError(f"{name}: {kind} weights must be {due}, got {tuple(weights.shape)}.")
            return weights

        ATTENTIONS.add(name, weigh, title=title, reference=reference, kind=kind, **facts)
        return weigh

    return decorate


class Attention(Method):
    """Attention weights with all their parameters: the part before ``>`` in ``"crow_spatial > gem"``.

    >>> Attention.parse("crow_spatial").key
    'crow_spatial(a=2, b=2)'
    """

    registry: ClassVar[Registry[Any]] = ATTENTIONS

    @property
    def kind(self) -> str:
        """ "spatial" or "channel"."""
        return self.fact("kind")

    def weights(self, maps: Tensor) -> Tensor:
        """Weights of `maps` (B, C, H, W): (B, H, W) if spatial, (B, C) if per channel."""
        return self.target()(maps, **self.parameters)

    def weigh(self, maps: Tensor) -> Tensor:
        """`maps` multiplied by their weights, (B, C, H, W)."""
        weights = self.weights(maps)
        return maps * (weights[:, None] if self.kind == "spatial" else weights[:, :, None, None])


def check_maps(owner: str, maps: Tensor) -> Tensor:
    """Maps in float32 or float64; checks the rank, because a single (C, H, W) map would pass unnoticed."""
    shape = tuple(getattr(maps, "shape", ()))
    if len(shape) != 4 or 0 in shape:
        hint = " Add the batch axis: maps[None]." if len(shape) == 3 else ""
        raise ValueError(f"{owner}: maps must be (B, C, H, W) and not empty, got {shape or type(maps).__name__}.{hint}")
    if not maps.is_floating_point():
        raise TypeError(f"{owner}: maps must be of a floating-point type, got {maps.dtype}; convert with maps.float().")
    return maps if maps.itemsize >= 4 else maps.float()
