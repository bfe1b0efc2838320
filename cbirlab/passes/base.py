"""The registry of feedforward schemes, the decorator that fills it, and a scheme with all its parameters.

A new scheme is one decorated function; its boxes may overlap the border and hold fractions of pixels::

    @scheme("halves", title="Two halves")
    def halves(view, *, combine: Combine = "max", magnify: Magnify = 2.0):
        return [(0, 0, view.width / 2, view.height), (view.width / 2, 0, view.width, view.height)]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, ClassVar, Self

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.params import Choice, Range, check_parameters, parameters
from cbirlab.base.registry import Registry

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of a view; x1 and y1 lie just outside."""

Combine = Annotated[str, Choice(("max", "sum", "vlad", "bow", "match"))]
Magnify = Annotated[float, Range(1.0, 4.0, step=0.5)]
Words = Annotated[int, Range(1, 65536, integer=True)]
LocalDims = Annotated[int, Range(1, 4096, integer=True)]
"""Parameters that schemes share; `Passes` says what they are."""

CODEBOOK = {"words": 16, "local_dims": 64}
"""Parameters of the codebook over patches, and their defaults. The text of a scheme holds them only if they differ."""

WITH_CODEBOOK = ("vlad", "bow")
"""The ways to combine patches that learn a codebook."""


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

        named = [one for one in parameters(function) if one not in CODEBOOK]
        PASSES.add(name, boxes, title=title, reference=reference, named=named, **facts)
        return boxes

    return decorate


class Passes(Method):
    """A feedforward scheme with all its parameters; tables print its text, and the store keys descriptors by it.

    >>> Passes.parse("grid(rows=1, columns=2, whole=False)").key
    "grid(rows=1, columns=2, whole=False, combine='max', magnify=2)"

    Parameters
    ----------
    combine : how the vectors of an image's patches are combined: see `cbirlab.passes.combine`.
    magnify : how much larger a patch is seen than in the whole image: 2 shows it to the network at twice the size.
    words : of the codebook over patches: MOP-CNN has 100, MOF 20,000. Only "vlad" and "bow" have a codebook.
    local_dims : principal components that the codebook keeps of a patch vector: MOP-CNN has 500. A narrower vector
        keeps its own.

    Raises
    ------
    UnknownName, TypeError, ValueError : as `Method`; or a parameter of the codebook for a scheme without one.
    """

    registry: ClassVar[Registry[Any]] = PASSES
    terse: ClassVar[bool] = True

    def __new__(cls, name: str, params: Iterable[tuple[str, Any]] | Mapping[str, Any] = ()) -> Self:
        self = super().__new__(cls, name, params)
        idle = [one for one, default in CODEBOOK.items() if self.parameters.get(one, default) != default]
        if idle and not self.codebook:
            raise ValueError(
                f"{self.name}: {' and '.join(idle)} belong to the codebook of combine='vlad' or 'bow', got "
                f"combine={self.combine!r}; leave out {' and '.join(idle)}, or combine by words."
            )
        return self

    def boxes(self, view: View) -> list[Box]:
        """The patches of `view`, each one forward pass: at least one, each a different set of whole pixels."""
        return self.target()(view, **self.parameters)

    @property
    def combine(self) -> str:
        """ "max", "sum", "vlad", "bow" or "match"; "max", which changes nothing, for a scheme without a choice."""
        return self.parameters.get("combine", "max")

    @property
    def codebook(self) -> dict[str, int]:
        """What `learn_codebook` takes beside the patches: words and dimensions; empty if no codebook is learned."""
        if self.combine not in WITH_CODEBOOK:
            return {}
        return {one: self.parameters.get(one, default) for one, default in CODEBOOK.items()}

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
