"""Own images from a list in a file: one line per image, with what it shows and what it is used for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from cbirlab.base.notices import notify
from cbirlab.base.progress import bar
from cbirlab.base.text import printable
from cbirlab.datasets.answers import answered
from cbirlab.datasets.base import OWN, Box, Dataset, Query
from cbirlab.datasets.boxes import check_box
from cbirlab.datasets.columns import Columns
from cbirlab.datasets.files import MissingImages, inside
from cbirlab.datasets.finding import Finder
from cbirlab.datasets.folder import warn_of_labels
from cbirlab.datasets.lists import Sheet, read_list
from cbirlab.datasets.naming import counted, doubts, name_of, spelled
from cbirlab.datasets.splits import USED, part_of, roles

ROLES = ("both", "database", "query", "train")
"""How an image is used: in the database and as a query, only in the database, only as a query, or to learn on."""

_FIELDS = ("path", "instance", "role")
_SHOWN = 5
_NOT_UTF8 = "cannot be read as CSV in UTF-8, '{}' is in another encoding; save it as CSV with the encoding UTF-8."


@dataclass(frozen=True)
class _Line:
    number: int
    path: Path
    instance: str
    role: str  # a key of `USED`
    box: Box | None
    facts: Mapping[str, str]


def table(
    file: str | Path,
    *,
    root: str | Path | None = None,
    name: str | None = None,
    image_size: int = 1024,
    answers: str | Path | None = None,
    published: bool = False,
) -> Dataset:
    """A list with the columns ``path`` and ``instance``, and if wanted ``role`` and the box ``x0,y0,x1,y1`` of a query.

    Columns are separated by commas, semicolons or tabs. The right answers to a query are the other database images of
    its instance. Without a role an image is in the database and a query; without an instance it is a distractor, or a
    query without ground truth. An image may be a query several times, with different boxes: each takes a line with the
    role ``query``, in addition to the line that puts the image into the database.

    Columns may have other names that leave no doubt (``filename``, ``label``, ``xmin``, ``left`` with ``width``), and
    splits may stand for roles (``split`` with train, test, gallery); columns that are not used give a warning, and are
    kept in the metadata as facts about the images, for the colours of a map. Paths that another system wrote
    (``a\\0.jpg``, another case) are found where only one file can be meant.

    Parameters
    ----------
    file : ``.csv``, ``.tsv`` or ``.txt``, encoded as UTF-8, with a header.
    root : folder that the paths are relative to; by default that of the file.
    name : as in tables; by default that of the file, with its folder's in front if it says nothing, such as
        "groundtruth".
    image_size : long side in pixels.
    answers : a file with the right answers to each query, in place of the instances; see
        `cbirlab.datasets.answers.answered`.
    published : the file came with a dataset: its paths cannot lead out of `root`, and may have columns of its own.

    Raises
    ------
    FileNotFoundError : no such file, or images that it names are missing.
    ValueError : columns are missing or unclear, an invalid role, box or path, an image listed twice, no image; or a
        fault that `answered` finds.
    """
    file = Path(file).expanduser()
    root = file.parent if root is None else Path(root).expanduser()
    needed = ("path",) if answers is not None else ("path", "instance")
    made = of_sheet(read_list(file), root, name or name_of(file), image_size, needed, published=published)
    return made if answers is None else answered(made, answers, root=root)


def of_sheet(
    sheet: Sheet, root: Path, name: str, image_size: int, needed: Sequence[str], *, published: bool = False
) -> Dataset:
    """The dataset that the rows of a list make up, see `table`.

    Parameters
    ----------
    needed : the columns without which there is no dataset.
    """
    columns = Columns(sheet, _FIELDS)
    _check_columns(sheet, columns, needed)
    if not published:
        columns.warn_of_guesses()
        columns.warn_of_others("not used, except as colours of a map")
    lines = _located(sheet, _lines(sheet, columns), root, published)
    database = [line for line in lines if line.role in ("both", "database", "distractor")]
    asked = [line for line in lines if line.role in ("both", "query")]
    train = [line for line in lines if line.role == "train"]
    _check_lines(sheet, database, asked, train)
    rows = {line.path: row for row, line in enumerate(database)}
    members: dict[str, list[int]] = defaultdict(list)
    for row, line in enumerate(database):
        members[line.instance].append(row)
    labelled = any(line.instance for line in asked)
    dataset = Dataset(
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
        metadata=_facts(database, asked) | ({} if published else {OWN: True}),
    )
    if labelled and "instance" in needed:
        warn_of_labels(dataset, printable(sheet.file), "instance")
    return dataset


def _facts(database: Sequence[_Line], asked: Sequence[_Line]) -> dict[str, list[Mapping[str, str]]]:
    """What the columns without a meaning say of images and queries, in the form of Toytown's metadata."""
    parts = {"images": [line.facts for line in database], "queries": [line.facts for line in asked]}
    return parts if any(map(any, parts.values())) else {}


