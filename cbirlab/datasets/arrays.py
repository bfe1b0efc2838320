"""Other people's .npy and .npz files: the claims of a header are checked against the bytes that are there."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cbirlab.datasets.unfolding import open_bounded

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Array(NamedTuple):
    """An array in a file, not read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], np.ndarray]


def npy(file: Path) -> Array:
    """The array in an .npy file; loading it raises if it needs pickle.

    Raises
    ------
    ValueError : damaged, or shorter than it says.
    """
    return _array(lambda: file.open("rb"), os.path.getsize(file), os.path.getsize(file))


def npz(file: Path) -> dict[str, Array]:
    """The arrays in an .npz file by name.

    Raises
    ------
    ValueError : damaged, or an array is longer than the bytes that are there, or than `bounded` allows.
    """
    size = os.path.getsize(file)
    try:
        with zipfile.ZipFile(file) as packed:
            members = [entry for entry in packed.infolist() if entry.filename.endswith(".npy")]
            return {one.filename.removesuffix(".npy"): _member(file, one, size) for one in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"not an .npz file ({error})") from error


def _member(file: Path, entry: zipfile.ZipInfo, file_bytes: int) -> Array:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is compressed in a way that NumPy does not use")

    def opened() -> Any:
        return zipfile.ZipFile(file).open(entry)

    return _array(opened, open_bounded(entry.file_size, file_bytes, entry.filename), file_bytes)


def _array(opened: Callable[[], Any], size: int, file_bytes: int) -> Array:
    with opened() as content:
        shape, dtype, start = _header(content)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > size - start:
        raise ValueError(
            f"an array of {' x '.join(map(str, shape))} {dtype} takes {math.prod(shape) * dtype.itemsize:,} bytes, but "
            f"only {size - start:,} are there"
        )

    def load() -> np.ndarray:
        with opened() as content:
            return np.lib.format.read_array(content, allow_pickle=False)

    return Array(shape, dtype, load)


def _header(content: Any) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type that an array says it has, and where it begins."""
    version = np.lib.format.read_magic(content)
    if version not in _HEADERS:
        raise ValueError(f"an array in format {version[0]}.{version[1]}, which arrays of numbers do not use")
    try:
        shape, _, dtype = _HEADERS[version](content)
    except (MemoryError, RecursionError) as error:  # of the parser, on brackets without end
        raise ValueError("the header of an array is damaged") from error
    if min(shape, default=0) < 0:
        raise ValueError(f"an array cannot have the shape {shape}")
    return shape, dtype, content.tell()
