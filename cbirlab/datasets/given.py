"""Own images given in Python instead of a file: a DataFrame, a list of paths, or an ImageFolder of torchvision."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cbirlab.datasets.answers import answered
from cbirlab.datasets.base import Dataset
from cbirlab.datasets.lists import Sheet
from cbirlab.datasets.table import of_sheet
from cbirlab.datasets.written import NAMES


def given(
    source: Any,
    *,
    root: str | Path = "",
    name: str | None = None,
    image_size: int = 1024,
    answers: str | Path | None = None,
) -> Dataset:
    """A dataset of images that are named in Python.

    Parameters
    ----------
    source : a DataFrame with the columns that `cbirlab.datasets.table.table` takes; a list of paths, which has no
        ground truth; a list of pairs (path, instance), such as the ``samples`` of torchvision's ImageFolder; or an
        ImageFolder, whose instances are its classes.
    root : folder that the paths are relative to; by default the working folder.
    name, image_size, answers : as for `cbirlab.datasets.table.table`.

    Raises
    ------
    TypeError : something else, or a list of something else.
    FileNotFoundError, ValueError : as `cbirlab.datasets.table.table` does; messages count rows from 0.
    """
    kind, sheet = _sheet(source)
    root = Path(root).expanduser()
    bare = answers is not None or (kind == NAMES[1] and sheet.header == ("path",))
    made = of_sheet(sheet, root, name or kind, image_size, ("path",) if bare else ("path", "instance"))
    return made if answers is None else answered(made, answers, root=root)


def _sheet(source: Any) -> tuple[str, Sheet]:
    """What was given, in a word, and its rows."""
    if hasattr(source, "columns") and hasattr(source, "itertuples"):
        return NAMES[0], _of_frame(source)
    if hasattr(source, "samples") and hasattr(source, "classes"):
        return NAMES[2], _of_list(NAMES[2], [(path, source.classes[number]) for path, number in source.samples])
    if isinstance(source, Iterable) and not isinstance(source, bytes | dict):
        return NAMES[1], _of_list(NAMES[1], [*source])
    raise TypeError(
        "load_dataset: name_or_path must be a name, a path, a DataFrame, a list of paths or an ImageFolder, got "
        f"{type(source).__name__}."
    )


def _of_frame(frame: Any) -> Sheet:
    header = tuple(str(name).strip() for name in frame.columns)
    rows = ((row, tuple(map(_cell, values))) for row, values in enumerate(frame.itertuples(index=False, name=None)))
    return Sheet(Path(NAMES[0]), header, tuple(one for one in rows if any(one[1])), unit="row")


def _of_list(kind: str, items: Sequence[Any]) -> Sheet:
    if not items:
        raise ValueError(f"load_dataset: a {kind} must name at least one image, got none.")
    paired = isinstance(items[0], tuple | list)
    rows = []
    for row, item in enumerate(items):
        cells = tuple(item) if isinstance(item, tuple | list) else (item,)
        if len(cells) != 1 + paired or not isinstance(cells[0], str | os.PathLike):
            form = "pairs of a path and an instance" if paired else "paths"
            raise TypeError(f"load_dataset: a {kind} must hold {form}, got {item!r} in row {row}.")
        rows.append((row, tuple(map(_cell, cells))))
    return Sheet(Path(kind), ("path", "instance")[: 1 + paired], tuple(rows), unit="row")


def _cell(value: Any) -> str:
    """A cell as a CSV file would hold it; nothing for what is missing."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return value
    if value is None or str(value) in ("nan", "NaN", "<NA>", "NaT"):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