def _labels(line: _Line, members: Mapping[str, list[int]], rows: Mapping[Path, int]) -> dict[str, tuple[int, ...]]:
    same = members.get(line.instance, []) if line.instance else []
    return {"positive": tuple(row for row in same if row != rows.get(line.path))}


def _check_columns(sheet: Sheet, columns: Columns, needed: Sequence[str]) -> None:
    lacking = [field for field in needed if field not in columns]
    if not lacking:
        return
    near = [one for field in lacking for one in get_close_matches(field, sheet.header, n=1, cutoff=0.6)]
    hint = f" Did you mean {' and '.join(map(repr, near))}?" if near else ""
    if "instance" in lacking and any(name.casefold() == "id" for name in sheet.header):
        hint = " No value of 'id' occurs twice, so it does not say which images show the same."
    hint = next(filter(None, map(sheet.mixed, sheet.header)), "").replace("it separate", "the header separate") or hint
    if len(sheet.header) == 1 and not near[1:] and len(sheet.header[0].split()) > 1:
        hint = " Separate columns by commas, semicolons or tabs."
    if Path(sheet.header[0].replace("\\", "/")).suffix and len(sheet.header) < 3:
        hint = " Its first line names an image; write the names of the columns above it, such as path,instance."
    column = "column" if len(needed) == 1 else "columns"
    raise ValueError(
        f"{printable(sheet.file)}: must have the {column} {' and '.join(needed)}, got {list(sheet.header)}.{hint}"
    )


def _lines(sheet: Sheet, columns: Columns) -> list[tuple[_Line, str]]:
    """What each row says, with its path as it is written."""
    role_of = _roles(sheet, [(line, columns.cell(row, "role").strip()) for line, row in sheet.rows])
    spelling = spelled({columns.cell(row, "instance").strip() for _, row in sheet.rows})
    others = {name: place for name, place in columns.others.items() if name}
    lines = []
    for line, row in sheet.rows:
        written, role = columns.cell(row, "path"), role_of[columns.cell(row, "role").strip()]
        if not written.strip():
            raise ValueError(f"{sheet.at(line)}: the path is empty.")
        shown = columns.cell(row, "instance").strip()
        if any(0xDC80 <= ord(sign) <= 0xDCFF for sign in shown):
            raise ValueError(f"{sheet.at(line)}: {_NOT_UTF8.format(printable(shown))}")
        instance = "" if role == "distractor" else spelling[shown]
        facts = {name: row[place].strip() for name, place in others.items()}
        lines.append((_Line(line, Path(), instance, role, columns.box(line, row), facts), written))
    for doubt in doubts([line.instance for line, _ in lines], spelling):
        _say(sheet, f"{doubt}.")
    unused = [line.number for line, _ in lines if line.box and line.role not in ("both", "query")]
    if unused:
        lines_of_others = counted(len(unused), sheet.unit)
        _say(sheet, f"only queries use boxes; those on {lines_of_others} of other images are ignored ({_at(unused)}).")
    return [pair for pair in lines if pair[0].role]


