"""Reading: a matrix of numbers from a file that someone else wrote, without running anything in it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cbirlab.imported_features.formats import READERS, Held
from cbirlab.imported_features.naming import Name, name_lists, order_of

_MOST_TEXT_BYTES = 64 << 20
_ADVICE = {
    "booleans": "save them as uint8",
    "complex numbers": "take their real or absolute values",
    "objects": "save plain numbers, as nothing here is unpickled",
    "data in another file": "copy it into this one",
}


class FeaturesError(ValueError):
    """A file that does not hold the features that were asked for."""


def import_features(
    path: str | os.PathLike[str],
    *,
    columns: bool | None = None,
    key: str | None = None,
    count: int | None = None,
    names: Sequence[Name] | None = None,
) -> np.ndarray:
    """Read descriptors from someone else's file, one row per image.

    Parameters
    ----------
    path : .npy, .npz, .mat (of any version), HDF5 (.h5, .hdf5; these and .mat 7.3 need h5py) or .parquet (pyarrow;
        descriptors are a column of lists, or all columns of decimal numbers side by side). Nothing in the file is
        executed: pickled objects are refused, and so is HDF5 data that lies in another file. Axes of length one beyond
        the first two are left out.
    columns : True if a column is an image (D x N, as cirtorch and revisitop keep them), False if a row is an image
        (N x D). By default an image is a row, unless `count` says otherwise.
    key : name of the matrix, if the file has several ("X", "features/train").
    count : how many images there must be; chooses the matrix and its direction if you leave them open.
    names : paths or names of the images, such as ``dataset.images``; gives `count`. If the file names its rows (in a
        list of text, or in the lines of a ``.txt`` file of the same name beside it), the rows are put in this order.
        Without `names`, a warning says that they keep their own order.

    Returns
    -------
    (N, D) float32.

    Raises
    ------
    FileNotFoundError : no such file.
    ImportError : HDF5 without h5py, Parquet without pyarrow.
    FeaturesError : a `ValueError`: another suffix, a damaged file, no matrix of numbers or several, another number of
        images, other names, NaN or infinity.
    """
    source = Path(path).expanduser()
    reader = READERS.get(source.suffix.lower())
    if reader is None:
        raise FeaturesError(
            f"import_features: path must end in one of {', '.join(READERS)}, got {source.name!r}; a pickle can run "
            "code, so save its array with numpy.save."
        )
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file.")
    if names is not None:
        count = len(names)
    with _said_of(source), reader(source) as held:
        name = _chosen(held, key, count, source)
        values = np.asarray(held[name].load()).reshape(_sides(held[name].shape))
        values = _rows(values, columns, count, f"{source.name}: {name}")
        order = _order(held, names, len(values), source)
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(values if order is None else values[order], dtype=np.float32)
        finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise FeaturesError(
            f"import_features: {source.name}: image {int(finite.argmin())} holds NaN, infinity or values too large for "
            "float32."
        )
    return values


def _order(held: Mapping[str, Held], names: Sequence[Name] | None, rows: int, source: Path) -> np.ndarray | None:
    """Find the rows in the order of `names`; None if they stay as they are."""
    texts = {name: one.load() for name, one in held.items() if one.said in ("text", "cells") and rows in one.shape}
    texts = {
        name: np.ravel(np.asarray(one, dtype=object)).tolist()
        for name, one in texts.items()
        if not isinstance(one, str)
    }
    texts = {name: one for name, one in texts.items() if all(isinstance(part, str | bytes) for part in one)}
    found = name_lists(texts | _beside(source), rows)
    closed = [name for name, one in held.items() if one.said == "objects" and one.shape == (rows,)]
    if closed and not found:
        warnings.warn(
            f"import_features: {source.name}: {closed[0]!r} holds objects, which are not unpickled; if they name the "
            "rows, save them as text, names.astype(str), to have the rows put in order.",
            stacklevel=3,
        )
    if names is not None:
        try:
            return order_of(found, names)
        except ValueError as error:
            raise FeaturesError(f"import_features: {source.name}: {error}.") from None
    if found:
        key, given = next(iter(found.items()))
        warnings.warn(
            f"import_features: {source.name}: {key!r} names the rows ({given[0]!r}, {given[1]!r}, ...), which stay in "
            "their order; pass names=dataset.images to put them in the dataset's.",
            stacklevel=3,
        )
    return None


def _beside(source: Path) -> dict[str, list[str]]:
    """The lines of the text file of the same name."""
    text = source.with_suffix(".txt")
    if not text.is_file() or text.stat().st_size > _MOST_TEXT_BYTES:
        return {}
    lines = text.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    return {text.name: [line for line in lines if line.strip()]}


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with axes of length one dropped, the last ones first, until it is the shape of a matrix."""
    sides = [*shape]
    while len(sides) > 2 and 1 in sides:
        del sides[-1 if sides[-1] == 1 else sides.index(1)]
    return tuple(sides)


def _rows(values: np.ndarray, columns: bool | None, count: int | None, owner: str) -> np.ndarray:
    """One row per image."""
    rows, across = values.shape
    if columns is None and count is not None and (rows == count) != (across == count):
        columns = across == count
    elif columns is None and count is not None and rows == across == count:
        raise FeaturesError(
            f"import_features: {owner} is {rows} x {across}, so either side could be the images; pass columns=True "
            "if each column is an image, columns=False if each row is."
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


def _chosen(held: Mapping[str, Held], key: str | None, count: int | None, source: Path) -> str:
    """The name of the matrix to read."""
    matrices = {name: _sides(one.shape) for name, one in held.items() if one.numbers and len(_sides(one.shape)) == 2}
    said = ", ".join(f"{name!r} {_times(sides)}" for name, sides in matrices.items()) or _none(held)
    if key is not None:
        if key not in matrices:
            raise FeaturesError(
                f"import_features: {source.name}: key must name a matrix of numbers ({said}), got {key!r}."
            )
        return key
    fitting = [name for name, sides in matrices.items() if count in sides] if len(matrices) > 1 else [*matrices]
    if len(fitting) != 1:
        raise FeaturesError(
            f"import_features: {source.name} must hold one matrix of numbers, or key must name one; it holds {said}."
        )
    return fitting[0]


def _none(held: Mapping[str, Held]) -> str:
    """Say what the file holds instead of a matrix, and what to do about it."""
    if not held:
        return "none"
    kinds = {one.said for one in held.values()}
    advice = [f"{said}: {todo}" for said, todo in _ADVICE.items() if said in kinds]
    if any(one.numbers and len(_sides(one.shape)) > 2 for one in held.values()):
        advice.append("maps: pool them first, to one vector per image")
    shown = [f"{name!r} {_times(one.shape)} {one.said}" for name, one in [*held.items()][:10]]
    more = [f"and {len(held) - 10} more"] if len(held) > 10 else []
    return f"none, but {', '.join(shown + more)}" + "".join(f" ({one})" for one in advice)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one value"


@contextmanager
def _said_of(source: Path) -> Iterator[None]:
    """Add the file's name to whatever a library says about a damaged file."""
    try:
        yield
    except (FeaturesError, ImportError, PermissionError):
        raise
    except MemoryError as error:
        raise FeaturesError(f"import_features: {source.name} takes more memory than there is.") from error
    except Exception as error:  # the libraries raise anything on damaged files
        raise FeaturesError(
            f"import_features: {source.name} is damaged or not a {source.suffix} file: {error}"
        ) from error
