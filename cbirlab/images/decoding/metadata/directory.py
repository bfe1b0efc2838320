"""Directory: the first list of entries in a TIFF, which is also how EXIF is written."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from cbirlab.images.decoding.metadata.pieces import length, read

ORIENTATION = 0x0112


class _Layout(NamedTuple):
    """How a TIFF writes its directory: of the classic kind, or of the kind for more than 4 GB."""

    count: str
    entry: str
    offset: str


_CLASSIC, _BIG = _Layout("H", "HHI4s", "I"), _Layout("Q", "HHQ8s", "Q")
_MOST_ENTRIES = 65_535
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q", 17: "q"}


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF: where it is, and its entries as they are written."""

    file: BinaryIO
    order: str
    layout: _Layout
    start: int
    entries: tuple[tuple[int, int, int, bytes], ...]

    @property
    def stop(self) -> int:
        parts = (self.layout.count, self.layout.offset, *[self.layout.entry] * len(self.entries))
        return self.start + sum(struct.calcsize("=" + part) for part in parts)

    @property
    def orientation(self) -> int:
        """The orientation, 1 to 8; 0 if there is none."""
        value = self.number(ORIENTATION) or 0
        return int(value) if value in range(1, 9) else 0

    def number(self, tag: int) -> float | None:
        """The first number of an entry; None if there is none."""
        for name, kind, count, value in self.entries:
            if name == tag and kind in _NUMBERS and count:
                code = self.order + _NUMBERS[kind]
                size = struct.calcsize(code)
                if size * count > len(value):
                    value = self._elsewhere(value, size)
                return struct.unpack(code, value[:size])[0] if len(value) >= size else None
        return None

    def text(self, tag: int) -> bytes:
        """The first megabyte of a text that is too long to stand in the entry itself."""
        for name, kind, count, value in self.entries:
            if name == tag and kind in (1, 2, 7) and count > len(value):
                return self._elsewhere(value, min(count, 1 << 20))
        return b""

    def _elsewhere(self, value: bytes, size: int) -> bytes:
        """The bytes that an entry's offset points to, as far as the file has them."""
        at = struct.unpack(self.order + self.layout.offset, value)[0]
        return read(self.file, at, size) if at < length(self.file) else b""

    def only(self, tags: frozenset[int]) -> bytes:
        """A directory with these entries only, and no further page."""
        kept = [entry for entry in self.entries if entry[0] in tags]
        parts = [struct.pack(self.order + self.layout.count, len(kept))]
        parts += [struct.pack(self.order + self.layout.entry, *entry) for entry in kept]
        parts.append(struct.pack(self.order + self.layout.offset, 0))
        return b"".join(parts).ljust(self.stop - self.start, b"\0")


def directory(file: BinaryIO) -> Directory | None:
    """The first directory, as far as the file has it."""
    head = read(file, 0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    version = struct.unpack(order + "H", head[2:4])[0]
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        return None
    layout = _BIG if version == 43 else _CLASSIC
    start = struct.unpack(order + layout.offset, head[8:16] if version == 43 else head[4:8])[0]
    size = struct.calcsize("=" + layout.count)
    end = length(file)
    if start + size > end:
        return None
    count = struct.unpack(order + layout.count, read(file, start, size))[0]
    if count > _MOST_ENTRIES:
        return None
    step = struct.calcsize("=" + layout.entry)
    data = read(file, start + size, min(count * step, end - start - size))
    entries = struct.iter_unpack(order + layout.entry, data[: len(data) // step * step])
    return Directory(file, order, layout, start, tuple(entries))


def exif_orientation(data: bytes) -> int:
    """The orientation in a block of EXIF; 0 if it states none."""
    while data.startswith(b"Exif\0\0"):
        data = data[6:]
    found = directory(io.BytesIO(data))
    return 0 if found is None else found.orientation
