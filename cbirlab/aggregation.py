"""Aggregation: a map (B, C, H, W) becomes one vector (B, C) per image.

A new method is one decorated function of this module::

    @pooling("median", title="Median")
    def median(maps):
        return maps.flatten(2).median(dim=-1).values
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

from cbirlab.params import Choice, Range, checked
from cbirlab.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

AGGREGATIONS: Registry[Callable[..., Tensor]] = Registry("aggregation")

GEM_FLOOR = 1e-6
"""Activations below this count as this in GeM: a power of zero has no gradient, and of a negative number no value."""

CHUNK = 2**17
"""Elements that GeM works on at a time: 512 KiB of float32 stay in the processor's cache, which is faster."""


def pooling(name: str, *, title: str, reference: str = "", **facts: Any) -> Callable[[Callable[..., Tensor]], Any]:
    """Register a function in `AGGREGATIONS`, its maps and parameters checked at every call.

    The function receives maps in float32 (float64 stays float64), so half precision neither overflows nor loses digits.
    """

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @wraps(function)
        def pool(maps: Tensor, **parameters: Any) -> Tensor:
            return function(_checked_maps(name, maps), **checked(function, parameters, owner=name))

        AGGREGATIONS.add(name, pool, title=title, reference=reference, **facts)
        return pool

    return decorate


@pooling("mac", title="MAC", reference="Razavian et al. 2016; Tolias et al., ICLR 2016")
def mac(maps: Tensor) -> Tensor:
    """Maximum activation of each channel.

    Parameters
    ----------
    maps : (B, C, H, W).

    Returns
    -------
    (B, C), not normalised.
    """
    return maps.amax(dim=(-2, -1))


@pooling("spoc", title="SPoC", reference="Babenko and Lempitsky, ICCV 2015")
def spoc(maps: Tensor, *, centre_prior: Annotated[bool, Choice((False, True))] = False) -> Tensor:
    """Mean activation of each channel, if asked with more weight at the centre.

    Parameters
    ----------
    maps : (B, C, H, W).
    centre_prior : weigh position (i, j) by exp(-d² / 2σ²), d its distance from the centre of the map and σ a third of
        the distance from the centre to the nearest border. The weights sum to one.

    Returns
    -------
    (B, C), not normalised.
    """
    if not centre_prior:
        return maps.mean(dim=(-2, -1))
    import torch

    height, width = maps.shape[-2:]
    sigma = min(height, width) / 2 / 3
    rows, columns = (
        torch.exp(-((torch.arange(n, dtype=maps.dtype, device=maps.device) - (n - 1) / 2) ** 2) / (2 * sigma**2))
        for n in (height, width)
    )
    return torch.einsum("bchw,h,w->bc", maps, rows / rows.sum(), columns / columns.sum())


@pooling("gem", title="GeM", reference="Radenović, Tolias and Chum, TPAMI 2019", sweep="gem_sweep")
def gem(maps: Tensor, *, p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0) -> Tensor:
    """Generalised mean of each channel, (mean of x^p)^(1/p): the mean for p = 1, towards the maximum for large p.

    Parameters
    ----------
    maps : (B, C, H, W); activations below 1e-6 count as 1e-6.
    p : the exponent.

    Returns
    -------
    (B, C), not normalised.
    """
    return _generalised_means(maps, (p,))[0]


def gem_sweep(maps: Tensor, ps: Sequence[float]) -> Tensor:
    """GeM for many exponents at once: 1, 1.5, ... 10, nineteen of them, cost about eight times one.

    Multiples of one half come from each other by multiplication, other exponents from a power each.

    Parameters
    ----------
    maps : (B, C, H, W).
    ps : the exponents, in any order, each within the range of `gem`.

    Returns
    -------
    (len(ps), B, C): row i equals ``gem(maps, p=ps[i])`` to float precision.

    Raises
    ------
    TypeError, ValueError : as `gem` does.
    """
    exponents = tuple(checked(AGGREGATIONS["gem"], {"p": p}, owner="gem")["p"] for p in ps)
    if not exponents:
        raise ValueError("gem_sweep: ps must hold at least one exponent, got none.")
    return _generalised_means(_checked_maps("gem", maps), exponents)


