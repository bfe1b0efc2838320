"""Formats: what the files of others hold, array by array, without reading one that is not asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cbirlab.datasets import arrays, matfiles
from cbirlab.datasets.unfolding import bounded

_DEEPEST, _MOST_GROUPS = 16, 10_000
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
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py: pip install 'cbirlab[hdf5]'.") from error
    size = os.path.getsize(source)
    with h5py.File(source, "r") as file:
        yield {name: _of_hdf5(name, item, size) for name, item in _datasets(file)}


def _datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """The data sets in an HDF5 file; links are not followed, they may lead to other files or round in circles."""
    import h5py

    groups, seen = [("", file, 0)], 0
    while groups:
        prefix, group, depth = groups.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_GROUPS:
            raise ValueError(f"its groups are nested more than {_DEEPEST} deep, or more than {_MOST_GROUPS:,}")
        inner = []
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                inner.append((f"{prefix}{name}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield f"{prefix}{name}", item
        groups += reversed(inner)


def _of_hdf5(name: str, item: Any, file_bytes: int) -> Held:
    """Of data that lies in another file, its shape alone."""
    import h5py

    shape, dtype = item.shape or (), item.dtype
    if item.external or item.is_virtual:
        return Held(shape, "data in another file", False, tuple)
    if h5py.check_string_dtype(dtype) or item.attrs.get("MATLAB_class") == b"char":
        return Held(shape, "text", False, lambda: _texts(item, file_bytes))

    def load() -> np.ndarray:
        for sides in (shape, item.chunks or ()):
            bounded(math.prod(sides) * dtype.itemsize, file_bytes, name)
        return item[()]

    return Held(shape, _said(dtype), dtype.kind in "fiu", load)


def _texts(item: Any, file_bytes: int) -> list[str]:
    """Row by row: many rows may point to one long text."""
    if item.ndim != 1 or item.dtype.kind not in "OS":
        return []
    found, total = [], 0
    for start in range(0, item.shape[0], 64):
        part = [bytes(one).decode("utf-8", "surrogateescape") for one in item[start : start + 64]]
        total = bounded(total + sum(map(len, part)), file_bytes, "its text")
        found += part
    return found


READERS: Mapping[str, Any] = {".npy": _npy, ".npz": _npz, ".mat": _mat, ".h5": _hdf5, ".hdf5": _hdf5}
