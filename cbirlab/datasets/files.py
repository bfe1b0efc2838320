"""Files of a data root: names in data files become paths that cannot lead out of it, and images are found by name."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cbirlab.datasets.catalogue import anywhere
from cbirlab.datasets.roots import hint
from cbirlab.datasets.walking import walk, warn_left_out

_MANY = 100_000  # from here on only a sample of the files is looked for; `check` looks for all of them
_SAMPLE = 200
_OUTSIDE = re.compile(r"^\s*$|^/|(^|/)\.\.(/|$)|[\\:\0]")


class MissingImages(FileNotFoundError):
    """Images of a benchmark are not there; `names` has all of them, the message the first."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


def inside(root: Path, name: str) -> Path:
    """The path below `root` that a data file names.

    Raises
    ------
    ValueError : empty, absolute, with a drive, a backslash or "..": a data file must not name what lies outside.
    """
    if _OUTSIDE.search(name):
        raise ValueError(f"A data file must name files below its own folder ({root}), got {name!r}.")
    return Path(f"{root}/{name}")


def image_files(root: Path, skip: Collection[str] = ()) -> Iterator[Path]:
    """Every image file below `root`, folder by folder in the order of names; no file is opened.

    Hidden files and folders are left out, and folders of the names in `skip`. Links to folders are followed as `walk`
    does; a link to a file is a file of its own, since a benchmark may name it.
    """
    found = walk(root, skip)
    warn_left_out(root, [one for one in found.left_out if one.cause == "link"])
    yield from sorted([*found.images, *found.repeated], key=lambda file: _place(file.relative_to(root).parts))


def _place(parts: Sequence[str]) -> list[tuple[bool, str]]:
    """A sorting key that puts the files of a folder before its sub-folders."""
    return [(place < len(parts) - 1, part) for place, part in enumerate(parts)]


def by_stem(places: Iterable[Path], skip: Collection[str] = ()) -> dict[str, Path]:
    """Image files by their name without suffix, however deep they lie; the first of each name counts."""
    found: dict[str, Path] = {}
    for place in places:
        for file in image_files(place, skip):
            found.setdefault(file.stem, file)
    return found


def first(root: Path, pattern: str) -> Path | None:
    """The first file or folder that matches, in `root` itself before its folders, and there before deeper ones."""
    return next((path for glob in anywhere(pattern) for path in sorted(root.glob(glob))), None)


def locate(name: str, wanted: Sequence[str], found: Mapping[str, Path], root: Path) -> list[Path]:
    """The file of each name.

    Raises
    ------
    MissingImages : some are not there.
    """
    lacking = [one for one in wanted if one not in found]
    if lacking:
        raise missing_images(name, lacking, len(wanted), root)
    return [found[one] for one in wanted]


def present(name: str, paths: Sequence[Path], root: Path) -> tuple[Path, ...]:
    """The paths, if they exist; if there are very many, only a sample is looked for.

    Raises
    ------
    MissingImages : as for `located`.
    """
    step = 1 if len(paths) <= _MANY else len(paths) // _SAMPLE
    looked = paths[::step]
    lacking = [path for path in looked if not path.is_file()] if step > 1 else not_there(paths)
    if lacking:
        raise missing_images(name, [str(path.relative_to(root)) for path in lacking], len(looked), root)
    return tuple(paths)


def not_there(paths: Sequence[Path]) -> list[Path]:
    """Paths without a file; every folder is listed once, which is faster than asking for each file."""
    listed: dict[Path, set[str]] = {}
    lacking = []
    for path in paths:
        folder = path.parent
        if folder not in listed:
            listed[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
        if path.name not in listed[folder]:
            lacking.append(path)
    return lacking


def missing_images(name: str, lacking: Sequence[str], of: int, root: Path) -> MissingImages:
    """The error that says how many images are not there and names the first."""
    shown = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
    message = f"{name}: {len(lacking):,} of {of:,} images are missing in {root}: {shown}. {hint(name, root)}"
    return MissingImages(message, lacking)
