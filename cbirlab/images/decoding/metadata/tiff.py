"""TIFF without the entries on which no pixel depends, and without further pages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import BinaryIO

from cbirlab.images.decoding.metadata.directory import Directory, directory
from cbirlab.images.decoding.metadata.facts import Found
from cbirlab.images.decoding.metadata.pieces import Piece, length

_BITS, _LEAST, _MOST, _LEAST_ANY, _MOST_ANY, _XMP = 258, 280, 281, 340, 341, 700
_PIXEL_TAGS = frozenset(
    int(tag)
    for tag in "256 257 258 259 262 266 273 277 278 279 284 292 293 317 320 322 323 324 325 332 338 339 347 "
    "512 513 514 515 517 518 519 520 521 529 530 531 532 50674".split()
)


def tiff(file: BinaryIO, found: Found) -> Iterator[Piece]:
    """Keep the entries of the first page on which pixels depend."""
    end, first = length(file), directory(file)
    if first is None or first.stop > end:
        yield 0, end
        return
    found.exif = first.orientation
    found.note_xmp(first.text(_XMP))
    found.stated = _stated(first)
    yield 0, first.start
    yield first.only(_PIXEL_TAGS)
    yield first.stop, end


def _stated(first: Directory) -> tuple[float, float] | None:
    """The least and greatest value that a TIFF states; otherwise the range that its bits per value can hold."""
    bits, least, most = first.number(_BITS), None, None
    for low, high in ((_LEAST_ANY, _MOST_ANY), (_LEAST, _MOST)):
        if most is None:
            least, most = first.number(low), first.number(high)
    if most is not None and 0 < most < math.inf and (least is None or math.isfinite(least)):
        return min(0.0, float(least or 0)), float(most)
    return (0.0, 2.0**bits - 1) if bits and 8 < bits < 16 else None
