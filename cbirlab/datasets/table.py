"""Own images by a CSV file: one line per image, with what it shows and what it is used for."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cbirlab.datasets.base import Box, Dataset, Query
from cbirlab.datasets.files import inside, not_there

ROLES = ("both", "database", "query", "train")
"""What an image is: in the database and a query, only in the database, only a query, or learned on."""

_BOX = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class _Line:
    path: Path
    instance: str
    role: str
    box: Box | None


def table(
    file: str | Path, *, root: str | Path | None = None, name: str | None = None, image_size: int = 1024
) -> Dataset:
    """A CSV file with the columns ``path`` and ``instance``, and if wanted ``role`` and the box ``x0,y0,x1,y1``.

    Right answers to a query are the database images of its instance, without itself. Without a role an image is in the
    database and a query; without an instance it is a distractor, or a query without ground truth.

    Parameters
    ----------
    file : encoded as UTF-8, with a header.
    root : folder that the paths are relative to; by default that of the file. Paths cannot lead out of it.
    name : as in tables; the file's own name by default.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : no such file, or images that it names are missing.
    ValueError : columns are missing, a role, box or path that cannot be, an image listed twice, no image.
    """
    file = Path(file).expanduser()
    lines = _lines(file, file.parent if root is None else Path(root).expanduser())
    database = [line for line in lines if line.role in ("both", "database")]
    asked = [line for line in lines if line.role in ("both", "query")]
    train = [line for line in lines if line.role == "train"]
    if not database:
        raise ValueError(f"{file}: at least one image must have the role database or both.")
    name = name or file.stem
    rows = {line.path: row for row, line in enumerate(database)}
    members: dict[str, list[int]] = defaultdict(list)
    for row, line in enumerate(database):
        members[line.instance].append(row)
    labelled = any(line.instance for line in asked)
    return Dataset(
        name=name,
        images=tuple(rows),
        queries=tuple(Query(line.path, line.box, rows.get(line.path)) for line in asked),
        labels=tuple(_labels(line, members, rows) for line in asked) if labelled else (),
        protocol="retrieval",
        train=tuple(line.path for line in train),
        train_name=f"{name}/train" if train else "",
        train_instances=tuple(line.instance for line in train),
        image_size=image_size,
        instances=tuple(line.instance for line in database) if any(line.instance for line in database) else (),
    )


def _labels(line: _Line, members: Mapping[str, list[int]], rows: Mapping[Path, int]) -> dict[str, tuple[int, ...]]:
    same = members.get(line.instance, []) if line.instance else []
    return {"positive": tuple(row for row in same if row != rows.get(line.path))}


def _lines(file: Path, root: Path) -> list[_Line]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            if not {"path", "instance"} <= {*(reader.fieldnames or ())}:
                raise ValueError(f"{file}: must have the columns path and instance, got {reader.fieldnames}.")
            lines = [_line(f"{file}, line {reader.line_num}", row, root) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file}: cannot be read as CSV in UTF-8 ({error}).") from error
    twice = len(lines) - len({line.path for line in lines})
    if twice:
        raise ValueError(f"{file}: {twice} images are listed more than once; list each once, with the role both.")
    lacking = not_there([line.path for line in lines])
    if lacking:
        raise FileNotFoundError(
            f"{file}: {len(lacking)} of {len(lines)} images are missing, the first is {lacking[0]}."
        )
    return lines


def _line(where: str, row: Mapping[str, str | None], root: Path) -> _Line:
    path, role = (row["path"] or "").strip(), (row.get("role") or "both").strip()
    if role not in ROLES:
        raise ValueError(f"{where}: role must be one of {', '.join(ROLES)}, got {role!r}.")
    edges = [(row.get(edge) or "").strip() for edge in _BOX]
    return _Line(inside(root, path), (row["instance"] or "").strip(), role, _box(where, edges) if any(edges) else None)


def _box(where: str, edges: list[str]) -> Box:
    try:
        x0, y0, x1, y1 = (float(edge) for edge in edges)
    except ValueError:
        raise ValueError(f"{where}: the box must be four numbers x0, y0, x1, y1, got {edges}.") from None
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"{where}: the box must have x0 < x1 and y0 < y1, got {edges}.")
    return x0, y0, x1, y1
