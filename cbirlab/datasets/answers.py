"""Answers: a file that says which images are right for which query, for places, overlapping sets and junk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cbirlab.base.notices import notify
from cbirlab.base.text import printable
from cbirlab.datasets.base import Box, Dataset, Query
from cbirlab.datasets.boxes import check_box
from cbirlab.datasets.columns import Columns
from cbirlab.datasets.finding import signs
from cbirlab.datasets.lists import read_list

PROTOCOL_LABELS = {
    "retrieval": ("positive", "junk"),
    "revisited": ("easy", "hard", "junk"),
    "classic": ("good", "ok", "junk"),
}
"""Labels that a file may use together, by the protocol that knows them; junk counts neither as right nor as wrong."""

_LABELS = tuple(dict.fromkeys(label for labels in PROTOCOL_LABELS.values() for label in labels))
_FIELDS = ("query", "path", "label")
_SHOWN = 3


@dataclass(frozen=True)
class _Answer:
    where: str
    query: str
    box: Box | None
    path: str
    label: str


def answered(dataset: Dataset, file: str | Path, *, root: Path) -> Dataset:
    """The dataset with the queries and right answers of a file, in place of its own.

    A CSV file has a line for each answer: ``query``, ``path`` and, if wanted, ``label`` (positive, or easy, hard, or
    good, ok; junk) and the query's box ``x0,y0,x1,y1``. A query whose line has no path has no right answer. A JSON file
    has the same as ``{"q.jpg": ["a.jpg"], "r.jpg": {"positive": ["b.jpg"], "junk": ["c.jpg"]}}``. The labels decide the
    protocol. Queries that the file does not name are not asked.

    Parameters
    ----------
    file : ``.csv``, ``.tsv``, ``.txt`` or ``.json``.
    root : folder that the names are relative to; the name of the image alone is enough if only one image has it.

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : another form (the message names file and line); names of images that the dataset does not have, unknown
        labels, labels that belong to different protocols, an image with two labels for one query.
    """
    file = Path(file).expanduser()
    answers = list(_of_json(file) if file.suffix.lower() == ".json" else _of_list(file))
    if not answers:
        raise ValueError(f"{printable(file)}: must name at least one query, got none.")
    protocol, labels = _protocol(file, answers)
    images, asked = Names(dataset.images, root), Names([query.path for query in dataset.queries], root)
    queries: dict[tuple[Path, Box | None], Query] = {}
    judged: dict[Query, dict[int, _Answer]] = defaultdict(dict)
    unknown: list[str] = []
    for answer in answers:
        query = _query(answer, dataset, asked, images)
        row = images.find(answer.path) if answer.path else None
        if query is None or (answer.path and row is None):
            unknown.append(f"{answer.where}: {printable(answer.query if query is None else answer.path)!r}")
            continue
        query = queries.setdefault((query.path, query.box), query)
        known = judged[query]
        if row is not None and known.setdefault(row, answer).label != answer.label:
            raise ValueError(
                f"{answer.where}: {answer.path!r} is {answer.label} for {answer.query!r}, and {known[row].label} in "
                f"{known[row].where}; an image has one label for a query."
            )
    if unknown:
        shown = "; ".join(unknown[:_SHOWN]) + ("; ..." if len(unknown) > _SHOWN else "")
        raise ValueError(
            f"{printable(file)}: {len(unknown)} names match no image of {dataset.name!r}, or several: {shown}. Write "
            f"paths relative to {printable(root)}."
        )
    for (path, box), query in queries.items():
        if box is not None and query not in dataset.queries:
            check_box(
                next(answer.where for answer in judged[query].values()) if judged[query] else str(file), path, box
            )
    made = replace(
        dataset,
        queries=tuple(judged),
        labels=tuple(_rows(query, known, protocol, labels) for query, known in judged.items()),
        protocol=protocol,
    )
    if not any(rows for known in made.labels for label, rows in known.items() if label != "junk"):
        notify(f"{printable(file)}: No query has a right answer. There are rankings, but no metrics.")
    return made


def _rows(
    query: Query, known: Mapping[int, _Answer], protocol: str, labels: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Rows by label; the query's own image counts only if the protocol keeps it."""
    counted = {row: answer.label for row, answer in known.items() if row != query.index or protocol == "classic"}
    return {label: tuple(sorted(row for row, one in counted.items() if one == label)) for label in labels}


