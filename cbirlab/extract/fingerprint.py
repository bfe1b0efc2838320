"""Fingerprints: what an image file is (hash, upright size, or why it cannot be read), remembered between runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from cbirlab import images
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.files import state_of

_TICK_NS = 20_000_000


@dataclass(frozen=True)
class Fingerprint:
    """One image file.

    Attributes
    ----------
    sha256 : hash of its bytes; empty if the file cannot be opened.
    height, width : size of the upright image in pixels; 0 if it cannot be read.
    problem : empty, or a sentence that says why it cannot be read.
    state : state of the file just before it was read; empty if there is no file.
    """

    sha256: str
    height: int = 0
    width: int = 0
    problem: str = ""
    state: str = ""

    def still_of(self, path: Path) -> bool:
        """Whether the file still holds the same bytes; they are read again only if its state has changed."""
        try:
            return state_of(path.stat()) == self.state or _hash_of(path) == self.sha256
        except OSError:
            return False


def fingerprints(paths: Sequence[Path], store: Store) -> dict[Path, Fingerprint]:
    """Fingerprints of `paths`.

    Files whose state (`cbirlab.store.files.state_of`) is as the store remembers it are not read again.
    """
    found: dict[Path, Fingerprint] = {}
    for folder, members in _by_folder(paths).items():
        note = sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
        known = store.read_note("images", note)
        states = _states(members)
        fresh = [path for path in members if known.get(path.name, [None])[0] != states[path] or not states[path]]
        read = {path: _look_at(path) for path in fresh}  # threads wait for each other: three times as slow
        remembered = {path: Fingerprint(*known[path.name][1:]) for path in members if path not in read}
        both = {**read, **remembered}
        found |= {path: replace(both[path], state=states[path]) for path in members}
        good = {path: print_ for path, print_ in read.items() if states[path] and not print_.problem}
        if good:
            rows = {path.name: [states[path], p.sha256, p.height, p.width, p.problem] for path, p in good.items()}
            with suppress(StoreUnwritable):  # only for speed; a failed write that matters is reported elsewhere
                store.write_note("images", note, known | rows)
    return found


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    folders: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(paths):
        folders.setdefault(path.parent, []).append(path)
    return folders


def _states(paths: Iterable[Path]) -> dict[Path, str]:
    """The state of each file; empty if there is no file.

    A file that changed within the current tick of the file system's clock could change again and keep its times, so
    wait until that tick has passed.
    """
    seen = {path: _status(path) for path in paths}
    ages = [time.time_ns() - status.st_ctime_ns for status in seen.values() if status]
    youngest = min((age for age in ages if age >= 0), default=_TICK_NS)
    if youngest < _TICK_NS:
        time.sleep((_TICK_NS - youngest) / 1e9)
        seen = {path: _status(path) for path in seen}
    return {path: state_of(status) if status else "" for path, status in seen.items()}


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _look_at(path: Path) -> Fingerprint:
    try:
        checksum = _hash_of(path)
    except OSError as error:
        return Fingerprint("", problem=f"{path}: cannot be opened ({error.strerror}).")
    try:
        height, width = images.size(path)
    except images.ImageError as error:
        return Fingerprint(checksum, problem=str(error))
    return Fingerprint(checksum, height, width)


def _hash_of(path: Path) -> str:
    with open(path, "rb") as file:
        return sha256(file.read()).hexdigest()


def image_hashes(paths: Iterable[Path], store: Store) -> set[str]:
    """Hashes of the images' bytes, to find images that two sets share."""
    return {known.sha256 for known in fingerprints(list(paths), store).values() if known.sha256}