def _roles(sheet: Sheet, cells: Sequence[tuple[int, str]]) -> dict[str, str]:
    """The role of each word in the column; words for splits are read like names of split folders, with a warning."""
    found: dict[str, str] = {}
    for line, word in cells:
        part = word.casefold() if word.casefold() in ("", *ROLES) else part_of(word)
        if part is None:
            raise ValueError(f"{sheet.at(line)}: role must be one of {', '.join(ROLES)}, got {word!r}.")
        found[word] = part
    if all(part in ("", *ROLES) for part in found.values()):
        return {word: part or "both" for word, part in found.items()}
    parts = {word: {"database": "gallery", "both": "test", "": "test"}.get(part, part) for word, part in found.items()}
    role_of = roles({*parts.values()})
    made = {word: "both" if found[word] in ("", "both") else role_of[part] for word, part in parts.items()}
    counts = Counter(word for _, word in cells)
    told = ", ".join(
        f"{word or 'no word'} is {USED[made[word]]} ({counted(counts[word], sheet.unit)})" for word in found
    )
    _say(
        sheet,
        f"names of splits set the roles: {told}. To set other roles, fill the column role with {', '.join(ROLES)}.",
    )
    return made


def _located(sheet: Sheet, lines: Sequence[tuple[_Line, str]], root: Path, published: bool) -> list[_Line]:
    finder, found, lacking, otherwise = Finder(root), [], [], []
    for line, written in lines:
        name = written.strip()
        if published:
            name = _confined(sheet, line, root, name)
        path = finder.exact(name) or finder.exact(written)
        if path is None and (path := finder.alike(name)) is not None:
            otherwise.append((line, name))
        if path is None:
            lacking.append((line, name))
        else:
            found.append(replace(line, path=path))
    if lacking:
        raise _missing(sheet, lacking, len(lines))
    if otherwise:
        first, name = otherwise[0]
        many, shown = counted(len(otherwise), "path"), f"'{printable(name)}' in {sheet.unit} {first.number}"
        _say(sheet, f"{many} spelled as on another system; the file that matches is used, as for {shown}.")
    return found


def _confined(sheet: Sheet, line: _Line, root: Path, name: str) -> str:
    try:
        inside(root, name)
    except ValueError as error:
        raise ValueError(f"{sheet.at(line.number)}: {error}") from None
    return name


def _missing(sheet: Sheet, lacking: Sequence[tuple[_Line, str]], total: int) -> Exception:
    line, name = lacking[0]
    if sheet.other_bytes and any(0xDC80 <= ord(sign) <= 0xDCFF for sign in name):
        return ValueError(f"{sheet.at(line.number)}: no file has this name. {_NOT_UTF8.format(printable(name))}")
    others = f", then {sheet.unit} {_at([one.number for one, _ in lacking[1:]])}" if len(lacking) > 1 else ""
    return MissingImages(
        f"{printable(sheet.file)}: {len(lacking)} of {total} images are missing, the first is {sheet.unit} "
        f"{line.number}, {printable(name)}{others}.{sheet.mixed(name)}",
        [f"{sheet.unit} {one.number}: {printable(name)}" for one, name in lacking],
    )


def _check_lines(sheet: Sheet, database: Sequence[_Line], asked: Sequence[_Line], train: Sequence[_Line]) -> None:
    """Refuse an image in two places at once, a query asked twice, and boxes that leave nothing to see."""
    if not database:
        raise ValueError(f"{printable(sheet.file)}: at least one image must have the role database or both.")
    _refuse_twice(sheet, [*database, *train], lambda line: line.path)
    _refuse_twice(sheet, asked, lambda line: (line.path, line.box))
    _refuse_twice(sheet, [*{line.path: line for line in asked}.values(), *train], lambda line: line.path)
    boxed, beyond = [line for line in asked if line.box], []
    for line in bar(boxed, desc="boxes of queries", unit="query"):
        if check_box(sheet.at(line.number), line.path, line.box):
            beyond.append(line.number)
    if beyond:
        reach = f"{counted(len(beyond), sheet.unit)} ({_at(beyond)})"
        _say(sheet, f"the box of {reach} reaches far beyond its picture; was it drawn on a larger version?")


def _refuse_twice(sheet: Sheet, lines: Sequence[_Line], what: Callable[[_Line], object]) -> None:
    met: dict[object, list[int]] = defaultdict(list)
    for line in lines:
        met[what(line)].append(line.number)
    twice = [numbers for numbers in met.values() if len(numbers) > 1]
    if twice:
        raise ValueError(
            f"{printable(sheet.file)}: {len(twice)} images are listed more than once, the first on "
            f"{sheet.unit}s {_at(twice[0])}; list each once, with the role both, or as several queries with "
            "different boxes."
        )


def _say(sheet: Sheet, what: str) -> None:
    notify(f"{printable(sheet.file)}: {what}")


def _at(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
