"""R-MAC: the maxima over a fixed grid of square regions, each as a vector of length one, added up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from cbirlab.aggregation.base import check_maps, pooling
from cbirlab.aggregation.division import Division, at_maxima, lengths, whole
from cbirlab.aggregation.fused import Fused
from cbirlab.aggregation.local_pca import learn_whitening, whiten
from cbirlab.aggregation.look import Looked
from cbirlab.attention.weights import TINY
from cbirlab.base.params import Choice, Range

if TYPE_CHECKING:
    from torch import Tensor

OVERLAP = 0.4
"""The share of their area that neighbours on the longer side have in common, as nearly as whole regions allow."""

MOST_ACROSS = 7
"""The most regions of the largest size on the longer side; see `grid` for maps that these do not cover."""

_SHORT = 32  # rows of fewer positions are first put into channels-last order, which reduces several times as fast

Interval = tuple[int, int]


@lru_cache(maxsize=4096)
def _intervals(height: int, width: int, levels: int) -> tuple[tuple[tuple[Interval, ...], tuple[Interval, ...]], ...]:
    """Intervals (start, end) of rows and of columns at each level; the regions of a level are all pairs of them."""
    side = min(height, width)
    more = _across(max(height, width), side) - 1
    down, right = more if height > width else 0, more if width > height else 0
    found = []
    for level in range(1, levels + 1):
        length = 2 * side // (level + 1)
        if length:
            found.append((_spread(height, length, level + down), _spread(width, length, level + right)))
    return tuple(found)


def _across(longest: int, side: int) -> int:
    """How many of the largest squares lie on the longer side, at least two."""
    most = MOST_ACROSS if longest <= MOST_ACROSS * side else 2 * longest // side
    return min(
        range(2, most + 1), key=lambda n: abs((side**2 - side * ((longest - side) / (n - 1))) / side**2 - OVERLAP)
    )


def _spread(size: int, length: int, count: int) -> tuple[Interval, ...]:
    """`count` intervals of one `length`, spread evenly from the first to the last position; in whole numbers."""
    starts = (i * (size - length) // max(1, count - 1) for i in range(count))
    return tuple((start, start + length) for start in starts)


def grid(height: int, width: int, levels: int = 3) -> list[tuple[int, int, int]]:
    """The square regions of a map as (y0, x0, side), level by level, row by row.

    At level l the side is floor(2 min(H, W) / (l + 1)); l squares stand on the shorter side of the map and as many more
    on the longer one as make the largest squares overlap by about 40 %. A region without a position (on maps that are 1
    or 2 high) is left out, as in the original. Every position lies in some region: up to a ratio of the sides of 7 this
    is the published grid, in whole numbers; beyond that, the at most seven large squares would leave gaps, so there are
    as many as the overlap requires.

    >>> [side for _, _, side in grid(7, 7)].count(4), len(grid(12, 16))
    (4, 20)

    References
    ----------
    Tolias, Sicre and Jégou, "Particular object retrieval with integral max-pooling of CNN activations", ICLR 2016,
    section 3.2; step and overlap as in the authors' code.
    """
    return [
        (y0, x0, end - y0)
        for rows, columns in _intervals(height, width, levels)
        for y0, end in rows
        for x0, _ in columns
    ]


def added(vectors: Tensor) -> Tensor:
    """Region vectors (B, R, C), each brought to length one, added up and brought to length one: (B, C)."""
    # A matrix product divides each vector by its length and adds them up without writing them again.
    return _unit((_length(vectors)[:, :, 0].reciprocal()[:, None] @ vectors)[:, 0])


def regions(maps: Tensor, *, levels: int = 3, **parameters: Any) -> Tensor:
    """L2-normalised maxima (B, R, C) of all regions of maps (B, C, H, W), from which `learn` learns."""
    return _unit(region_maxima(check_maps("rmac", maps), levels))


def learn(samples: np.ndarray, **parameters: Any) -> dict[str, np.ndarray]:
    """PCA whitening of region vectors (n, C), as `cbirlab.aggregation.local_pca.learn_whitening` gives it."""
    return learn_whitening("rmac", samples)


def region_maxima(maps: Tensor, levels: int) -> Tensor:
    """Maxima (B, R, C) over the regions of `grid`, in its order.

    The edges of all regions cut each side of the map into few segments. It reads a large map once, for the maxima of
    its segments, and derives the regions from these. On a small map that saves nothing, so it reads the regions of a
    level from the map, all at once: first along its rows, then along its columns.
    """
    import torch

    height, width = maps.shape[-2:]
    values = maps.permute(0, 2, 3, 1)
    if width < _SHORT:
        values = values.contiguous()
    planned = _intervals(height, width, levels)
    values, downs = _segmented(values, 1, [down for down, _ in planned])
    values, rights = _segmented(values, 2, [right for _, right in planned])
    # The one region of a square map's first level is the whole map, which the regions of the second level cover.
    square = len(planned) > 1 and all(len(intervals) == 1 for intervals in planned[0])
    levelled = list(zip(downs, rights, strict=True))[square:]
    maxima = [_maxima(_maxima(values, 1, down), 2, right).flatten(1, 2) for down, right in levelled]
    return torch.cat([maxima[0].amax(1, keepdim=True), *maxima] if square else maxima, dim=1)


def _segmented(
    values: Tensor, axis: int, levels: list[tuple[Interval, ...]]
) -> tuple[Tensor, list[tuple[Interval, ...]]]:
    """Maxima over the segments between all edges along `axis`, and the intervals counted in segments; on an axis with
    fewer than twice as many positions as segments, both unchanged."""
    edges = sorted({edge for intervals in levels for interval in intervals for edge in interval})
    if values.shape[axis] < 2 * (len(edges) - 1):
        return values, levels
    place = {edge: i for i, edge in enumerate(edges)}
    counted = [tuple((place[start], place[end]) for start, end in intervals) for intervals in levels]
    return _maxima(values, axis, tuple(pairwise(edges))), counted


def _maxima(values: Tensor, axis: int, intervals: tuple[Interval, ...]) -> Tensor:
    """Maxima of `values` over each of `intervals` along `axis`, whose index then counts intervals."""
    import torch

    lengths = {end - start for start, end in intervals}
    steps = {later - start for (start, _), (later, _) in pairwise(intervals)} or {1}
    if len(lengths) == len(steps) == 1:  # one reduction over a view in which intervals may overlap
        return values.unfold(axis, *lengths, *steps).amax(-1)
    parts = [values.narrow(axis, start, end - start) for start, end in intervals]
    if values.requires_grad:
        return torch.stack([part.amax(axis) for part in parts], axis)
    found = values.new_empty([*values.shape[:axis], len(parts), *values.shape[axis + 1 :]])
    for part, place in zip(parts, found.unbind(axis), strict=True):
        if part.shape[axis] == 1:  # copied, since a maximum over one position takes longer than over many
            place.copy_(part.squeeze(axis))
        else:
            torch.amax(part, axis, out=place)
    return found


def _length(vectors: Tensor) -> Tensor:
    """L2 norms (..., 1) of vectors (..., C); 1 for vectors of zeros, or so short that 1 / length is infinite."""
    import torch

    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return length.masked_fill(length < TINY, 1)


def _unit(vectors: Tensor) -> Tensor:
    """Vectors (..., C) of length one; zeros stay zeros."""
    return vectors / _length(vectors)


def _look(maps: Tensor, *, levels: int, **_: Any) -> Looked:
    """The regions, and how many of them each position lies in."""
    height, width = maps.shape[-2:]
    boxes = tuple((top, left, top + side, left + side) for top, left, side in grid(height, width, levels))
    counts = maps.new_zeros(height, width)
    for top, left, bottom, right in boxes:
        counts[top:bottom, left:right] += 1
    return Looked(regions=(boxes,) * len(maps), spatial=counts.expand(len(maps), -1, -1))


def _parts(maps: Tensor, *, levels: int, learned: bool, **_: Any) -> Division:
    """Each region's channel belongs to the place of its maximum there; the lengths are those of this image."""
    if learned:
        return None
    values = maps[0].permute(1, 2, 0).numpy()
    height, width, channels = values.shape
    found = np.zeros_like(values)
    for top, left, side in grid(height, width, levels):
        region = values[top : top + side, left : left + side]
        kept = at_maxima(region.reshape(-1, channels))
        found[top : top + side, left : left + side] += (kept / lengths(kept.sum(axis=0))).reshape(region.shape)
    flat = found.reshape(-1, channels)
    return [whole(flat / lengths(flat.sum(axis=0)))], False


