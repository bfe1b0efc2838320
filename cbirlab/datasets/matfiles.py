"""Other people's .mat files of MATLAB, versions 4 to 7, read in Python alone: no byte in them can crash the process.

A file is a list of elements, each a type, a size and as many bytes; matrices are elements of elements. Everything is
taken from the bytes that are there, so a file that claims any size costs no more memory than its length.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cbirlab.datasets.unfolding import open_bounded

_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_KINDS = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "object"}
_TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32", 4: "utf-16"}
_FOUR = ("f8", "f4", "i4", "i2", "u2", "u1")
_LOGICAL, _COMPLEX = 0x0200, 0x0800
_HEAD_BYTES = 1 << 16  # of a compressed matrix, enough for its name and shape
_DEEPEST = 8
_NONE = np.empty((0, 0))  # one for all: a cell may have millions of them


class Variable(NamedTuple):
    """One variable of a file, not read yet; `kind` is a NumPy type for numbers, else "char", "cell", "struct", ..."""

    name: str
    shape: tuple[int, ...]
    kind: str
    load: Callable[[], Any]


class _Head(NamedTuple):
    kind: int
    flags: int
    shape: tuple[int, ...]
    name: str
    rest: memoryview


def is_hdf5(file: Path) -> bool:
    """Whether a file is of version 7.3, which is HDF5."""
    with file.open("rb") as content:
        head = content.read(128)
    return head[:4] == b"\x89HDF" or head[124:128] in (b"\0\2IM", b"\2\0MI")


def variables(file: Path) -> list[Variable]:
    """The variables in a file.

    Cells load as lists, structs as mappings (an array of them as a list), text as str (a matrix of it as a list).

    Raises
    ------
    ValueError : not a .mat file of version 4 to 7, or a damaged one.
    """
    with file.open("rb") as opened:
        if not file.stat().st_size:
            raise ValueError("the file is empty")
        data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    if 0 in data[:4]:
        return [*_version_4(data)]
    if len(data) < 128 or bytes(data[126:128]) not in (b"IM", b"MI"):
        raise ValueError("it does not begin like a .mat file")
    return [*_version_5(data, "<" if bytes(data[126:128]) == b"IM" else ">")]


def _version_5(data: memoryview, order: str) -> Iterator[Variable]:
    at = 128
    while at < len(data):
        kind, content, after = _element(data, at, order)
        at = at + 8 + len(content) if kind == _COMPRESSED else after
        if kind == _COMPRESSED:
            head = _head(_matrix_in(content, len(data), order, partly=True), order)
        elif kind == _MATRIX:
            head = _head(content, order)
        else:
            continue
        if head is None:
            continue

        def load(content: memoryview = content, packed: bool = kind == _COMPRESSED) -> Any:
            return _value(_matrix_in(content, len(data), order) if packed else content, order)

        said = "logical" if head.flags & _LOGICAL else "complex" if head.flags & _COMPLEX else _NUMBERS.get(head.kind)
        yield Variable(head.name, head.shape, said or _KINDS.get(head.kind, "unknown"), load)


def _element(data: memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
    """Type and bytes of the element at a place, and where the next one begins; up to four bytes stand in the tag."""
    if at + 8 > len(data):
        raise ValueError("it ends in the middle of an element")
    kind, size = struct.unpack(f"{order}II", data[at : at + 8])
    start, after = at + 8, at + 8 + size + -size % 8
    if kind >> 16:
        kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
    if start + size > len(data) or (start == at + 4 and size > 4):
        raise ValueError("an element claims to be longer than the file")
    return kind, data[start : start + size], after


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(data):
        kind, content, at = _element(data, at, order)
        yield kind, content


def _matrix_in(packed: memoryview, file_bytes: int, order: str, *, partly: bool = False) -> memoryview:
    """The bytes of the matrix in a compressed element, or their beginning."""
    unpacker = zlib.decompressobj()
    try:
        tag = unpacker.decompress(packed, 8)
        kind, size = struct.unpack(f"{order}II", tag)
        if kind != _MATRIX:
            raise ValueError("a compressed element is not a matrix")
        if partly:
            return memoryview(unpacker.decompress(unpacker.unconsumed_tail, min(size, _HEAD_BYTES) or 1))
        found = unpacker.decompress(unpacker.unconsumed_tail, open_bounded(size, file_bytes, "a matrix") or 1)
    except (zlib.error, struct.error) as error:
        raise ValueError(f"a compressed element is damaged ({error})") from error
    if len(found) < size:
        raise ValueError("a compressed element ends too early")
    return memoryview(found)


def _head(content: memoryview, order: str) -> _Head | None:
    """The header of a matrix; None for an empty one."""
    if not len(content):
        return None
    _, flags, at = _element(content, 0, order)
    kind, sides, at = _element(content, at, order)
    _, name, at = _element(content, at, order)
    if len(flags) < 8 or kind != 5 or len(sides) % 4 or not 8 <= len(sides) <= 128:
        raise ValueError("a matrix does not say what it holds")
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    if min(shape) < 0:
        raise ValueError(f"a matrix cannot have the size {' x '.join(map(str, shape))}")
    (word,) = struct.unpack(f"{order}I", flags[:4])
    return _Head(word & 0xFF, word, shape, bytes(name).decode("latin1"), content[at:])


def _value(content: memoryview, order: str, depth: int = 0) -> Any:
    head = _head(content, order)
    if head is None:
        return _NONE
    if depth > _DEEPEST:
        raise ValueError(f"cells and structs are nested more than {_DEEPEST} deep")
    count, parts = math.prod(head.shape), _elements(head.rest, order)
    if head.kind in _NUMBERS:
        values = _numbers(parts, order, count).astype(_NUMBERS[head.kind], copy=False)
        if head.flags & _COMPLEX:
            values = values + 1j * _numbers(parts, order, count)
        return (values.astype(bool) if head.flags & _LOGICAL else values).reshape(head.shape, order="F")
    if head.kind == 4:
        return _text(parts, order, head.shape)
    if head.kind == 1:
        return [_value(_matrix(parts), order, depth + 1) for _ in range(count)]
    if head.kind == 2:
        return _structs(parts, order, count, depth)
    return None  # functions, objects, sparse matrices: nothing here needs them


def _part(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    found = next(parts, None)
    if found is None:
        raise ValueError("a matrix holds less than it says")
    return found


def _matrix(parts: Iterator[tuple[int, memoryview]]) -> memoryview:
    kind, content = _part(parts)
    if kind != _MATRIX:
        raise ValueError("a cell or a field is not a matrix")
    return content


def _numbers(parts: Iterator[tuple[int, memoryview]], order: str, count: int) -> np.ndarray:
    """Numbers in the type that stores them: MATLAB takes the smallest that holds their values."""
    kind, content = _part(parts)
    if kind not in _STORED:
        raise ValueError(f"numbers of the unknown type {kind}")
    stored = np.dtype(order + _STORED[kind])
    if len(content) != count * stored.itemsize:
        raise ValueError(f"a matrix claims {count:,} numbers, but has {len(content) // stored.itemsize:,}")
    return np.frombuffer(content, stored) if count else np.empty(0, stored)


def _text(parts: Iterator[tuple[int, memoryview]], order: str, shape: tuple[int, ...]) -> str | list[str]:
    if not math.prod(shape):
        return ""
    kind, content = _part(parts)
    if kind not in _TEXTS and kind not in (1, 2):
        raise ValueError(f"text of the unknown type {kind}")
    codec = _TEXTS.get(kind, "latin1")
    wide = {"utf-16": "-le" if order == "<" else "-be", "utf-32": "-le" if order == "<" else "-be"}
    text = bytes(content).decode(codec + wide.get(codec, ""))
    if len(shape) != 2 or shape[0] == 1:
        return text
    if len(text) != math.prod(shape):
        raise ValueError(f"text of {len(text):,} characters cannot have the size {' x '.join(map(str, shape))}")
    return [text[row :: shape[0]] for row in range(shape[0])]


def _structs(parts: Iterator[tuple[int, memoryview]], order: str, count: int, depth: int) -> Any:
    width = int(_numbers(parts, order, 1)[0])
    _, content = _part(parts)
    if not 0 < width <= 64 or len(content) % width:
        raise ValueError("the names of a struct's fields are damaged")
    names = [
        bytes(content[at : at + width]).partition(b"\0")[0].decode("latin1") for at in range(0, len(content), width)
    ]
    if not names:
        return {}
    made = [{name: _value(_matrix(parts), order, depth + 1) for name in names} for _ in range(count)]
    return made[0] if count == 1 else made


def _version_4(data: memoryview) -> Iterator[Variable]:
    at = 0
    while at < len(data):
        if at + 20 > len(data):
            raise ValueError("it ends in the middle of a matrix")
        order = "<" if int.from_bytes(data[at : at + 4], "little") < 5000 else ">"
        form, rows, across, imaginary, letters = struct.unpack(f"{order}5i", data[at : at + 20])
        machine, zero, stored, kind = (form // unit % 10 for unit in (1000, 100, 10, 1))
        if form < 0 or machine != (order == ">") or zero or stored >= len(_FOUR) or min(rows, across, letters) < 0:
            raise ValueError("it does not begin like a .mat file")
        numbers = np.dtype(order + _FOUR[stored])
        start = at + 20 + letters
        size = rows * across * numbers.itemsize
        at = start + size * (2 if imaginary else 1)
        if at > len(data):
            raise ValueError("a matrix claims to be longer than the file")
        name = bytes(data[start - letters : start]).partition(b"\0")[0].decode("latin1")

        def load(
            part: memoryview = data[start : start + size], numbers: np.dtype = numbers, kind: int = kind,
            shape: tuple[int, int] = (rows, across),
        ) -> Any:  # fmt: skip
            values = (np.frombuffer(part, numbers) if len(part) else np.empty(0, numbers)).reshape(shape, order="F")
            return ["".join(map(chr, row)) for row in values.astype(np.uint8).tolist()] if kind == 1 else values

        said = "complex" if imaginary else {0: _FOUR[stored], 1: "char", 2: "sparse"}.get(kind, "unknown")
        yield Variable(name, (rows, across), said, load)
