"""Judgements: pairs of pictures that a person called the same or not the same, as plain data and in a small file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cbirlab.base.aside import written_aside
from cbirlab.base.text import printable
from cbirlab.datasets.answers import Names
from cbirlab.datasets.lists import read_list
from cbirlab.store import StoreUnwritable, digest

COLUMNS = ("picture", "other", "same")
YES, NO = "yes", "no"

_SHOWN = 3


class Judgement(NamedTuple):
    """What was said about two pictures, by their names: paths below the folder that all pictures lie in."""

    picture: str
    other: str
    same: bool


class Judged(NamedTuple):
    """Judgements by row numbers.

    Attributes
    ----------
    pairs : (P, 2) int64, the smaller row first; every pair once, in ascending order.
    same : (P,) bool.
    names : of all rows, for sentences.
    """

    pairs: np.ndarray
    same: np.ndarray
    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash of what was said, whatever the order in which it was said."""
        return digest({"pairs": self.pairs.tolist(), "same": self.same.tolist()})

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs are the same, how many are not, and how many pictures they name."""
        same = int(self.same.sum())
        return {"same": same, "not": len(self.same) - same, "pictures": len(np.unique(self.pairs))}

    def among(self, rows: np.ndarray) -> Judged:
        """The judgements of which both pictures are among some rows (m,), by their places in these."""
        places = {int(row): place for place, row in enumerate(rows)}
        kept = np.isin(self.pairs, rows).all(axis=1)
        pairs = np.array([places[row] for row in self.pairs[kept].ravel().tolist()], np.int64).reshape(-1, 2)
        return Judged(pairs, self.same[kept], tuple(self.names[row] for row in rows))


def root_of(paths: Sequence[Path]) -> Path:
    """The folder that all pictures lie in."""
    return Path(os.path.commonpath([path.parent for path in paths]))


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """The name of each picture in a file of judgements: its path below `root_of`."""
    root = root_of(paths)
    return tuple(path.relative_to(root).as_posix() for path in paths)


def read_judgements(file: str | Path) -> tuple[Judgement, ...]:
    """The judgements of a file, in its order; equal ones count once.

    It is a CSV file with the columns ``picture``, ``other`` and ``same``, which holds "yes" or "no".

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : other columns, an empty name, a picture beside itself, another word than yes or no; the message names
        file and line.
    """
    file = Path(file).expanduser()
    sheet = read_list(file, needs=", ".join(COLUMNS))
    if lacking := [name for name in COLUMNS if sheet.header.count(name) != 1]:
        raise ValueError(
            f"{printable(file)}: must have the columns {', '.join(COLUMNS)}, each once, got "
            f"{printable(', '.join(sheet.header))!r}; {', '.join(lacking)} is missing or there twice."
        )
    places = [sheet.header.index(name) for name in COLUMNS]
    found: dict[Judgement, None] = {}
    for line, row in sheet.rows:
        picture, other, said = (row[place] for place in places)
        said = said.strip().casefold()
        if not picture.strip() or not other.strip():
            raise ValueError(f"{sheet.at(line)}: picture and other must name a picture each, got an empty name.")
        if picture == other:
            raise ValueError(
                f"{sheet.at(line)}: picture and other must differ, got {printable(picture)!r} beside itself; remove "
                "the line."
            )
        if said not in (YES, NO):
            raise ValueError(f"{sheet.at(line)}: same must be {YES} or {NO}, got {printable(said)!r}.")
        found[Judgement(picture, other, said == YES)] = None
    return tuple(found)


def write_judgements(file: str | Path, judgements: Iterable[Judgement]) -> Path:
    """Write judgements, as `read_judgements` takes them: aside first, so that no file is ever half written.

    Raises
    ------
    StoreUnwritable : no such folder, no space, or no permission; nothing is left behind.
    """
    file = Path(file).expanduser()
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([one.picture, one.other, YES if one.same else NO] for one in judgements)
    try:
        with written_aside(file) as aside:
            aside.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise StoreUnwritable(
            f"{printable(file)}: cannot be written ({error.strerror or error}); name a file in a folder that is there "
            "and writable."
        ) from error
    return file


def judged_among(judgements: Iterable[Judgement], paths: Sequence[Path], *, said_in: str = "judgements") -> Judged:
    """Judgements by the rows of some pictures.

    Parameters
    ----------
    paths : (n,) files. A name may be a whole path, the path below the folder of all of them, or that of the file alone
        if only one picture has it.
    said_in : what messages begin with, such as the file.

    Raises
    ------
    ValueError : names of none of the pictures, or of several; a picture beside itself; a pair that is called both the
        same and not the same.
    """
    known, names = Names(paths, root_of(paths)), names_of(paths)
    said: dict[tuple[int, int], bool] = {}
    unknown: dict[str, None] = {}
    for judgement in judgements:
        rows = [known.find(name) for name in (judgement.picture, judgement.other)]
        unknown |= dict.fromkeys(
            name for name, row in zip((judgement.picture, judgement.other), rows, strict=True) if row is None
        )
        one, other = sorted(-1 if row is None else row for row in rows)
        if one < 0:
            continue
        if one == other:
            raise ValueError(
                f"{said_in}: two pictures of a judgement must differ, got {printable(names[one])!r} beside itself; "
                "remove the line."
            )
        if said.setdefault((one, other), judgement.same) != judgement.same:
            raise ValueError(
                f"{said_in}: {printable(names[one])!r} and {printable(names[other])!r} are called both the same and "
                "not the same; remove one of the two lines."
            )
    if unknown:
        shown = ", ".join(repr(printable(name)) for name in [*unknown][:_SHOWN])
        raise ValueError(
            f"{said_in}: {len(unknown)} names are those of no picture that is learned on, or of several: {shown}"
            f"{', ...' if len(unknown) > _SHOWN else ''}; judge those that are, or name by `on` where these are. Paths "
            f"are relative to {printable(root_of(paths))}."
        )
    pairs = sorted(said)
    same = np.array([said[pair] for pair in pairs], bool)
    return Judged(np.array(pairs, np.int64).reshape(-1, 2), same, names)
