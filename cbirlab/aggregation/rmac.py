"""R-MAC: the maxima over a fixed grid of square regions, each as a vector of length one, added up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from cbirlab.aggregation.base import checked_maps, pooling
from cbirlab.aggregation.local_pca import learn_whitening, whiten
from cbirlab.params import Choice, Range

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

OVERLAP = 0.4
"""What neighbours on the longer side share, of their area, as nearly as a whole number of regions allows."""

MOST_ACROSS = 7
"""Regions of the largest size on the longer side, at most; see `grid` for maps that these do not cover."""

_SHORT = 32  # rows of fewer positions are brought into channels-last order first, which reduces several times as fast

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
    """How many of the largest squares lie on the longer side, counted from two."""
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

    At level l the side is floor(2 min(H, W) / (l + 1)); l squares stand on the shorter side of the map and as many
    more on the longer one as make the largest squares overlap by about 40 %. A region without a position (on maps
    that are 1 or 2 high) is left out, as in the original. Every position lies in some region: up to a ratio of the
    sides of 7 this is the published grid, in whole numbers; beyond, where its at most seven large squares leave gaps,
    there are as many as the overlap asks for.

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


@pooling(
    "rmac",
    title="R-MAC",
    reference="Tolias, Sicre and Jégou, ICLR 2016",
    samples="cbirlab.aggregation.rmac:regions",
    learn="cbirlab.aggregation.rmac:learn",
    look="cbirlab.aggregation.look:of_rmac",
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
    levels : sizes of regions; 3 as published.
    learned : whiten the region vectors; without, the method needs no training.
    state : what `learn` returned, where ``learned``.

    Returns
    -------
    (B, C), of length one; a map of zeros gives zeros, and a region of zeros adds nothing.
    """
    maxima = region_maxima(maps, levels)
    return added(whiten("rmac", _unit(maxima), state) if learned else maxima)


def added(vectors: Tensor) -> Tensor:
    """Region vectors (R, B, C), each brought to length one, added up and brought to length one: (B, C)."""
    return _unit(_unit(vectors).sum(dim=0))


def regions(maps: Tensor, *, levels: int = 3, **parameters: Any) -> Tensor:
    """L2-normalised maxima (B, R, C) of all regions of maps (B, C, H, W), what `learn` learns from."""
    return _unit(region_maxima(checked_maps("rmac", maps), levels)).transpose(0, 1)


def learn(samples: np.ndarray, **parameters: Any) -> dict[str, np.ndarray]:
    """PCA whitening of region vectors (n, C), as `cbirlab.aggregation.local_pca.learn_whitening` gives it."""
    return learn_whitening("rmac", samples)


def region_maxima(maps: Tensor, levels: int) -> Tensor:
    """Maxima (R, B, C) over the regions of `grid`, level by level, column by column; the first axis is the slowest.

    All edges of regions cut the rows of the map into few segments. The map is read once for the maxima of segments,
    the intervals of rows are put together from these, and the regions are read from the intervals: no loop runs over
    regions or images.
    """
    import torch

    height, width = maps.shape[-2:]
    rows = maps.permute(0, 2, 3, 1)
    if width < _SHORT:
        rows = rows.contiguous()
    planned = _intervals(height, width, levels)
    bands = iter(_maxima(rows, tuple(interval for down, _ in planned for interval in down)))
    found = []
    for down, right in planned:
        level = torch.stack([next(bands) for _ in down])  # (rows of regions, B, W, C)
        found += [level[:, :, start:end].amax(2) for start, end in right]
    return torch.cat(found)


def _maxima(values: Tensor, intervals: tuple[Interval, ...]) -> list[Tensor]:
    """Maxima of `values` (B, P, ...) over each of `intervals` of P; longer ones are made of shorter ones."""
    import torch

    segments, made = _composition(intervals)
    known = {
        (start, end): values[:, start] if end == start + 1 else values[:, start:end].amax(1) for start, end in segments
    }
    for interval, parts in made:
        known[interval] = reduce(torch.maximum, [known[part] for part in parts])
    return [known[interval] for interval in intervals]


@lru_cache(maxsize=4096)
def _composition(
    intervals: tuple[Interval, ...],
) -> tuple[list[Interval], list[tuple[Interval, list[Interval]]]]:
    """Segments between all edges, and the parts that each interval is put together from, shortest interval first."""
    segments = list(pairwise(sorted({edge for interval in intervals for edge in interval})))
    known = set(segments)
    made = []
    for interval in sorted({*intervals} - known, key=lambda interval: interval[1] - interval[0]):
        made.append((interval, _parts(interval, known)))
        known.add(interval)
    return segments, made


def _parts(interval: Interval, known: set[Interval]) -> list[Interval]:
    """Few of the `known` intervals whose union is `interval`: each reaches as far as any that leaves no gap."""
    position, end = interval
    parts = []
    while position < end:
        inside = (part for part in known if interval[0] <= part[0] <= position < part[1] <= end)
        parts.append(max(inside, key=lambda part: part[1]))
        position = parts[-1][1]
    return parts


def _unit(vectors: Tensor) -> Tensor:
    """Vectors (..., C) of length one; zeros stay zeros."""
    length = vectors.norm(dim=-1, keepdim=True)
    return vectors / length.masked_fill(length == 0, 1)
