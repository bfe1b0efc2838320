"""PNG without its ancillary chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from cbirlab.images.decoding.metadata.directory import exif_orientation
from cbirlab.images.decoding.metadata.facts import Found
from cbirlab.images.decoding.metadata.pieces import Piece, length, read

_TEXT_BYTES = 1 << 20  # bytes of a compressed text that are unfolded to look for an orientation
_TRANSPARENCY = {0: (2, 2), 2: (6, 6), 3: (1, 256)}  # bytes of tRNS by the colour type, least and most


def png(file: BinaryIO, found: Found) -> Iterator[Piece]:
    """Keep critical chunks and valid transparency; an animation loses all but its first frame."""
    end, at, colour = length(file), 8, -1
    yield 0, 8
    while at < end:
        head = read(file, at, 8)
        if len(head) < 8:
            break
        size, kind = struct.unpack(">I4s", head)
        stop = min(at + 12 + size, end)
        if not kind.isalpha():  # nonsense: left to the decoder
            yield at, end
            return
        if kind[:1].isupper():
            if kind == b"IHDR":
                header = read(file, at + 8, 13)
                colour = header[9] if len(header) == 13 else -1
            yield at, stop
            if kind == b"IEND":
                return
        elif kind == b"tRNS":
            least, most = _TRANSPARENCY.get(colour, (1, 0))
            if least <= size <= most and _sound(read(file, at, 12 + size)):
                yield at, stop
        elif kind == b"eXIf":
            found.note_exif(read(file, at + 8, size))
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and _says_more(read(file, at + 8, 24)):
            _note_text(found, kind, read(file, at + 8, size))
        elif kind == b"sBIT" and colour in (0, 4) and size >= 1:
            found.significant = read(file, at + 8, 1)[0]
        at = stop


def _sound(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _says_more(text: bytes) -> bool:
    return text.startswith((b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"))


def _note_text(found: Found, kind: bytes, data: bytes) -> None:
    """Note what XMP in a text chunk says, or EXIF as ImageMagick writes it: three lines, then digits."""
    word, _, text = data.partition(b"\0")
    packed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":
        text = b"".join(text[2:].split(b"\0", 2)[2:])
    if packed:
        try:
            text = zlib.decompressobj().decompress(text, _TEXT_BYTES)
        except zlib.error:
            return
    if word.startswith(b"XML"):
        found.note_xmp(text)
        return
    try:
        profile = bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return
    found.raw_profile = found.raw_profile or exif_orientation(profile)
