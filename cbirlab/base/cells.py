"""Cells: texts written as spreadsheet cells that are never taken for formulas, and cells read back.

An apostrophe in front marks a text that a spreadsheet would calculate or read as a number, or that has characters which
a file cannot hold; people mark texts the same way in spreadsheets. A marked text has such characters escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cbirlab.base.text import escape, printable, unescape

MARK = "'"
MISSING = float("nan")
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII)
_TRUTH = {"True": True, "False": False}
_CALCULATED = re.compile(rf"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|{MARK}|\s*\n")


def cell(text: str, *, of_texts: bool = False) -> str:
    """The cell to write for a text; set `of_texts` if the column is known to hold nothing but texts."""
    doubtful = not of_texts and (not text or text in _TRUTH or _NUMBER.fullmatch(text))
    if doubtful or _CALCULATED.match(text) or printable(text, keep="\n") != text:
        return MARK + escape(text, keep="\n")
    return text


def text_of(written: str) -> str:
    """The text that `cell` was given."""
    return unescape(written.removeprefix(MARK)) if written.startswith(MARK) else written


def column(written: Iterable[Any], *, of_texts: bool = False) -> list[Any]:
    """The values of a column of cells: numbers or truth values if every cell reads as one, otherwise texts.

    An empty cell is an empty text in a column `of_texts`, else a missing value.
    """
    cells = ["" if value is None else value for value in written]
    if of_texts:
        return [text_of(str(value)) for value in cells]
    there = [value for value in cells if value != ""]
    read = next(read for holds, read in _READERS if all(map(holds, there)))
    return [MISSING if value == "" else read(value) for value in cells]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: bool(pattern.fullmatch(value)) if _is_text(value) else not isinstance(value, bool)


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (_is(_WHOLE), lambda value: int(value) if _is_text(value) else value),
    (_is(_NUMBER), lambda value: float(value) if _is_text(value) else value),
    (lambda value: isinstance(value, bool) or value in _TRUTH, lambda value: _TRUTH.get(value, value)),
    (lambda _: True, lambda value: text_of(value) if _is_text(value) else value),
)
