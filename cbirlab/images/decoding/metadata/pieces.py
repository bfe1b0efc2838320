"""Pieces: parts of a file, and bytes of our own between them, read as one file."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

Piece = bytes | tuple[int, int]  # bytes of our own, or (start, stop) in the file


class Pieces(io.RawIOBase):
    """Pieces of a file, and bytes of our own, read as one file."""

    def __init__(self, file: BinaryIO, pieces: list[Piece]) -> None:
        self._file, self._place = file, 0
        self._pieces: list[tuple[int, int, Piece]] = []  # where each begins and ends in what is read
        end = 0
        for piece in pieces:
            length = size_of(piece)
            if length > 0:
                self._pieces.append((end, end + length, piece))
                end += length
        self._end, self._at = end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._end}[whence]
        if base + offset < 0:
            raise OSError("negative place in a file.")
        self._place, self._at = base + offset, 0
        return self._place

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while self._at < len(self._pieces) and self._pieces[self._at][1] <= self._place:
            self._at += 1
        if self._at == len(self._pieces):
            return 0
        begin, end, piece = self._pieces[self._at]
        skip, wanted = self._place - begin, min(len(buffer), end - self._place)
        if isinstance(piece, bytes):
            data = piece[skip : skip + wanted]
        else:
            self._file.seek(piece[0] + skip)
            data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def size_of(piece: Piece) -> int:
    """Bytes of a piece."""
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]


def length(file: BinaryIO) -> int:
    """Bytes of a file."""
    return file.seek(0, os.SEEK_END)


def read(file: BinaryIO, start: int, length: int) -> bytes:
    """Bytes of a file, or as many as there are."""
    file.seek(start)
    return file.read(length)
