"""One walk of a folder: it follows links, visits nothing twice, and records what it leaves out and why."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cbirlab.base.notices import notify
from cbirlab.base.text import printable
from cbirlab.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES

SHOWN = 5
"""Files that a warning names; `cbirlab data check` names all."""

_SYSTEM = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "__macosx", "thumbs.db", "lost+found", "$recycle.bin"),
        "system volume information",
    }
)
"""Names that systems and servers put among people's files, in lower case."""


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not part of the dataset.

    Attributes
    ----------
    path : as the walk came to it.
    cause : "link", "ending", "header", "closed", "split" or "special".
    reason : one sentence.
    """

    path: Path
    cause: str
    reason: str


class FilesLeftOut(UserWarning):
    """A warning that says how many files are left out and why; `files` has each of them."""

    def __init__(self, message: str, files: Sequence[LeftOut]) -> None:
        super().__init__(message)
        self.files = tuple(files)


@dataclass
class Walk:
    """What lies below a folder.

    Attributes
    ----------
    images : files whose ending is that of a picture, in no order.
    repeated : those of them that link to a file which the walk also finds under its own name.
    left_out : everything else that looks like a picture or a folder of pictures.
    """

    root: Path
    images: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def walk(root: Path, skip: Collection[str] = ()) -> Walk:
    """Every picture below `root` by its ending; no file is opened.

    What lies in the folder itself comes before what only links lead to, so that a picture keeps its own place whatever
    links are called. A link to something that the walk has visited, or to a folder around `root`, is left out. So are
    hidden files and folders, those of the system, and folders of the names in `skip`.

    Raises
    ------
    OSError : `root` cannot be listed.
    """
    return _Walker(root, skip).walked()


class _Walker:
    def __init__(self, root: Path, skip: Collection[str]) -> None:
        self._found, self._skip = Walk(root), skip
        self._root = os.path.realpath(root)
        self._met: set[str] = set()  # folders, by their real paths
        self._folder_links: deque[Path] = deque()
        self._file_links: list[Path] = []

    def walked(self) -> Walk:
        self._enter(self._found.root)
        while self._folder_links:
            self._follow(self._folder_links.popleft())
        linked: set[str] = set()
        for link in self._file_links:
            target = os.path.realpath(link)
            known = target in linked or (os.path.dirname(target) in self._met and _suffix(target) in IMAGE_SUFFIXES)
            (self._found.repeated if known else self._found.images).append(link)
            linked.add(target)
        return self._found

    def _follow(self, link: Path) -> None:
        target = os.path.realpath(link)
        if target in self._met or os.path.commonpath([self._root, target]) == target:
            self._leave(link, "link", "leads to a folder that is already included")
        else:
            self._enter(link)

    def _enter(self, start: Path) -> None:
        folders = [start]
        while folders:
            here = folders.pop()
            real = os.path.realpath(here)
            if real in self._met:
                self._leave(here, "link", "is already included by another path")
                continue
            self._met.add(real)
            try:
                with os.scandir(here) as entries:
                    folders += self._sort(here, sorted(entries, key=lambda entry: entry.name))
            except OSError as error:
                if here == self._found.root:
                    raise
                self._leave(here, "closed", f"the folder cannot be read ({error.strerror}).", sep=": ")

    def _sort(self, here: Path, entries: Iterable[os.DirEntry[str]]) -> list[Path]:
        """The folders among `entries`; files and links are put where they belong."""
        folders = []
        for entry in entries:
            path = here / entry.name
            if hidden(entry.name):
                continue
            if os.path.isdir(path) if entry.is_symlink() else entry.is_dir(follow_symlinks=False):
                if entry.name not in self._skip:
                    (self._folder_links if entry.is_symlink() else folders).append(path)
            elif _suffix(entry.name) in UNREAD_SUFFIXES:
                self._leave(path, "ending", f"ends in {_suffix(entry.name)}, which is not read here")
            elif _suffix(entry.name) in IMAGE_SUFFIXES:
                if entry.is_symlink():
                    self._file_links.append(path)
                elif entry.is_file(follow_symlinks=False):
                    self._found.images.append(path)
                else:
                    self._leave(path, "special", "is neither a file nor a folder")
        return folders[::-1]

    def _leave(self, path: Path, cause: str, reason: str, sep: str = " ") -> None:
        end = "" if reason.endswith(".") else "."
        self._found.left_out.append(LeftOut(path, cause, f"{path}{sep}{reason}{end}"))


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or the system's own."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def warn_left_out(where: Path, files: Sequence[LeftOut]) -> None:
    """Warn of the files that are left out: one warning per cause, with their number and the names of the first."""
    for cause, text in _TEXTS.items():
        of_cause = [file for file in files if file.cause in cause]
        if of_cause:
            said = f"{printable(where)}: {text(of_cause, where)}"
            notify(FilesLeftOut(said, of_cause))


def endings(files: Sequence[LeftOut]) -> str:
    """The endings of files, in a sentence: "14 files end in .heic, which is not read here"."""
    counts = Counter(_suffix(file.path.name) for file in files)
    several = len(counts) > 1
    named = ", ".join(f"{suffix} ({count})" if several else suffix for suffix, count in counts.most_common())
    ends = "1 file ends" if len(files) == 1 else f"{len(files)} files end"
    return f"{ends} in {named}, which {'are' if several else 'is'} not read here"


_IN_WORDS = {
    "ending": "in a format that is not read here",
    "header": "not readable",
    "closed": "in a closed folder",
    "split": "in no split that is used",
    "special": "no file",
    "link": "a repeated link",
}


def in_words(causes: Iterable[str]) -> str:
    """How many files are left out for each cause, as "2 in a format that is not read here, 1 not readable".

    Parameters
    ----------
    causes : as in `LeftOut`, or other words, which stand for themselves.
    """
    return ", ".join(f"{count} {_IN_WORDS.get(cause, cause)}" for cause, count in Counter(causes).items())


def _ending(files: Sequence[LeftOut], where: Path) -> str:
    return f"{endings(files)}: {_names(files, where)}; save them as .jpg or .png."


def _links(files: Sequence[LeftOut], where: Path) -> str:
    what = "to what is already in the folder and"
    lead = f"1 link leads {what} is" if len(files) == 1 else f"{len(files)} links lead {what} are"
    return f"{lead} not followed: {_names(files, where)}."


def _splits(files: Sequence[LeftOut], where: Path) -> str:
    lie = "1 image is" if len(files) == 1 else f"{len(files)} images are"
    return f"{lie} left out because they belong to no split that is used: {_names(files, where)}."


def _others(files: Sequence[LeftOut], where: Path) -> str:
    listed = "\n  ".join(printable(file.reason) for file in files[:SHOWN])
    rest = f"\n  ... (`cbirlab data check {printable(where)} --all` names all)" if len(files) > SHOWN else ""
    return f"{len(files)} {'file is' if len(files) == 1 else 'files are'} skipped:\n  {listed}{rest}"


_TEXTS = {("header", "closed", "special"): _others, ("ending",): _ending, ("link",): _links, ("split",): _splits}


def _names(files: Sequence[LeftOut], where: Path) -> str:
    def short(path: Path) -> str:
        return str(path.relative_to(where)) if path.is_relative_to(where) else str(path)

    shown = ", ".join(printable(short(file.path)) for file in files[: SHOWN - 2])
    return shown + (", ..." if len(files) > SHOWN - 2 else "")
