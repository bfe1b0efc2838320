"""The registry of feedforward schemes, the decorator that fills it, and a scheme with all its parameters.

A new scheme is one decorated function; its boxes may overlap the border and hold fractions of pixels::

    @scheme("halves", title="Two halves")
    def halves(view, *, combine: Combine = "max", magnify: Magnify = 2.0):
        return [(0, 0, view.width / 2, view.height), (view.width / 2, 0, view.width, view.height)]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, ClassVar

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.params import Choice, Range, check_parameters
from cbirlab.base.registry import Registry

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of a view; x1 and y1 lie just outside."""

Combine = Annotated[str, Choice(("max", "sum", "vlad", "match"))]
"""How the vectors of an image's patches are combined: see `cbirlab.passes.combine`."""

Magnify = Annotated[float, Range(1.0, 4.0, step=0.5)]
"""How much larger a patch is seen than in the whole image: 2 shows it to the network at twice the size."""


@dataclass(frozen=True)
class View:
    """The picture to cut into patches: an upright image, or the crop that is the query.

    Parameters
    ----------
    height, width : pixels, at least 1.
    read : function that returns its pixels, uint8 RGB (height, width, 3), for schemes that look at them; most never
        call it.
    """

    height: int
    width: int
    read: Callable[[], np.ndarray]

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"View: height and width must be at least 1 pixel, got {self.height} x {self.width}.")

    @property
    def whole(self) -> Box:
        """The box around all of it."""
        return (0.0, 0.0, float(self.width), float(self.height))


PASSES: Registry[Callable[..., list[Box]]] = Registry("feedforward scheme")


def scheme(name: str, *, title: str, reference: str = "", **facts: Any) -> Callable[[Callable[..., Any]], Any]:
    """Register a function in `PASSES`; every call checks its parameters and rounds its boxes to whole pixels.

    Parameters
    ----------
    facts : `pixels`, True for a scheme that calls ``view.read``.
    """

    def decorate(function: Callable[..., Iterable[Box]]) -> Callable[..., list[Box]]:
        @wraps(function)
        def boxes(view: View, **parameters: Any) -> list[Box]:
            return whole_pixels(name, view, function(view, **check_parameters(function, parameters, owner=name)))

        PASSES.add(name, boxes, title=title, reference=reference, **facts)
        return boxes

    return decorate


class Passes(Method):
    """A feedforward scheme with all its parameters; tables print its text, and the store keys descriptors by it.

    >>> Passes.parse("grid(rows=1, columns=2, whole=False)").key
    "grid(rows=1, columns=2, whole=False, combine='max', magnify=2)"
    """

    registry: ClassVar[Registry[Any]] = PASSES

    def boxes(self, view: View) -> list[Box]:
        """The patches of `view`, each one forward pass: at least one, each a different set of whole pixels."""
        return self.target()(view, **self.parameters)

    @property
    def combine(self) -> str:
        """ "max", "sum", "vlad" or "match"; "max", which changes nothing, for a scheme without a choice."""
        return self.parameters.get("combine", "max")

    @property
    def magnify(self) -> float:
        """How much larger a patch is seen than in the whole image; 1 for a scheme without a choice."""
        return self.parameters.get("magnify", 1.0)

    @property
    def single(self) -> bool:
        """Whether the whole view goes through the network once and nothing else does."""
        return self.name == "single"


def whole_pixels(owner: str, view: View, boxes: Iterable[Box]) -> list[Box]:
    """Boxes rounded to whole pixels, at least one pixel each, clipped to the view, the first of equal ones kept.

    Edges that two boxes share stay shared, so that tiles neither overlap nor leave a gap.

    Raises
    ------
    ValueError : a box that is not four finite numbers in order, one outside the view, or no box at all.
    """
    found = dict.fromkeys(_fitted(owner, view, box) for box in boxes)
    if not found:
        raise ValueError(f"{owner}: a scheme must give at least one box, got none; return [view.whole].")
    return [*found]


def _fitted(owner: str, view: View, box: Box) -> Box:
    x0, y0, x1, y1 = box
    if not (x0 <= x1 and y0 <= y1 and x0 < view.width and y0 < view.height and x1 > 0 and y1 > 0):
        raise ValueError(
            f"{owner}: a box must be (x0, y0, x1, y1) in the view of {view.width} x {view.height} pixels, got {box}."
        )
    (x0, x1), (y0, y1) = _span(x0, x1, view.width), _span(y0, y1, view.height)
    return (x0, y0, x1, y1)


def _span(low: float, high: float, length: int) -> tuple[float, float]:
    """Whole pixels from `low` to `high`; halves round up, so that equal edges of two boxes round to the same pixel."""
    low, high = max(low, 0.0), min(high, float(length))
    first = min(math.floor(low + 0.5), length - 1)
    return float(first), float(max(math.floor(high + 0.5), first + 1))