def _fused(*, levels: int, **_: Any) -> Fused:
    def pool(maps: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        maxima = region_maxima(maps, levels)
        return added(maxima), {"top": maxima.amax(1)}  # the regions cover the map

    return Fused(whole=pool)


@pooling(
    "rmac",
    title="R-MAC",
    reference="Tolias, Sicre and Jégou, ICLR 2016",
    samples=regions,
    learn=learn,
    look=_look,
    parts=_parts,
    fused=_fused,
)
def rmac(
    maps: Tensor,
    *,
    levels: Annotated[int, Range(1, 5, integer=True)] = 3,
    learned: Annotated[bool, Choice((False, True))] = False,
    state: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Maximum activations of each region of `grid`, L2-normalised, added up, and L2-normalised again.

    With ``learned``, each region vector is whitened by a PCA of the region vectors of the train split, and
    L2-normalised once more, before the sum. The maximum of the whole map is not added a second time, which some
    implementations do: on a square map it is the region of level 1 already.

    Parameters
    ----------
    maps : (B, C, H, W).
    levels : number of region sizes, from the whole map to ever smaller squares; 3 as published.
    learned : whiten each region by a PCA of the train split before the sum; if not, the method needs no training.
    state : the result of `learn`, if ``learned``.

    Returns
    -------
    (B, C), of length one; a map of zeros gives zeros, and a region of zeros adds nothing.
    """
    maxima = region_maxima(maps, levels)
    return added(whiten("rmac", _unit(maxima), state) if learned else maxima)
