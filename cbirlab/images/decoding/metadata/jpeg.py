"""JPEG without its application segments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from cbirlab.images.decoding.metadata.facts import Found
from cbirlab.images.decoding.metadata.pieces import Piece, length, read


def jpeg(file: BinaryIO, found: Found) -> Iterator[Piece]:
    """Of the application segments only JFIF and Adobe stay: colours depend on them."""
    end, at = length(file), 2
    yield 0, 2
    while True:
        mark = read(file, at, 4)
        code = mark[1] if len(mark) == 4 and mark[0] == 0xFF else 0
        size = struct.unpack(">H", mark[2:])[0] if code else 0
        stop = at + 2 + size
        if mark[:2] == b"\xff\xff":
            at = _past_fill(file, at)
            continue
        if not 0xC0 <= code <= 0xFE or code in range(0xD0, 0xDB) or size < 2 or stop > end:
            break  # the scan, or nonsense: both are left to the decoder
        if code in range(0xE0, 0xF0) or code == 0xFE:
            data = read(file, at + 4, min(size - 2, 14))
            if (code == 0xE0 and data.startswith(b"JFIF\0")) or (code == 0xEE and data.startswith(b"Adobe")):
                if len(data) >= (14 if code == 0xE0 else 12):
                    yield at, stop
            elif code == 0xE1:
                data = read(file, at + 4, size - 2)
                if data.startswith(b"Exif\0\0"):
                    found.note_exif(data)
                else:
                    found.note_xmp(data)
        else:
            yield at, stop
        at = stop
    yield at, end


def _past_fill(file: BinaryIO, at: int) -> int:
    """Position of the last of a run of fill bytes."""
    while block := read(file, at, 1 << 16):
        rest = block.lstrip(b"\xff")
        at += len(block) - len(rest)
        if rest:
            break
    return at - 1
