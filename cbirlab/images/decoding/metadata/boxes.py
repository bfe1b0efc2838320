"""Boxes: JPEG 2000 and AVIF without the parts that are not the picture."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from cbirlab.images.decoding.metadata.facts import Found
from cbirlab.images.decoding.metadata.pieces import Piece, length, read

_BOXES_KEPT = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Type, start, start of the contents and stop of each box; a last one without a type covers bytes that are none."""
    while start < end:
        head = read(file, start, 16)
        if len(head) < 8:
            break
        size, kind = struct.unpack(">I4s", head[:8])
        inner = start + (16 if size == 1 else 8)
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        stop = start + size if size else end
        if stop < inner or stop > end:
            break
        yield kind, start, inner, stop
        start = stop
    if start < end:
        yield b"", start, start, end


def jp2(file: BinaryIO, found: Found) -> Iterator[Piece]:
    """Keep the boxes of the picture, and its whole header except the resolution."""
    for kind, start, inner, stop in _boxes(file, 0, length(file)):
        if kind == b"jp2h":
            header = [part for part in _boxes(file, inner, stop) if part[0] != b"res "]
            yield struct.pack(">I4s", 8 + sum(part[3] - part[1] for part in header), b"jp2h")
            yield from ((part[1], part[3]) for part in header)
        elif kind in _BOXES_KEPT or not kind:
            yield start, stop


_AVIF_EXIF = re.compile(rb"(infe(?:\x02\0\0[\0\x01]..|\x03\0\0[\0\x01]....)..)Exif", re.DOTALL)


def avif(file: BinaryIO, found: Found) -> Iterator[Piece]:
    """Rename EXIF so that decoders pass over it: the picture's own properties say how it is turned."""
    for kind, start, inner, stop in _boxes(file, 0, length(file)):
        if kind == b"meta":
            yield start, inner
            yield _AVIF_EXIF.sub(rb"\1skip", read(file, inner, stop - inner))
        else:
            yield start, stop
