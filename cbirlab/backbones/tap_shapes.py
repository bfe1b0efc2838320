"""Tap shapes: how to read the output of a part of a network as a tap, and which of many taps to choose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from cbirlab.backbones.catalogue import Tap

MOST_BEFORE = 32
"""The most tokens that may stand before those of the patches."""
NEARLY = 0.9
"""The least share that the last block of a plain transformer has of the parameters on which any map depends."""
_BLOCK = re.compile(r"(.*?)(\d+)")

Size = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """The output of a part, as running the network shows it.

    Attributes
    ----------
    paths : paths of the parts that give this very tensor, the outermost first.
    shape : of its output, for two images.
    signed : values below 0 can occur.
    norm : the part is a layer norm.
    share : share of the network's parameter tensors, all counted alike, on which it depends.
    tap : how to read it; None if that is not known.
    """

    paths: tuple[str, ...]
    shape: tuple[int, ...]
    signed: bool
    norm: bool = False
    share: float = 1.0
    tap: Tap | None = None

    @property
    def path(self) -> str:
        """The path of the outermost part."""
        return self.paths[0]

    @property
    def cells(self) -> int:
        """How many positions a map has."""
        layout = "BCHW" if self.tap is None else self.tap.layout
        return prod(self.shape[2:] if layout == "BCHW" else self.shape[1:3])


def tap_at(
    place: Place, size: Size, grown: tuple[int, ...] | None, larger: Size | None, last: Place | None
) -> Tap | None:
    """How to read a place, or None.

    Parameters
    ----------
    size : size of the image that gave its shape; `larger` is that of the image that gave the shape `grown`, if any.
    last : the last map before it, on whose grid tokens lie, row by row.
    """
    shape = place.shape
    if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1) and grown in (None, shape)):
        return Tap(place.path, shape[1], 0, "vector", place.signed)
    if len(shape) == 3:
        return _tokens(place, size, grown, larger, last)
    if len(shape) != 4 or (larger is not None and grown is None):
        return None
    for layout, rows, columns, channels in (("BCHW", 2, 3, 1), ("BHWC", 1, 2, 3)):
        if grown is None or larger is None:
            square = shape[rows] * size[1] == shape[columns] * size[0] and shape[rows] != shape[channels]
            stride = round(size[0] / shape[rows]) if square and 1 < shape[rows] <= size[0] else 0
        else:
            stride = _stride(size, larger, (shape[rows], shape[columns]), (grown[rows], grown[columns]))
            stride = stride if grown[channels] == shape[channels] else 0
        if stride:
            return Tap(place.path, shape[channels], stride, "map", place.signed, layout)
    return None


def _stride(size: Size, larger: Size, cells: Size, grown: Size) -> int:
    """Pixels per step, from how the map grows with the image; 0 if it does not, or not equally in both directions."""
    steps = [(b - a, d - c) for a, b, c, d in zip(size, larger, cells, grown, strict=True)]
    if any(cells <= 0 for _, cells in steps):
        return 0
    strides = {round(pixels / cells) for pixels, cells in steps}
    return strides.pop() if len(strides) == 1 else 0


def _tokens(
    place: Place, size: Size, grown: tuple[int, ...] | None, larger: Size | None, last: Place | None
) -> Tap | None:
    """Tokens (B, N, C) of patches after a few others: on the grid of the last map, or on one that fits their number."""
    count, channels = place.shape[1:]
    if larger is not None and (grown is None or grown[1] <= count or grown[2] != channels):
        return None
    before, stride = -1, 0
    if last is not None and last.tap is not None:
        before, stride = count - last.cells, last.tap.stride
    if not 0 <= before <= MOST_BEFORE:
        before, stride = _grid(count, size, grown[1] if grown else 0, larger)
    if not stride:
        return None
    return Tap(place.path, channels, stride, "map", place.signed, "BNC", before)


def _grid(count: int, size: Size, grown: int, larger: Size | None) -> tuple[int, int]:
    """The least possible number of tokens before those of the patches, and the patch in pixels; 0 if none fits."""
    for before in range(MOST_BEFORE + 1):
        for stride in range(2, min(size) // 2 + 1):
            fits = all(
                not (sides[0] % stride or sides[1] % stride)
                and (sides[0] // stride) * (sides[1] // stride) == tokens - before
                for sides, tokens in ([(size, count)] if larger is None else [(size, count), (larger, grown)])
            )
            if fits:
                return before, stride
    return 0, 0


def grid_of(count: int, height: int, width: int, stride: int) -> Size | None:
    """Rows and columns of an image's tokens; None if they fit no grid with steps of `stride` pixels.

    There may be whole patches only, or the remainder is padded to a patch, or patches overlap.

    >>> grid_of(12, 64, 48, 16), grid_of(35, 100, 75, 16), grid_of(729, 224, 224, 8), grid_of(50, 224, 224, 32)
    ((4, 3), (7, 5), (27, 27), None)
    """
    for around in (0, stride - 1):
        rows, columns = (height + around) // stride, (width + around) // stride
        if rows * columns == count:
            return rows, columns
    fits = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    best = min(fits, key=lambda one: abs(one[0] * width - one[1] * height), default=(0, 0))
    near = all(abs(cells - side / stride) < 2 for cells, side in zip(best, (height, width), strict=True))
    return best if near else None


def chosen(places: Sequence[Place], class_token: bool | None) -> dict[str, Tap]:
    """The taps to take if nobody says which: see `Traced.taps`.

    Parameters
    ----------
    class_token : whether the first token is a class token; if None, it is not known, and a single token before the
        patches is one.
    """
    known = [(place, place.tap) for place in places if place.tap is not None]
    share = {tap.path: place.share for place, tap in known if tap.kind == "map"}
    blocks = _blocks(places)
    if blocks and share[[*blocks.values()][-1].path] >= NEARLY * max(share.values()):
        taps = dict(blocks)
        last = [*blocks.values()][-1]
        if last.before and (class_token or (class_token is None and last.before == 1)):
            taps["class_token"] = Tap(last.path, last.channels, 0, "vector", last.signed, "BNC", last.before)
    else:
        best: dict[int, Tap] = {}
        for tap in (tap for _, tap in known if tap.kind == "map"):
            if tap.stride not in best or tap.path.count(".") <= best[tap.stride].path.count("."):
                best[tap.stride] = tap
        taps = {tap.path: tap for _, tap in known if best.get(tap.stride) is tap}
    maps = [row for row, (_, tap) in enumerate(known) if tap.kind == "map"]
    return taps | {tap.path: tap for _, tap in known[(maps or [-1])[-1] + 1 :] if tap.kind == "vector"}


def _blocks(places: Sequence[Place]) -> dict[str, Tap]:
    """Four blocks of a transformer, evenly spaced, each read after the norm that follows; empty for other networks."""
    found: dict[str, list[int]] = {}
    for row, place in enumerate(places):
        if place.tap is not None and place.tap.layout == "BNC":
            for family in {match[1] for path in place.paths if (match := _BLOCK.fullmatch(path))}:
                found.setdefault(family, []).append(row)
    rows = max(found.values(), key=len, default=[])
    if len(rows) < 4:
        return {}
    taps = {}
    for quarter in range(1, 5):
        number = -(-len(rows) * quarter // 4)
        row = rows[number - 1]
        after = rows[number] if number < len(rows) else len(places)
        norms = [place for place in places[row + 1 : after] if place.norm and place.shape == places[row].shape]
        tap = (norms or [places[row]])[0].tap
        if tap is not None:
            taps[f"block{number}"] = tap
    return taps
