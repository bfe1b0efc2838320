"""Checking a local copy: what is there, what is missing, and what differs from the published files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cbirlab.base.downloads import digest_of
from cbirlab.base.progress import bar
from cbirlab.base.text import printable
from cbirlab.datasets.base import Dataset
from cbirlab.datasets.catalogue import DATASETS, About, about
from cbirlab.datasets.files import inside, not_there
from cbirlab.datasets.roots import missing, root_of
from cbirlab.images import ImageError, read, size

SUMS = "SHA256SUMS"
SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """The result of looking at one thing.

    Attributes
    ----------
    ok : it is as it should be.
    what, found : in words.
    details : every single file with a fault.
    files : path and reason of each file that cannot be used.
    """

    ok: bool
    what: str
    found: str
    details: tuple[str, ...] = ()
    files: tuple[tuple[Path, str], ...] = ()

    def lines(self, most: int | None = SHOWN) -> list[str]:
        """What was found, and a line for each of the first details (None: all of them)."""
        shown = [f"  {one}" for one in self.details[:most]]
        more = ["  ..."] if len(shown) < len(self.details) else []
        return [f"{'ok     ' if self.ok else 'PROBLEM'} {self.what}: {self.found}", *shown, *more]


@dataclass(frozen=True)
class Report:
    """What a check found, in the order in which it looked.

    Attributes
    ----------
    name : of the dataset, or its path.
    folder : the folder of a benchmark; None if the name says it.
    findings : one by one.
    left_out : path and reason of each file that is not used or cannot be.
    """

    name: str
    folder: Path | None
    findings: tuple[Finding, ...]
    left_out: tuple[tuple[Path, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong or missing."""
        return all(finding.ok for finding in self.findings)

    def text(self, most: int | None = SHOWN) -> str:
        """All findings, each with its first details (None: all of them)."""
        lines = (line for finding in self.findings for line in finding.lines(most))
        where = self.name if self.folder is None else f"{self.name} in {self.folder}"
        return "\n  ".join([where, *lines])


def check(name: str, root: str | Path | None = None, *, images: str = "headers", progress: bool = True) -> Report:
    """Look at a local copy of a benchmark: layout, ground truth, counts, checksums and images.

    It compares checksums from ``SHA256SUMS``, if the folder has one, and those of published ground-truth files.

    Parameters
    ----------
    root : as for the loaders.
    images : "headers" opens every image, "pixels" also decodes it, "none" only checks that it is there.

    Raises
    ------
    UnknownName : no dataset of that name.
    ValueError : one that has no copy to check, or an unknown way to look at images.
    """
    facts = about(name)
    if facts is None:
        raise ValueError(f"{name}: only published benchmarks can be checked against what was published.")
    check_closeness("check", images)
    folder = root_of(name, root)
    findings = list(_layout(name, facts, root))
    findings += _contents(name, facts, root, images, progress)
    findings += _checksums(folder, facts, progress) if folder.is_dir() else []
    return Report(name, folder, tuple(findings), tuple(file for finding in findings for file in finding.files))


def check_closeness(owner: str, images: str) -> None:
    """Refuse an unknown way to look at images."""
    if images not in ("headers", "pixels", "none"):
        raise ValueError(f"{owner}: images must be headers, pixels or none, got {images!r}.")


def _layout(name: str, facts: About, root: str | Path | None) -> Iterator[Finding]:
    lacking = missing(name, facts, root)
    for need in facts.needs:
        if need in lacking:
            yield Finding(False, need.what, f"missing; looked for {need.where}")
        else:
            yield Finding(True, need.what, "there")


def _contents(name: str, facts: About, root: str | Path | None, images: str, progress: bool) -> Iterator[Finding]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = DATASETS[name](root=root)
    except (OSError, ValueError) as error:
        yield Finding(False, "reading it", str(error), getattr(error, "names", ()))
        return
    yield _count("images", len(dataset.images), facts.images)
    yield _count("queries", len(dataset.queries), facts.queries)
    yield _complete(dataset)
    if images != "none":
        yield readable(dataset, decode=images == "pixels", progress=progress)


def _count(what: str, there: int, published: int | None) -> Finding:
    expected = f" of {published:,}" if published is not None else ""
    return Finding(published is None or there == published, f"number of {what}", f"{there:,}{expected}")


def _paths(dataset: Dataset) -> list[Path]:
    return list(dict.fromkeys([*dataset.images, *(query.path for query in dataset.queries), *dataset.train]))


def _complete(dataset: Dataset) -> Finding:
    paths = _paths(dataset)
    lacking = tuple(str(path) for path in not_there(paths))
    found = f"{len(lacking):,} of {len(paths):,} missing" if lacking else f"{len(paths):,} there"
    return Finding(not lacking, "image files", found, lacking)


def readable(dataset: Dataset, *, decode: bool, progress: bool) -> Finding:
    """Every image opened, and every query's box compared with its image."""
    paths, boxes = _paths(dataset), {query.path: query.box for query in dataset.queries if query.box}
    problems: list[tuple[Path, str]] = []
    for path in bar(paths, desc="opening images", unit="image", show=progress):
        try:
            height, width = read(path).size[::-1] if decode else size(path)
        except ImageError as error:
            problems.append((path, str(error)))
            continue
        box = boxes.get(path)
        if box is not None and (box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0):
            problems.append((path, f"{path}: the box {box} lies outside its {width} x {height} pixels."))
    if problems:
        reasons = tuple(printable(reason) for _, reason in problems)
        return Finding(False, "opening images", f"{len(problems):,} problems", reasons, tuple(problems))
    return Finding(True, "opening images", f"{len(paths):,} {'decoded' if decode else 'opened'}")


def _checksums(folder: Path, facts: About, progress: bool) -> Iterator[Finding]:
    published = dict(facts.checksums)
    for name, wanted in published.items():
        for file in sorted({*folder.glob(name), *folder.glob(f"*/{name}")}):
            same = digest_of(file, "sha256") == wanted
            yield Finding(same, file.name, "the published file" if same else "differs from the published file")
    sums = folder / SUMS
    if not sums.is_file():
        return
    try:
        wrong, number = _differing(folder, sums, progress)
    except ValueError as error:
        yield Finding(False, SUMS, str(error))
        return
    found = f"{len(wrong):,} of {number:,} files differ" if wrong else f"{number:,} files are as listed"
    yield Finding(not wrong, SUMS, found, tuple(wrong))


def _differing(folder: Path, sums: Path, progress: bool) -> tuple[list[str], int]:
    lines = [line.split(maxsplit=1) for line in sums.read_text(encoding="utf-8").splitlines() if line.strip()]
    if any(len(line) != 2 for line in lines):
        raise ValueError(f"{sums}: each line must hold a sha256 and a file.")
    wrong = []
    for wanted, name in bar(lines, desc="checksums", unit="file", show=progress):
        file = inside(folder, name.strip().removeprefix("*"))
        if not file.is_file() or digest_of(file, "sha256") != wanted:
            wrong.append(name)
    return wrong, len(lines)
