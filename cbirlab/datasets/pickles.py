"""Pickles of other people, read without running anything they ask for.

A pickle may name any function of any module and have it called. Here only a handful of names is known, and each stands
for a function of this module that builds plain values; NumPy's own are not called either.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_TOO_MUCH = (MemoryError, RecursionError)
_DEEPEST = 8
_KINDS = "biuf"  # of NumPy's types: booleans and numbers, whose bytes can be anything


def load(file: Path) -> Any:
    """The contents of a pickle: lists, mappings, texts, numbers and arrays.

    Raises
    ------
    ValueError : it holds anything else, or is damaged.
    """
    raw = file.read_bytes()
    try:
        _check_lengths(raw)
        return _Values(len(raw)).of(_Reader(io.BytesIO(raw), encoding="latin1").load())
    except pickle.UnpicklingError as error:
        raise ValueError(f"{file}: {error}") from None
    except (EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, *_TOO_MUCH) as error:
        raise ValueError(f"{file}: cannot be read as a pickle ({type(error).__name__}: {error}).") from error


def _check_lengths(raw: bytes) -> None:
    """Refuse items that claim to be longer than the file, before the unpickler reserves memory for them.

    Raises
    ------
    ValueError : such a text or memo number, or not a pickle.
    """
    for code, value, _ in pickletools.genops(raw):  # reads lengths, and the bytes that must be there
        if "PUT" in code.name and not 0 <= int(value or 0) < len(raw):
            raise ValueError(f"it stores a value under the number {value}, although it has only {len(raw):,} bytes")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        as_known = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        made = _known().get((as_known, name))
        if made is None:
            raise pickle.UnpicklingError(
                f"ground truth is made of lists, mappings, texts, numbers and arrays; this pickle asks for "
                f"{module}.{name}, which is not run here."
            )
        return made


def _known() -> dict[tuple[str, str], Callable[..., Any]]:
    """New functions each time, so that a pickle that sets attributes on one changes nothing that stays."""
    return {
        ("numpy", "ndarray"): lambda *_: None,
        ("numpy", "dtype"): lambda code, *_: _Type(code),
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy.core.multiarray", "scalar"): lambda kind, raw: _numbers(raw, kind, (1,), False)[0].item(),
        ("numpy.core.numeric", "_frombuffer"): lambda raw, kind, shape, order: _numbers(raw, kind, shape, order == "F"),
        ("builtins", "bytes"): lambda *_: b"",  # how old protocols write empty bytes
        ("_codecs", "encode"): lambda text, *_: str(text).encode("latin1"),
    }


class _Type:
    """Stands for a NumPy type; takes its byte order from the state that follows it."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.order = str(state[1])

    def numpy(self) -> np.dtype:
        made = np.dtype(self.code)
        if made.kind not in _KINDS:
            raise ValueError(f"an array of numbers was expected, got one of type {self.code!r}")
        return made.newbyteorder(self.order if self.order in "<>" else "=")  # pyright: ignore[reportArgumentType]


class _Array:
    """Stands for an array, whose contents come in the state that follows it."""

    __slots__ = ("values",)

    def __setstate__(self, state: Sequence[Any]) -> None:
        _, shape, kind, by_columns, raw = state
        if isinstance(raw, list):  # an array of objects, such as texts
            self.values: Any = raw
        else:
            self.values = _numbers(raw, kind, shape, by_columns)


def _numbers(raw: Any, kind: Any, shape: Any, by_columns: bool) -> np.ndarray:
    kind = kind if isinstance(kind, _Type) else _Type("?")
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(raw, bytes | bytearray):  # bytes(10**10) would be as many zeros
        raise TypeError(f"an array is made of bytes, not of {type(raw).__name__}")
    return np.frombuffer(raw, kind.numpy()).reshape(tuple(shape), order="F" if by_columns else "C")


class _Values:
    """Puts arrays in place of their stand-ins; a list that is named many times becomes as many lists.

    Every value that a pickle does not name twice takes at least one byte of it, which bounds their number.
    """

    def __init__(self, most: int) -> None:
        self.left = most

    def of(self, found: Any, depth: int = 0) -> Any:
        if isinstance(found, _Array):
            return self.of(getattr(found, "values", []), depth)
        self.left -= found.size if isinstance(found, np.ndarray) else 1
        if self.left < 0 or depth > _DEEPEST:
            raise ValueError(f"it unpacks to more values than it has bytes, or is nested more than {_DEEPEST} deep")
        if isinstance(found, dict):
            return {key: self.of(value, depth + 1) for key, value in found.items()}
        if isinstance(found, list | tuple | set | frozenset):
            return [self.of(value, depth + 1) for value in found]
        return found
