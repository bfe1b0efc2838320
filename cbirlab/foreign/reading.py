"""Reading: a matrix of numbers out of a file that someone else wrote, and never anything that could run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MATLAB_NUMBERS = ("double", "single", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class FeaturesError(ValueError):
    """A file that does not hold the features that are asked of it."""


class _Matrix(NamedTuple):
    """A matrix in a file, not read yet."""

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def import_features(
    path: str | os.PathLike[str], *, columns: bool | None = None, key: str | None = None, count: int | None = None
) -> np.ndarray:
    """Descriptors from a file of someone else, one row per image.

    Parameters
    ----------
    path : .npy, .npz, .mat (of any version) or HDF5 (.h5, .hdf5; these and .mat 7.3 need h5py). Nothing in the file is
        executed: pickled objects are refused, and so is HDF5 data that lies in another file.
    columns : True where a column is an image (D x N, as cirtorch and revisitop keep them), False where a row is
        (N x D). By default rows, or what `count` says.
    key : name of the matrix, where the file has several ("X", "features/train").
    count : how many images there must be; it chooses the matrix and its direction where they are left open.

    Returns
    -------
    (N, D) float32.

    Raises
    ------
    FileNotFoundError : no such file.
    ImportError : HDF5 without h5py.
    FeaturesError : a `ValueError`: another suffix, a damaged file, no matrix of numbers or several, another number of
        images, NaN or infinity.
    """
    source = Path(path).expanduser()
    reader = _READERS.get(source.suffix.lower())
    if reader is None:
        raise FeaturesError(
            f"import_features: path must end in one of {', '.join(_READERS)}, got {source.name!r}; a pickle can run "
            "code, so save its array with numpy.save."
        )
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file.")
    with _said_of(source), reader(source) as matrices:
        name = _chosen(matrices, key, count, source)
        values = np.asarray(matrices[name].load())
    values = _rows(values, columns, count, f"{source.name}: {name}")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=np.float32)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise FeaturesError(
            f"import_features: {source.name}: image {int(finite.argmin())} holds NaN, infinity or values too large for "
            "float32."
        )
    return values


def _rows(values: np.ndarray, columns: bool | None, count: int | None, owner: str) -> np.ndarray:
    """One row per image."""
    rows, across = values.shape
    if columns is None and count is not None and (rows == count) != (across == count):
        columns = across == count
    elif columns is None and count is not None and rows == across == count:
        raise FeaturesError(
            f"import_features: {owner} is {rows} x {across}, so either side could be the images; say columns=True "
            "where a column is an image, columns=False where a row is."
        )
    turned = values.T if columns else values
    if count is not None and len(turned) != count:
        other = not columns
        hint = f" It would fit as {_convention(other)}: pass columns={other}." if turned.shape[1] == count else ""
        raise FeaturesError(
            f"import_features: {owner} must hold {count} images, got {rows} x {across} as {_convention(bool(columns))}."
            f"{hint}"
        )
    return turned


def _convention(columns: bool) -> str:
    return "D x N, one column per image" if columns else "N x D, one row per image"


def _chosen(matrices: Mapping[str, _Matrix], key: str | None, count: int | None, source: Path) -> str:
    """The name of the matrix to read."""
    held = ", ".join(f"{name!r} {' x '.join(map(str, one.shape))}" for name, one in matrices.items()) or "none"
    if key is not None:
        if key not in matrices:
            raise ValueError(
                f"import_features: {source.name}: key must name a matrix of numbers ({held}), got {key!r}."
            )
        return key
    fitting = [name for name, one in matrices.items() if count in one.shape] if len(matrices) > 1 else list(matrices)
    if len(fitting) != 1:
        raise FeaturesError(
            f"import_features: {source.name} must hold one matrix of numbers, or key must name one; it holds {held}."
        )
    return fitting[0]


@contextmanager
def _said_of(source: Path) -> Iterator[None]:
    """Whatever a library says about a damaged file, with the name of the file."""
    try:
        yield
    except (FeaturesError, ImportError, MemoryError, PermissionError):
        raise
    except Exception as error:  # of damaged files the libraries raise anything
        raise FeaturesError(f"import_features: {source.name} is damaged or no {source.suffix} file: {error}") from error


@contextmanager
def _npy(source: Path) -> Iterator[dict[str, _Matrix]]:
    values = np.load(source, allow_pickle=False)
    yield _matrices({"array": values})


@contextmanager
def _npz(source: Path) -> Iterator[dict[str, _Matrix]]:
    with np.load(source, allow_pickle=False) as arrays:
        yield _matrices(dict(arrays))


def _matrices(arrays: Mapping[str, np.ndarray]) -> dict[str, _Matrix]:
    numbers = {name: values for name, values in arrays.items() if values.ndim == 2 and values.dtype.kind in "fiu"}
    return {name: _Matrix(values.shape, lambda values=values: values) for name, values in numbers.items()}


@contextmanager
def _mat(source: Path) -> Iterator[dict[str, _Matrix]]:
    from scipy.io import loadmat, whosmat

    try:
        held = whosmat(source, appendmat=False)
    except NotImplementedError:  # version 7.3 is HDF5 and keeps matrices transposed
        with _hdf5(source) as found:
            yield {name: _Matrix(one.shape[::-1], lambda one=one: one.load().T) for name, one in found.items()}
        return
    yield {
        name: _Matrix(shape, lambda name=name: loadmat(source, appendmat=False, variable_names=[name])[name])
        for name, shape, kind in held
        if len(shape) == 2 and kind in MATLAB_NUMBERS
    }


@contextmanager
def _hdf5(source: Path) -> Iterator[dict[str, _Matrix]]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py: pip install 'cbirlab[hdf5]'.") from error
    found: dict[str, _Matrix] = {}

    def look(name: str, item: Any) -> None:  # is not led to other files by links
        if not isinstance(item, h5py.Dataset) or item.ndim != 2 or item.dtype.kind not in "fiu":
            return
        if not item.external and not item.is_virtual:
            found[name] = _Matrix(item.shape, lambda: item[()])

    with h5py.File(source, "r") as file:
        file.visititems(look)
        yield found


_READERS = {".npy": _npy, ".npz": _npz, ".mat": _mat, ".h5": _hdf5, ".hdf5": _hdf5}
