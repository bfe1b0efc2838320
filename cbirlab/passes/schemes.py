"""The schemes of the survey's figure 5: whole image, rigid grid, spatial pyramid, sliding windows, proposals."""

# No postponed annotations here: `cbirlab.base.params` must find parameters that are shared by alias as objects.

import math
from typing import Annotated

from cbirlab.base.params import Choice, Range
from cbirlab.passes.base import Box, Combine, LocalDims, Magnify, View, Words, scheme


@scheme("single", title="Single pass")
def single(view: View) -> list[Box]:
    """The whole view, once."""
    return [view.whole]


@scheme("grid", title="Rigid grid", reference="Cao et al., ACM MM 2017")
def grid(
    view: View,
    *,
    rows: Annotated[int, Range(1, 8, integer=True)] = 3,
    columns: Annotated[int, Range(1, 8, integer=True)] = 3,
    whole: Annotated[bool, Choice((False, True))] = True,
    combine: Combine = "max",
    magnify: Magnify = 2.0,
    words: Words = 16,
    local_dims: LocalDims = 64,
) -> list[Box]:
    """Tiles that cover the view without overlap or gap, row by row.

    Parameters
    ----------
    rows, columns : how many rows and columns of tiles.
    whole : add the whole view, before the tiles.
    combine, magnify, words, local_dims : see `cbirlab.passes.base.Passes`.
    """
    return [view.whole] * whole + _tiles(view, rows, columns)


@scheme("spm", title="Spatial pyramid", reference="Lazebnik, Schmid and Ponce, CVPR 2006")
def spm(
    view: View,
    *,
    levels: Annotated[int, Range(1, 4, integer=True)] = 3,
    combine: Combine = "max",
    magnify: Magnify = 2.0,
    words: Words = 16,
    local_dims: LocalDims = 64,
) -> list[Box]:
    """The grids 1 x 1, 2 x 2, 4 x 4, ...: 21 patches for the three levels of the paper.

    Parameters
    ----------
    levels : how many grids; level l has 2^l x 2^l tiles, counted from 0 (section 3.2 of the paper).
    combine, magnify, words, local_dims : see `cbirlab.passes.base.Passes`.
    """
    return [box for level in range(levels) for box in _tiles(view, 2**level, 2**level)]


@scheme("cnnaug", title="CNNaug-ss patches", reference="Razavian et al., CVPR workshops 2014")
def cnnaug(
    view: View,
    *,
    levels: Annotated[int, Range(1, 5, integer=True)] = 4,
    overlap: Annotated[float, Range(0.0, 0.8, step=0.1)] = 0.5,
    combine: Combine = "match",
    magnify: Magnify = 2.0,
    words: Words = 16,
    local_dims: LocalDims = 64,
) -> list[Box]:
    """i x i overlapping patches of one size at level i, their centres evenly spaced: 30 for four levels.

    The paper takes 3 or 4 levels, some of its data sets fewer for queries than for images; here both have the same.

    Parameters
    ----------
    levels : how many sizes.
    overlap : fraction of a patch that it shares with its neighbour. The paper does not give it.
    combine, magnify, words, local_dims : see `cbirlab.passes.base.Passes`.
    """
    return [box for side in range(1, levels + 1) for box in _tiles(view, side, side, overlap)]


@scheme("windows", title="Sliding windows", reference="Gong et al., ECCV 2014")
def windows(
    view: View,
    *,
    size: Annotated[float, Range(0.2, 1.0, step=0.1)] = 0.5,
    step: Annotated[float, Range(0.2, 1.0, step=0.1)] = 0.5,
    combine: Combine = "max",
    magnify: Magnify = 2.0,
    words: Words = 16,
    local_dims: LocalDims = 64,
) -> list[Box]:
    """Square windows over the whole view, row by row. MOP-CNN's levels are size 0.5 and 0.25 with steps of 1/4 and 1/2.

    Parameters
    ----------
    size : side of a window as a fraction of the view's short side.
    step : largest distance between two windows as a fraction of their side (and at least a pixel), so that no choice of
        the two leaves a gap; it is reduced until the last window ends at the border.
    combine, magnify, words, local_dims : see `cbirlab.passes.base.Passes`.
    """
    side = max(1.0, size * min(view.height, view.width))
    tops, lefts = (_starts(length, side, max(1.0, step * side)) for length in (view.height, view.width))
    return [(left, top, left + side, top + side) for top in tops for left in lefts]


@scheme("proposals", title="Region proposals", reference="Mopuri and Babu, CVPR workshops 2015", pixels=True)
def proposals(
    view: View,
    *,
    most: Annotated[int, Range(2, 200, integer=True)] = 20,
    method: Annotated[str, Choice(("ward", "mser", "rpn"))] = "ward",
    combine: Combine = "max",
    magnify: Magnify = 2.0,
    words: Words = 16,
    local_dims: LocalDims = 64,
) -> list[Box]:
    """The whole view, then boxes around what could be an object of any kind, the likeliest first.

    The paper takes about 100 proposals of selective search, which no library in use here offers.

    Parameters
    ----------
    most : patches at most, the whole view among them.
    method : "ward", regions that scikit-learn's hierarchical clustering merges last; "mser", OpenCV's stable
        regions; "rpn", the region proposal network of a torchvision Faster R-CNN, when its weights are there.
    combine, magnify, words, local_dims : see `cbirlab.passes.base.Passes`.

    Raises
    ------
    ImportError : "mser" without OpenCV.
    WeightsError : "rpn" without weights, or with weights that do not fit.
    """
    from cbirlab.passes.regions import propose  # scikit-learn, OpenCV and torch only when proposals are wanted

    return propose(view, most, method)


def _tiles(view: View, rows: int, columns: int, overlap: float = 0.0) -> list[Box]:
    """A grid of equal boxes that spans the view, neighbours sharing `overlap` of their length."""
    spans_y, spans_x = _spans(view.height, rows, overlap), _spans(view.width, columns, overlap)
    return [(x0, y0, x1, y1) for y0, y1 in spans_y for x0, x1 in spans_x]


def _spans(length: int, parts: int, overlap: float) -> list[tuple[float, float]]:
    """`parts` equal spans from 0 to `length`; the starts lie ``1 - overlap`` of a span apart."""
    shift = 1 - overlap
    units = 1 + (parts - 1) * shift
    # Multiply before dividing: without overlap, the end of one span is then exactly the start of the next.
    return [(length * (part * shift) / units, length * (part * shift + 1) / units) for part in range(parts)]


def _starts(length: int, side: float, step: float) -> list[float]:
    """Evenly spaced starts of windows, the first at 0, the last ending at `length`, at most `step` apart."""
    free = length - side
    gaps = math.ceil(free / step - 1e-9)
    return [free * gap / gaps for gap in range(gaps + 1)] if gaps > 0 else [0.0]
