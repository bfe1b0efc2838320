"""Pickles of other people, read without running anything they ask for.

A pickle may name any function of any module and have it called. Here only a handful of names is known, and each stands
for a function of this module that builds plain values; NumPy's own are not called either.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_KINDS = "biuf"  # of NumPy's types: booleans and numbers, whose bytes can be anything


def load(file: Path) -> Any:
    """What a pickle holds, of lists, mappings, texts, numbers and arrays.

    Raises
    ------
    ValueError : anything else in it, or damaged.
    """
    try:
        return _values(_Reader(io.BytesIO(file.read_bytes()), encoding="latin1").load())
    except pickle.UnpicklingError as error:
        raise ValueError(f"{file}: {error}") from None
    except (EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"{file}: cannot be read as a pickle ({type(error).__name__}: {error}).") from error


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
        ("builtins", "bytes"): lambda *_: b"",  # how old protocols write none
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
        if isinstance(raw, list):  # an array of objects, as of texts
            self.values: Any = raw
        else:
            self.values = _numbers(raw, kind, shape, by_columns)


def _numbers(raw: Any, kind: Any, shape: Any, by_columns: bool) -> np.ndarray:
    kind = kind if isinstance(kind, _Type) else _Type("?")
    raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    return np.frombuffer(raw, kind.numpy()).reshape(tuple(shape), order="F" if by_columns else "C")


def _values(found: Any, depth: int = 0) -> Any:
    """The arrays put in place of what stands for them, as far down as ground truth goes."""
    if depth > 4:
        return found
    if isinstance(found, _Array):
        return _values(getattr(found, "values", []), depth)
    if isinstance(found, dict):
        return {key: _values(value, depth + 1) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_values(value, depth + 1) for value in found]
    return found
