"""Tables: write a DataFrame as CSV, Markdown, LaTeX, Excel or JSON, and read a row's recipe back."""

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
from cbirlab.base.text import printable
from cbirlab.datasets.unfolding import open_bounded

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("leak", "whitening_set", "fusion", "fusion_weights", "from", "to", "note")
"""Columns of text whose values may be empty or look like numbers."""
CELL_SIGNS = 16_000
"""Most UTF-16 units that a cell in Excel holds (32,767)."""
_SHEET, _CONTINUED = "cbirlab", "continued"

_HALF = re.compile("[\ud800-\udfff]")
_ENTITY = re.compile(r"&(?=[#\w])")  # some browsers read &lt without its semicolon too
_MOST_COLUMNS, _MOST_HEAD_BYTES = 10_000, 1 << 20
_LATEX_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def write(frame: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write `frame` in the format of the file's suffix: .csv, .md, .tex, .xlsx or .json.

    Numbers keep their full precision in CSV, Excel and JSON. Markdown and LaTeX are for reading: they leave out the
    recipes and round to four digits.

    Raises
    ------
    ValueError : another suffix.
    ImportError : .xlsx without openpyxl.
    """
    target = Path(path)
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise ValueError(f"write: path must end in one of {', '.join(_WRITERS)}, got {target.name!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer(frame, target)
    return target


def suffixes() -> list[str]:
    """Suffixes that `write` knows."""
    return [*_WRITERS]


def to_csv(frame: pd.DataFrame) -> str:
    """CSV with full precision; missing numbers are empty, and texts are never formulas (see `cbirlab.base.cells`)."""
    return _in_cells(frame).to_csv(index=False, lineterminator="\n")


def to_json(frame: pd.DataFrame) -> str:
    """A JSON list of rows; recipes are objects, missing numbers null."""
    rows = [{str(name): _json_value(value) for name, value in row.items()} for row in frame.to_dict("records")]
    for row in rows:
        if isinstance(row.get("recipe"), str):
            row["recipe"] = json.loads(row["recipe"])
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def to_markdown(frame: pd.DataFrame) -> str:
    """A Markdown table for reading: no recipes, four digits, numbers aligned to the right."""
    names, cells, numeric = _readable(frame)
    names = [_markdown(name) for name in names]
    cells = [[_markdown(cell) for cell in row] for row in cells]
    widths = [max(3, len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    rule = [("-" * (width - 1) + ":") if right else "-" * width for width, right in zip(widths, numeric, strict=True)]
    lines = [_aligned(names, widths, numeric), rule, *(_aligned(row, widths, numeric) for row in cells)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def to_latex(frame: pd.DataFrame) -> str:
    """A LaTeX tabular (needs booktabs) for reading: no recipes, four digits."""
    names, cells, numeric = _readable(frame)
    columns = "".join("r" if right else "l" for right in numeric)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(names), r"\midrule"]
    lines += [_latex_row(row) for row in cells]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


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


def _readable(frame: pd.DataFrame) -> tuple[list[str], list[list[str]], list[bool]]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    shown = frame.drop(columns="recipe", errors="ignore")
    numeric = [is_numeric_dtype(shown[name]) and not is_bool_dtype(shown[name]) for name in shown.columns]
    rows = [[_text(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    return [str(name) for name in shown.columns], rows, numeric


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _json_value(value: Any) -> Any:
    """Turn a NumPy number into a plain one, and NaN into null."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _aligned(cells: list[str], widths: list[int], numeric: list[bool]) -> list[str]:
    both = zip(cells, widths, numeric, strict=True)
    return [cell.rjust(width) if right else cell.ljust(width) for cell, width, right in both]


def _markdown(text: str) -> str:
    """Text that makes no column, tag, entity or link of its own."""
    plain = _ENTITY.sub("&amp;", _line(text)).replace("<", "&lt;")
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("](", "]\\(")


def _latex_row(cells: list[str]) -> str:
    row = " & ".join("".join(_LATEX_SIGNS.get(sign, sign) for sign in _line(text)) for text in cells)
    star = row.lstrip().startswith(("[", "*"))  # the end of the row above would take it for its argument
    return ("{}" if star else "") + row + r" \\"


def _line(text: str) -> str:
    """One printable line."""
    return printable(" ".join(re.split(r"[\t\n\r]+", text)))


def _write_text(render: Callable[[Any], str]) -> Callable[[Any, Path], None]:
    def writer(frame: Any, path: Path) -> None:
        path.write_text(render(frame), encoding="utf-8", newline="\n")

    return writer


def _write_excel(frame: pd.DataFrame, path: Path) -> None:
    """Write a sheet with cells cut at what Excel holds; the rest of their texts goes to a second sheet."""
    import pandas as pd

    with _excel():
        written = _in_cells(frame)
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


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    ".csv": _write_text(to_csv),
    ".md": _write_text(to_markdown),
    ".tex": _write_text(to_latex),
    ".xlsx": _write_excel,
    ".json": _write_text(to_json),
}
