"""Google Landmarks Dataset v2: retrieval among the index images, recognition by the train images."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import present
from cbirlab.datasets.roots import absent, root_of

IGNORED = "None"
USAGES = ("private", "public", "all")
_ID = re.compile(r"[0-9a-f]{16}")


def gldv2(root: str | Path | None = None, *, usage: str = "private", image_size: int = 1024) -> Dataset:
    """Retrieval: the test images of ``retrieval_solution_v2.1.csv`` ask for index images; mAP@100.

    Queries that the solution ignores ("None") are left out.

    Parameters
    ----------
    root : folder with ``index``, ``test`` and the tables, there or in a folder of their own.
    usage : "private" (the test part, which papers report), "public" (the validation part) or "all".
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : tables or images are missing (only a sample of the index is looked for; `check` looks for all).
    ValueError : a table in another form, or one that names images that are not in the index.
    """
    folder = root_of("gldv2", root)
    ids = [one for (one,) in _rows("gldv2", folder, "index.csv", "id")]
    rows = {one: row for row, one in enumerate(ids)}
    asked, labels = [], []
    for query, answers in _solution("gldv2", folder, "retrieval_solution_v2.1.csv", "images", usage):
        if answers == IGNORED:
            continue
        unknown = [one for one in answers.split() if one not in rows]
        if unknown:
            raise ValueError(f"gldv2: query {query} has {unknown[0]!r} as a right answer, which is not in index.csv.")
        asked.append(query)
        labels.append({"positive": tuple(rows[one] for one in answers.split())})
    return Dataset(
        name="gldv2",
        images=present("gldv2", image_paths(folder / "index", ids), folder),
        queries=tuple(Query(path) for path in present("gldv2", image_paths(folder / "test", asked), folder)),
        labels=tuple(labels),
        protocol="gldv2",
        image_size=image_size,
    )


def gldv2_recognition(
    root: str | Path | None = None, *, usage: str = "private", clean: bool = False, image_size: int = 1024
) -> Dataset:
    """Recognition: the landmark of the most similar train image is the answer to a test image; micro-AP.

    Test images without a landmark are distractors: they stay, without a right answer. The paths of all four million
    train images take about 1.5 GB of memory.

    Parameters
    ----------
    root : folder with ``train``, ``test`` and the tables.
    usage : as for `gldv2`.
    clean : search the images of ``train_clean.csv`` only. A landmark that is not among them makes its queries
        distractors, so that numbers are not those of the published protocol.
    image_size : long side in pixels.

    Raises
    ------
    As `gldv2` does.
    """
    name = "gldv2_recognition"
    folder = root_of(name, root)
    ids, landmarks = _train(name, folder, clean)
    members: dict[str, list[int]] = defaultdict(list)
    for row, landmark in enumerate(landmarks):
        members[landmark].append(row)
    solution = list(_solution(name, folder, "recognition_solution_v2.1.csv", "landmarks", usage))
    asked = [query for query, _ in solution]
    return Dataset(
        name=name,
        images=present(name, image_paths(folder / "train", ids), folder),
        queries=tuple(Query(path) for path in present(name, image_paths(folder / "test", asked), folder)),
        labels=tuple(
            {"positive": tuple(row for landmark in shown.split() for row in members.get(landmark, ()))}
            for _, shown in solution
        ),
        protocol=name,
        image_size=image_size,
        instances=tuple(landmarks),
    )


def image_paths(folder: Path, ids: list[str]) -> list[Path]:
    """Paths ``a/b/c/abc....jpg`` of images by their id.

    Raises
    ------
    ValueError : an id that is not 16 hexadecimal digits.
    """
    wrong = next((one for one in ids if not _ID.fullmatch(one)), None)
    if wrong is not None:
        raise ValueError(f"{folder}: the id of an image must be 16 hexadecimal digits, got {wrong!r}.")
    return [Path(f"{folder}/{one[0]}/{one[1]}/{one[2]}/{one}.jpg") for one in ids]


def _train(name: str, folder: Path, clean: bool) -> tuple[list[str], list[str]]:
    if clean:
        rows = _rows(name, folder, "train_clean.csv", "images", "landmark_id")
        pairs = [(one, landmark) for images, landmark in rows for one in images.split()]
    else:
        pairs = [(one, landmark) for one, landmark in _rows(name, folder, "train.csv", "id", "landmark_id")]
    return [one for one, _ in pairs], [landmark for _, landmark in pairs]


def _solution(name: str, folder: Path, file: str, column: str, usage: str) -> Iterator[tuple[str, str]]:
    if usage not in USAGES:
        raise ValueError(f"{name}: usage must be one of {', '.join(USAGES)}, got {usage!r}.")
    for query, answers, used in _rows(name, folder, file, "id", column, "Usage"):
        if usage in ("all", used.lower()):
            yield query, answers


def _rows(name: str, folder: Path, file: str, *columns: str) -> Iterator[list[str]]:
    """The given columns of a table, line by line: the train table has four million."""
    path = next((path for path in (folder / file, *sorted(folder.glob(f"*/{file}"))) if path.is_file()), None)
    if path is None:
        raise absent(name, f"{file} was", folder)
    with path.open(encoding="utf-8", newline="") as text:
        reader = csv.reader(text)
        header = next(reader, [])
        if not {*columns} <= {*header}:
            raise ValueError(f"{path}: must have the columns {', '.join(columns)}, got {', '.join(header) or 'none'}.")
        places = [header.index(column) for column in columns]
        for row in reader:
            if len(row) != len(header):
                raise ValueError(f"{path}, line {reader.line_num}: must have {len(header)} columns, got {len(row)}.")
            yield [row[place] for place in places]
