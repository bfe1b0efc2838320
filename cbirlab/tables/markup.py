"""Markdown and LaTeX: tables as text for people, which no cell can break."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cbirlab.base.text import printable
from cbirlab.tables.reading import Columns, for_reading

if TYPE_CHECKING:
    import pandas as pd

_ENTITY = re.compile(r"&(?=[#\w])")  # some browsers read &lt without its semicolon too
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


def to_markdown(frame: pd.DataFrame, columns: Columns = None) -> str:
    """A Markdown table for reading, see `for_reading`."""
    return to_text(for_reading(frame, columns))


def to_text(frame: pd.DataFrame) -> str:
    """All columns by their names, but the recipes, as aligned Markdown with four digits: for a terminal."""
    names, cells, numeric = _readable(frame)
    names = [_markdown(name) for name in names]
    cells = [[_markdown(cell) for cell in row] for row in cells]
    widths = [max(3, len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    rule = [("-" * (width - 1) + ":") if right else "-" * width for width, right in zip(widths, numeric, strict=True)]
    lines = [_aligned(names, widths, numeric), rule, *(_aligned(row, widths, numeric) for row in cells)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def to_latex(frame: pd.DataFrame, columns: Columns = None) -> str:
    """A LaTeX tabular (needs booktabs) for reading, see `for_reading`."""
    names, cells, numeric = _readable(for_reading(frame, columns))
    sides = "".join("r" if right else "l" for right in numeric)
    lines = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", _latex_row(names), r"\midrule"]
    lines += [_latex_row(row) for row in cells]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _readable(frame: pd.DataFrame) -> tuple[list[str], list[list[str]], list[bool]]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    shown = frame.drop(columns="recipe", errors="ignore")
    numeric = [is_numeric_dtype(one) and not is_bool_dtype(one) for one in shown.dtypes]
    rows = [[_text(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    return [str(name) for name in shown.columns], rows, numeric


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
