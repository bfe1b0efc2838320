"""Lists in text files: how their columns are separated and their text is encoded, and on which line an error is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cbirlab.base.text import printable

LIST_SUFFIXES = (".csv", ".tsv", ".txt")
_SEPARATORS = (",", ";", "\t")
_TOLD = re.compile(r"sep=(.)")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Sheet:
    """The header of a list, and its rows that are not empty, each with the number of its line.

    Attributes
    ----------
    header : names of the columns, without spaces around them.
    rows : (line, cells), as many cells as there are columns.
    decimal_comma : numbers may be written 0,5.
    other_bytes : some of its bytes are not UTF-8, as can happen with file names; they are kept (surrogateescape).
    separator : between columns; "" if it is no file.
    unit : what a row is called in messages.
    """

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    decimal_comma: bool = False
    other_bytes: bool = False
    separator: str = ""
    unit: str = "line"

    def at(self, line: int) -> str:
        """The place of an error, for messages."""
        return f"{printable(self.file)}, {self.unit} {line}"

    def mixed(self, text: str) -> str:
        """A question for messages, if a text holds another separator than the header's; else ""."""
        other = next((one for one in _SEPARATORS if self.separator and one != self.separator and one in text), "")
        return (
            f" Does it separate columns by {_shown(other)}, and the header by {_shown(self.separator)}?"
            if other
            else ""
        )


def _shown(separator: str) -> str:
    return "tabs" if separator == "\t" else repr(separator)


def read_list(file: Path, *, needs: str = "path and instance") -> Sheet:
    """A list with a header, separated by commas, semicolons or tabs.

    Parameters
    ----------
    needs : columns, in words, for the message about an empty file.

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : another encoding, no header, a row with more cells than the header, a quote that never ends.
    """
    text, other_bytes = _decoded(file, file.read_bytes())
    separator, skipped = ",", 0
    first = text.split("\n", 1)[0].strip()
    if told := _TOLD.fullmatch(first):  # the line that tells spreadsheets the separator
        separator, skipped = told[1], 1
        text = text.split("\n", 1)[1] if "\n" in text else ""
    else:
        separator = max(_SEPARATORS, key=first.count) if first else ","
    rows = _rows(file, text, separator, skipped)
    _, header = next(rows, (0, ()))
    if not header:
        raise ValueError(f"{printable(file)}: must have the columns {needs}, got an empty file.")
    header = tuple(name.strip() for name in header)
    return Sheet(file, header, tuple(_whole(file, header, rows)), separator != ",", other_bytes, separator)


def _decoded(file: Path, raw: bytes) -> tuple[str, bool]:
    if raw[:2] in _UTF16 or b"\0" in raw:
        what = "UTF-16, as spreadsheets write Unicode text" if raw[:2] in _UTF16 or raw[:2].count(0) == 1 else "no text"
        raise ValueError(
            f"{printable(file)}: cannot be read as CSV in UTF-8, it is {what}; save it as CSV with the encoding UTF-8."
        )
    try:
        return raw.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return raw.decode("utf-8-sig", "surrogateescape"), True


def _rows(file: Path, text: str, separator: str, skipped: int) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows that are not empty; errors of the reader name the line on which the row begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"{printable(file)}, line {line}: cannot be read as CSV ({error}).") from error
        if any(cell.strip() for cell in row):
            yield line, row


def _whole(
    file: Path, header: Sequence[str], rows: Iterator[tuple[int, Sequence[str]]]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    for line, row in rows:
        if any(cell.strip() for cell in row[len(header) :]):
            raise ValueError(
                f"{printable(file)}, line {line}: has {len(row)} cells, and the header {len(header)} columns; put a "
                'cell that holds the separator into quotes: "a, b.jpg".'
            )
        yield line, (*row[: len(header)], *[""] * (len(header) - len(row)))


def number(text: str, decimal_comma: bool = False) -> float:
    """A number as people write it.

    Raises
    ------
    ValueError : not a number, or not a finite one.
    """
    value = float(text.replace(",", ".") if decimal_comma else text)
    if value - value != 0:
        raise ValueError(f"{text!r} is not a finite number")
    return value
