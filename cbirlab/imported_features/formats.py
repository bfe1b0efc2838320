"""Formats: what other people's files hold, array by array; an array is read only when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cbirlab.datasets import arrays, matfiles
from cbirlab.imported_features import apart

_SAID = {"U": "text", "S": "text", "b": "booleans", "c": "complex numbers", "O": "objects", "V": "records"}
_SAID_OF_MATLAB = {"char": "text", "cell": "cells", "logical": "booleans", "complex": "complex numbers"}


class Held(NamedTuple):
    """An array in a file, not read yet.

    Attributes
    ----------
    said : its type in words, "float32", "text", "booleans", ...
    numbers : whether it holds real numbers.
    load : numbers as an array, text as an array or a list.
    """

    shape: tuple[int, ...]
    said: str
    numbers: bool
    load: Callable[[], Any]


@contextmanager
def _npy(source: Path) -> Iterator[dict[str, Held]]:
    yield {"array": _of_numpy(arrays.npy(source))}


@contextmanager
def _npz(source: Path) -> Iterator[dict[str, Held]]:
    yield {name: _of_numpy(one) for name, one in arrays.npz(source).items()}


def _of_numpy(one: arrays.Array) -> Held:
    return Held(one.shape, _said(one.dtype), one.dtype.kind in "fiu", one.load)


def _said(dtype: np.dtype) -> str:
    return dtype.name if dtype.kind in "fiu" else _SAID.get(dtype.kind, dtype.name)


@contextmanager
def _mat(source: Path) -> Iterator[dict[str, Held]]:
    if matfiles.is_hdf5(source):  # which keeps matrices transposed
        with _hdf5(source) as found:
            yield {name: one._replace(shape=one.shape[::-1], load=_transposed(one)) for name, one in found.items()}
        return
    yield {
        one.name: Held(one.shape, *_kind_of_matlab(one.kind), one.load)
        for one in matfiles.variables(source)
        if one.name
    }


def _transposed(one: Held) -> Callable[[], Any]:
    return lambda: np.transpose(one.load()) if one.numbers else one.load()


def _kind_of_matlab(kind: str) -> tuple[str, bool]:
    numbers = kind[0] in "fiu" and kind[1:].isdigit()
    return (np.dtype(kind).name if numbers else _SAID_OF_MATLAB.get(kind, kind)), numbers


@contextmanager
def _hdf5(source: Path) -> Iterator[dict[str, Held]]:
    with apart.items(source) as found:
        yield {one.name: _of_hdf5(one) for one in found}


def _of_hdf5(one: apart.Item) -> Held:
    numbers = not one.said and one.dtype.kind in "fiu"
    size = math.prod(one.shape) * one.dtype.itemsize
    return Held(one.shape, one.said or _said(one.dtype), numbers, lambda: apart.load(one.name, size))


READERS: Mapping[str, Any] = {".npy": _npy, ".npz": _npz, ".mat": _mat, ".h5": _hdf5, ".hdf5": _hdf5, ".parquet": _hdf5}
