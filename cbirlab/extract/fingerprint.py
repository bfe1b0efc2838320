"""Fingerprints: what an image file is (hash, upright size, or why it cannot be read), remembered between runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cbirlab import images
from cbirlab.store import Store, StoreUnwritable


@dataclass(frozen=True)
class Fingerprint:
    """One image file.

    Attributes
    ----------
    sha256 : of its bytes; empty where the file cannot be opened.
    height, width : of the upright image in pixels; 0 where it cannot be read.
    problem : empty, or a sentence that says why it cannot be read.
    """

    sha256: str
    height: int = 0
    width: int = 0
    problem: str = ""


def fingerprints(paths: Sequence[Path], store: Store) -> dict[Path, Fingerprint]:
    """Fingerprints of `paths`.

    Files whose size and time of change are as the store remembers them are not read again.
    """
    found: dict[Path, Fingerprint] = {}
    for folder, members in _by_folder(paths).items():
        note = sha256(str(folder.resolve()).encode()).hexdigest()[:32]
        known = store.read_note("images", note)
        states = {path: _state(path) for path in members}
        fresh = [path for path in members if known.get(path.name, [None])[0] != states[path] or not states[path]]
        read = {path: _look_at(path) for path in fresh}  # threads wait for each other: three times as slow
        found |= {path: read[path] if path in read else Fingerprint(*known[path.name][1:]) for path in members}
        good = {path: print_ for path, print_ in read.items() if states[path] and not print_.problem}
        if good:
            rows = {path.name: [states[path], p.sha256, p.height, p.width, p.problem] for path, p in good.items()}
            with suppress(StoreUnwritable):  # remembered for speed only; what matters complains elsewhere
                store.write_note("images", note, known | rows)
    return found


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    folders: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(paths):
        folders.setdefault(path.parent, []).append(path)
    return folders


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"


def _look_at(path: Path) -> Fingerprint:
    try:
        with open(path, "rb") as file:
            checksum = sha256(file.read()).hexdigest()
    except OSError as error:
        return Fingerprint("", problem=f"{path}: cannot be opened ({error.strerror}).")
    try:
        height, width = images.size(path)
    except images.ImageError as error:
        return Fingerprint(checksum, problem=str(error))
    return Fingerprint(checksum, height, width)


def image_hashes(paths: Iterable[Path], store: Store) -> set[str]:
    """Hashes of the images' bytes, to find images that two sets share."""
    return {known.sha256 for known in fingerprints(list(paths), store).values() if known.sha256}
