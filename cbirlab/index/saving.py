"""Saving: the folder of a `Searcher`, written whole or not at all, and mapped where it is opened again.

The arrays of the index and full rows are files of their own, of which a search reads what it needs. So a file that is
cut short is refused, but numbers that have changed inside one are not noticed.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.store.files import map_array

FORMAT = 2
ABOUT, CODE, ROWS, INDEX = "searcher.json", "code.npz", "rows.npy", "index"

Saved = tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray | None]
"""Settings and ids; arrays of the index, and of the code; full rows, if they are kept."""


def write(
    folder: Path,
    about: Mapping[str, Any],
    index: Mapping[str, np.ndarray],
    code: Mapping[str, np.ndarray],
    rows: np.ndarray | None,
) -> None:
    """Write a folder beside its place, and then move it there.

    Raises
    ------
    ValueError : the folder holds something else.
    """
    if folder.exists() and not (folder / ABOUT).is_file():
        raise ValueError(f"Searcher: folder must be new or hold a saved Searcher, got {folder}, which does not.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        new = Path(made) / "new"
        new.mkdir()
        (new / INDEX).mkdir()
        for name, values in index.items():
            np.save(new / INDEX / f"{name}.npy", values, allow_pickle=False)
        np.savez(new / CODE, allow_pickle=False, **code)
        if rows is not None:
            np.save(new / ROWS, rows, allow_pickle=False)
        (new / ABOUT).write_text(json.dumps({"format": FORMAT, **about}), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(made) / "old")
        new.rename(folder)


@contextmanager
def reading(folder: Path) -> Iterator[Saved]:
    """Read a folder; full rows and the arrays of the index are mapped.

    Whatever goes wrong inside is said to be the folder's fault.

    Raises
    ------
    ValueError : no such folder, or files that are not as they were written.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}, and this version reads {FORMAT}")
        rows = map_array(folder / ROWS) if (folder / ROWS).is_file() else None
        index = {path.stem: map_array(path) for path in (folder / INDEX).glob("*.npy")}
        with np.load(folder / CODE, allow_pickle=False) as code:
            yield about, index, dict(code), rows
    except (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"Searcher: {folder} must hold what save wrote ({error}); save it again.") from error
