"""WebP without profile, EXIF and XMP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from cbirlab.images.decoding.metadata.facts import Found
from cbirlab.images.decoding.metadata.pieces import Piece, length, read, size_of

_WEBP_KEPT = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA = 0x20 | 0x08 | 0x04  # flags that announce a profile, EXIF, XMP


def webp(file: BinaryIO, found: Found) -> Iterator[Piece]:
    end, at = length(file), 12
    kept: list[Piece] = []
    while at + 8 <= end:
        kind, size = struct.unpack("<4sI", read(file, at, 8))
        stop = min(at + 8 + size + size % 2, end)
        if kind == b"VP8X" and size >= 1:
            flags = read(file, at + 8, 1)[0] if at + 8 < end else 0
            kept += [(at, at + 8), bytes([flags & ~_WEBP_METADATA]), (at + 9, stop)]
        elif kind in _WEBP_KEPT:
            kept.append((at, stop))
        elif kind == b"EXIF":
            found.note_exif(read(file, at + 8, size))
        elif kind == b"XMP ":
            found.note_xmp(read(file, at + 8, size))
        at = stop
    total = 4 + sum(size_of(piece) for piece in kept)
    yield b"RIFF" + struct.pack("<I", total) + b"WEBP"
    yield from kept