def _query(answer: _Answer, dataset: Dataset, asked: Names, images: Names) -> Query | None:
    """The query that an answer names, or a database image that becomes one."""
    places = asked.find_all(answer.query)
    same = [query for query in map(dataset.queries.__getitem__, places) if answer.box in (None, query.box)]
    if len(same) == 1:
        return same[0]
    if len(same) > 1:
        boxes = ", ".join(str(query.box) for query in same[:_SHOWN])
        raise ValueError(
            f"{answer.where}: {len(same)} queries use {printable(answer.query)!r}; say which one by the columns x0, "
            f"y0, x1, y1 (boxes: {boxes})."
        )
    row = images.find(answer.query)
    if row is not None:
        return Query(dataset.images[row], answer.box, row)
    return replace(dataset.queries[places[0]], box=answer.box) if places else None


class Names:
    """Finds images by their names: the whole path, the path below the root, or the name alone if there is one."""

    def __init__(self, paths: Sequence[Path], root: Path) -> None:
        self._root = root
        self._exact: dict[Path, list[int]] = defaultdict(list)
        self._alike: dict[str, list[int]] = defaultdict(list)
        self._alone: dict[str, list[int]] = defaultdict(list)
        for row, path in enumerate(paths):
            inner = path.relative_to(root) if path.is_relative_to(root) else path
            self._exact[path].append(row)
            self._alike[signs(inner.as_posix())].append(row)
            self._alone[signs(path.name)].append(row)
        self._paths = paths

    def find_all(self, name: str) -> list[int]:
        """Rows of the one path that a name stands for; several if the path is listed several times."""
        written = name.replace("\\", "/")
        for found in (
            self._exact.get(self._root / name),
            self._exact.get(Path(name)),
            self._alike.get(signs(Path(written).as_posix())),
            self._alone.get(signs(written)) if "/" not in written else None,
        ):
            if found and len({self._paths[row] for row in found}) == 1:
                return found
        return []

    def find(self, name: str) -> int | None:
        """The row of a path that is listed once."""
        rows = self.find_all(name)
        return rows[0] if rows else None


def _protocol(file: Path, answers: Sequence[_Answer]) -> tuple[str, tuple[str, ...]]:
    used = {answer.label for answer in answers if answer.path}
    for protocol, labels in PROTOCOL_LABELS.items():
        if used <= {*labels}:
            return protocol, labels
    raise ValueError(
        f"{printable(file)}: labels must belong to one protocol ("
        + "; ".join(", ".join(labels) for labels in PROTOCOL_LABELS.values())
        + f"), got {', '.join(sorted(used))}."
    )


def _of_list(file: Path) -> Iterator[_Answer]:
    sheet = read_list(file)
    columns = Columns(sheet, _FIELDS)
    columns.warn_of_others()
    lacking = [field for field in ("query", "path") if field not in columns]
    if lacking:
        raise ValueError(
            f"{printable(file)}: must have the columns query and path, and may have label, got {list(sheet.header)}."
        )
    for line, row in sheet.rows:
        where = sheet.at(line)
        query, path = (columns.cell(row, field).strip() for field in ("query", "path"))
        if not query:
            raise ValueError(f"{where}: the query is empty.")
        yield _Answer(where, query, columns.box(line, row), path, _label(where, columns.cell(row, "label")))


def _label(where: str, written: str) -> str:
    label = written.strip().casefold() or "positive"
    if label not in _LABELS:
        raise ValueError(f"{where}: label must be one of {', '.join(_LABELS)}, got {printable(written)!r}.")
    return label


def _of_json(file: Path) -> Iterator[_Answer]:
    where = printable(file)
    form = 'must be a JSON object such as {"q.jpg": ["a.jpg"], "r.jpg": {"positive": ["b.jpg"], "junk": ["c.jpg"]}}'
    try:
        given: Any = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {form} ({error}).") from error
    if not isinstance(given, dict):
        raise ValueError(f"{where}: {form}, got {type(given).__name__}.")
    for query, known in given.items():
        at = f"{where}, query {printable(query)!r}"
        groups = {"positive": known} if isinstance(known, list) else known
        if not isinstance(groups, dict) or not all(
            isinstance(paths, list) and all(isinstance(path, str) for path in paths) for paths in groups.values()
        ):
            raise ValueError(f"{at}: {form}.")
        answers = [
            _Answer(at, query, None, path, _label(at, label)) for label, paths in groups.items() for path in paths
        ]
        yield from answers or [_Answer(at, query, None, "", "positive")]
