"""Files of tables: CSV, Excel and JSON keep everything and are read back, Markdown and LaTeX are for reading."""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.base import plain
from cbirlab.base.cells import MARK, cell, column, text_of
from cbirlab.datasets.unfolding import open_bounded
from cbirlab.tables.markup import to_latex, to_markdown
from cbirlab.tables.reading import Columns, check_columns

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("leak", "left_out", "whitening_set", "fusion", "fusion_weights", "from", "to", "note")
"""Columns of text whose values may be empty or look like numbers."""
TO_READ = ("md", "tex")
"""Formats for people: few columns by default, and a number and its interval in one cell."""
CELL_SIGNS = 16_000
"""Most UTF-16 units that a cell in Excel holds (32,767)."""
_SHEET, _CONTINUED = "cbirlab", "continued"

_HALF = re.compile("[\ud800-\udfff]")
_MOST_COLUMNS, _MOST_HEAD_BYTES = 10_000, 1 << 20


def write(frame: pd.DataFrame, path: str | os.PathLike[str], *, columns: Columns = None) -> Path:
    """Write `frame` in the format of the file's suffix: .csv, .md, .tex, .xlsx or .json.

    Numbers keep their full precision in CSV, Excel and JSON. Markdown and LaTeX are for reading, see `for_reading`.

    Parameters
    ----------
    columns : what to write, in this order; CSV, Excel and JSON keep the recipes beside it. By default all columns, but
        those of `usual_columns` in Markdown and LaTeX.

    Raises
    ------
    ValueError : another suffix, or a column that the table does not have.
    ImportError : .xlsx without openpyxl.
    """
    target = Path(path)
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise ValueError(f"write: path must end in one of {', '.join(_WRITERS)}, got {target.name!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer(frame, target, columns)
    return target


def suffixes() -> list[str]:
    """Suffixes that `write` knows."""
    return [*_WRITERS]


def to_csv(frame: pd.DataFrame, columns: Columns = None) -> str:
    """CSV with full precision; missing numbers are empty, and texts are never formulas (see `cbirlab.base.cells`)."""
    return _in_cells(_with_recipes(frame, columns)).to_csv(index=False, lineterminator="\n")


def to_json(frame: pd.DataFrame, columns: Columns = None) -> str:
    """A JSON list of rows; recipes are objects, missing numbers null."""
    kept = _with_recipes(frame, columns)
    rows = [{str(name): _json_value(value) for name, value in row.items()} for row in kept.to_dict("records")]
    for row in rows:
        if isinstance(row.get("recipe"), str):
            row["recipe"] = json.loads(row["recipe"])
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table that `write` made as .csv, .xlsx or .json.

    Raises
    ------
    ValueError : another suffix, or a damaged file.
    ImportError : .xlsx without openpyxl.
    """
    source = Path(path)
    try:
        _check_size(source)
        return _read(source)
    except (OSError, ImportError):
        raise
    except Exception as error:  # pandas and openpyxl raise anything on damaged tables
        raise ValueError(f"{source}: cannot be read as a table ({type(error).__name__}: {error}).") from error


def _check_size(source: Path) -> None:
    """Refuse files that would take far more memory than they have bytes: packed sheets, and columns without end."""
    if source.suffix.lower() == ".xlsx":
        with zipfile.ZipFile(source) as packed:
            open_bounded(sum(entry.file_size for entry in packed.infolist()), source.stat().st_size, "its sheets")
    elif source.suffix.lower() == ".csv":
        with source.open("rb") as content:
            columns = content.readline(_MOST_HEAD_BYTES).count(b",") + 1
        if columns > _MOST_COLUMNS:
            raise ValueError(f"a table may have {_MOST_COLUMNS:,} columns, this one has {columns:,}")


def _read(source: Path) -> pd.DataFrame:
    import pandas as pd

    suffix = source.suffix.lower()
    if suffix == ".json":
        rows = plain.parse_json(source.read_text(encoding="utf-8"))
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("a list of rows is expected")
        return pd.DataFrame([{**row, "recipe": json.dumps(row["recipe"])} if "recipe" in row else row for row in rows])
    if suffix == ".csv":
        frame = pd.read_csv(source, keep_default_na=False, dtype=str)
    elif suffix == ".xlsx":
        frame = _read_excel(source)
    else:
        raise ValueError(f"read: path must end in .csv, .xlsx or .json, got {source.name!r}.")
    return pd.DataFrame({text_of(str(name)): column(frame[name], of_texts=name in TEXTS) for name in frame.columns})


def _with_recipes(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Chosen columns, and the recipes by which each row can be run again."""
    if columns is None:
        return frame
    recipes = [] if "recipe" in columns or "recipe" not in frame else ["recipe"]
    return frame.loc[:, [*check_columns(frame, columns), *recipes]]


def _in_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with its texts as cells."""
    import pandas as pd

    def cells(name: Any) -> Any:
        return [cell(one, of_texts=name in TEXTS) if isinstance(one, str) else one for one in frame[name]]

    numbers = set(frame.select_dtypes("number"))
    named = {name: frame[name] if name in numbers else cells(name) for name in frame.columns}
    return pd.DataFrame({cell(str(name), of_texts=True): values for name, values in named.items()})


def read_recipe(row: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of one row of a table as plain data, for ``Recipe.from_json``.

    Raises
    ------
    ValueError : the row has no recipe (Markdown and LaTeX leave it out).
    """
    recipe = row.get("recipe")
    if isinstance(recipe, str):
        recipe = plain.parse_json(recipe)
    if not isinstance(recipe, Mapping):
        raise ValueError("read_recipe: row must have a recipe; take it from a .csv, .xlsx or .json table.")
    return dict(recipe)


def _json_value(value: Any) -> Any:
    """Turn a NumPy number into a plain one, and NaN into null."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _write_text(render: Callable[[Any, Columns], str]) -> Callable[[Any, Path, Columns], None]:
    def writer(frame: Any, path: Path, columns: Columns) -> None:
        path.write_text(render(frame, columns), encoding="utf-8", newline="\n")

    return writer


def _write_excel(frame: pd.DataFrame, path: Path, columns: Columns) -> None:
    """Write a sheet with cells cut at what Excel holds; the rest of their texts goes to a second sheet."""
    import pandas as pd

    with _excel():
        written = _in_cells(_with_recipes(frame, columns))
        texts = {name: list(written[name]) for name in written.select_dtypes(exclude="number")}
        rest = [
            (row, name, MARK + text[start : start + CELL_SIGNS])
            for name, values in texts.items()
            for row, text in enumerate(values)
            if isinstance(text, str)
            for start in range(CELL_SIGNS, len(text), CELL_SIGNS)
        ]
        if not rest:
            written.to_excel(path, index=False, sheet_name=_SHEET, engine="openpyxl")
            return
        for row, name, _ in rest:
            texts[name][row] = texts[name][row][:CELL_SIGNS]
        with pd.ExcelWriter(path, engine="openpyxl") as book:
            written.assign(**texts).to_excel(book, index=False, sheet_name=_SHEET)
            pd.DataFrame(rest, columns=["row", "column", "text"]).to_excel(book, index=False, sheet_name=_CONTINUED)


def _read_excel(path: Path) -> pd.DataFrame:
    import pandas as pd

    with _excel():
        sheets = pd.read_excel(path, sheet_name=None, engine="openpyxl", keep_default_na=False, dtype=object)
    frame = next(iter(sheets.values()))
    for row, name, text in sheets.get(_CONTINUED, pd.DataFrame()).itertuples(index=False, name=None):
        frame.loc[int(row), name] += text.removeprefix(MARK)
    return frame


def check_excel() -> None:
    """Raise ImportError if Excel tables cannot be written, before one is made."""
    with _excel():
        import_module("openpyxl")


@contextmanager
def _excel() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ImportError("Excel tables need openpyxl: pip install 'cbirlab[excel]'.") from error


_WRITERS: dict[str, Callable[[Any, Path, Columns], None]] = {
    ".csv": _write_text(to_csv),
    ".md": _write_text(to_markdown),
    ".tex": _write_text(to_latex),
    ".xlsx": _write_excel,
    ".json": _write_text(to_json),
}