def _generalised_means(maps: Tensor, ps: tuple[float, ...]) -> Tensor:
    import torch

    images = max(1, CHUNK // maps[0].numel())
    return torch.cat([_chunk_means(chunk, ps) for chunk in maps.split(images)], dim=1)


def _chunk_means(maps: Tensor, ps: tuple[float, ...]) -> Tensor:
    """Each channel is divided by its maximum first: powers then lie in [0, 1] and cannot overflow, whatever p is."""
    import torch

    positive = maps.clamp(min=GEM_FLOOR)
    top = positive.amax(dim=(-2, -1), keepdim=True)
    powers = {1.0: positive / top}
    del positive
    means = {}
    for p in sorted({*ps}):
        means[p] = _power(powers, p).mean(dim=(-2, -1)).pow(1 / p)
        # Only the last two steps of a sweep are multiplied further: what is dropped leaves the cache to the others.
        powers = {q: power for q, power in powers.items() if q == 1.0 or q > p - 1}
    return torch.stack([means[p] for p in ps]) * top.flatten(1)


def _power(powers: dict[float, Tensor], p: float) -> Tensor:
    """``powers[1.0] ** p``, multiplied together from the powers known so far where 2p is whole."""
    unit = powers[1.0]
    if p in powers:
        return powers[p]
    if p - 1 in powers:
        power = powers[p - 1] * unit
    elif p in (2.0, 3.0) or p * 2 != int(p * 2):
        power = unit.pow(p)  # one pass over memory for 2 and 3, slow for others
    elif p == 1.5:
        power = unit * unit.sqrt()
    else:
        half = float(int(p) // 2)
        power = _power(powers, half) * _power(powers, p - half)
    powers[p] = power
    return power


def _checked_maps(owner: str, maps: Tensor) -> Tensor:
    """Maps in float32 or float64. The rank is checked because a single (C, H, W) map would be pooled silently."""
    shape = tuple(getattr(maps, "shape", ()))
    if len(shape) != 4 or 0 in shape:
        hint = " Add the batch axis: maps[None]." if len(shape) == 3 else ""
        raise ValueError(f"{owner}: maps must be (B, C, H, W) and not empty, got {shape or type(maps).__name__}.{hint}")
    if not maps.is_floating_point():
        raise TypeError(f"{owner}: maps must be of a floating-point type, got {maps.dtype}; convert with maps.float().")
    return maps if maps.itemsize >= 4 else maps.float()


@dataclass(frozen=True)
class Aggregation:
    """An aggregation with all its parameters: what tables print and the store keys descriptors by.

    >>> Aggregation.parse("gem").key
    'gem(p=3)'
    >>> Aggregation("gem", {"p": 4}).parameters
    {'p': 4.0}

    Parameters
    ----------
    name : in `AGGREGATIONS`.
    params : values of some of its parameters, a mapping or pairs; the others take their defaults.

    Raises
    ------
    UnknownName : no such aggregation.
    TypeError, ValueError : an unknown parameter, or a value that is not allowed.
    """

    name: str
    params: tuple[tuple[str, Any], ...] | Mapping[str, Any] = ()

    def __post_init__(self) -> None:
        complete = checked(AGGREGATIONS[self.name], dict(self.params), owner=self.name)
        object.__setattr__(self, "params", tuple(complete.items()))

    @classmethod
    def parse(cls, text: str | Aggregation) -> Aggregation:
        """Read ``"gem"`` or ``"gem(p=4)"``, as on the command line and in tables.

        Raises
        ------
        ValueError : `text` is neither a name nor a name with ``parameter=value`` pairs in parentheses.
        UnknownName, TypeError : as the class does.
        """
        if isinstance(text, cls):
            return text
        name, _, arguments = str(text).strip().partition("(")
        if not arguments:
            return cls(name)
        try:
            call = ast.parse(f"f({arguments}", mode="eval").body
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
                raise SyntaxError
            params = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            if len(params) < len(call.keywords) or None in params:
                raise SyntaxError
        except (SyntaxError, ValueError):
            raise ValueError(f"aggregation: expected a form like 'gem' or 'gem(p=4)', got {text!r}.") from None
        return cls(name, {str(parameter): value for parameter, value in params.items()})

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters and their values."""
        return dict(self.params)

    @property
    def key(self) -> str:
        """Canonical text, read back by `parse`."""
        values = ", ".join(f"{name}={_plain(value)}" for name, value in dict(self.params).items())
        return f"{self.name}({values})" if values else self.name

    def apply(self, maps: Tensor) -> Tensor:
        """Pool `maps` (B, C, H, W) to (B, C)."""
        return AGGREGATIONS[self.name](maps, **self.parameters)

    def __str__(self) -> str:
        return self.key


def _plain(value: Any) -> str:
    """A float that is whole prints without its point: p=3, not p=3.0."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)
