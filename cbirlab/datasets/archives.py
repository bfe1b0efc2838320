"""Archives: unpacked next to their destination, then moved there when all is well; none can write outside of it.

No published benchmark needs more than regular files in folders, so nothing else is made: no links, no devices. Files
are created anew, under names that are checked here, and take over no attribute from the archive.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cbirlab.datasets.files import inside
from cbirlab.datasets.unfolding import open_bounded

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
_BLOCK_BYTES = 1 << 20
_MOST_HEADER_BYTES = 1 << 20
_MOST_NAME_BYTES, _MOST_PATH_BYTES = 255, 1024


class _Member(NamedTuple):
    """A regular file in an archive, or a folder, which has nothing to open."""

    name: str
    size: int
    open: Callable[[], Any] | None


def is_archive(name: str) -> bool:
    """Whether a file of that name is to be unpacked."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into `folder`, replacing files of the same name.

    Raises
    ------
    ValueError : a damaged archive, one that holds more than files and folders, a name that leads out of it, two names
        that are the same on some systems, or more bytes than are free or than `bounded` allows; nothing of it is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as scratch:  # removed whatever is raised
        try:
            _write(
                _zipped(archive) if archive.name.lower().endswith(".zip") else _taped(archive), archive, Path(scratch)
            )
        except (OSError, ValueError, EOFError, MemoryError, RuntimeError, NotImplementedError, *_DAMAGED) as error:
            raise ValueError(f"{archive}: cannot be unpacked ({type(error).__name__}: {error}).") from error
        try:
            _merge(Path(scratch), folder)
        except OSError as error:
            raise ValueError(f"{archive}: cannot be put into {folder} ({error}).") from error


_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error)


def _write(members: Iterator[_Member], archive: Path, scratch: Path) -> None:
    """Write every member as a new file; none may give more bytes than it says."""
    packed, free, total = archive.stat().st_size, shutil.disk_usage(scratch).free, 0
    for member in members:
        place = _place(scratch, member.name)
        if member.open is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        total = open_bounded(total + member.size, packed, "its content")
        if total > free:
            raise ValueError(f"its content takes {total:,} bytes, but only {free:,} are free")
        place.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as content, place.open("xb") as file:
            shutil.copyfileobj(content, file, _BLOCK_BYTES)
            if file.tell() != member.size:
                raise ValueError(f"{member.name!r} must have {member.size:,} bytes, but has {file.tell():,}")


def _place(scratch: Path, name: str) -> Path:
    """Where a member is written, by a name that every system can have."""
    place = inside(scratch, name)
    if len(os.fsencode(name)) > _MOST_PATH_BYTES or any(
        len(os.fsencode(part)) > _MOST_NAME_BYTES for part in place.parts
    ):
        raise ValueError(f"the name {name[:40]!r}... is too long")
    return place


def _taped(archive: Path) -> Iterator[_Member]:
    with archive.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    with gzip.GzipFile(archive) if zipped else archive.open("rb") as content:
        headers: Any = _Headers(content)
        with tarfile.open(fileobj=headers, mode="r:") as packed:
            for entry in packed:
                if entry.isdir():
                    yield _Member(entry.name, 0, None)
                elif entry.isreg() and not entry.issparse():
                    yield _Member(entry.name, entry.size, lambda entry=entry: packed.extractfile(entry))
                else:
                    raise ValueError(
                        f"{entry.name!r} is neither a file nor a folder; links and devices are not unpacked"
                    )


class _Headers:
    """The file as tarfile reads it: a header may claim any length, but only a bounded one is read into memory."""

    def __init__(self, content: Any) -> None:
        self.seek, self.tell, self._read = content.seek, content.tell, content.read

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise ValueError(f"it has a header of {size:,} bytes, too many to be true")
        return self._read(size)


def _zipped(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(
                    f"{entry.filename!r} is neither a file nor a folder; links and devices are not unpacked"
                )
            if entry.orig_filename != entry.filename:  # cut at a NUL, or its separators changed
                raise ValueError(f"{entry.orig_filename!r} is not a possible file name")
            opened = None if entry.is_dir() else lambda entry=entry: packed.open(entry)
            yield _Member(entry.filename, entry.file_size, opened)


def _merge(scratch: Path, folder: Path) -> None:
    """Move what was unpacked to its place, all of it or nothing."""
    done: list[tuple[Path, Path | None]] = []
    with tempfile.TemporaryDirectory(prefix=".replaced-", dir=folder) as aside:
        try:
            for here, _, files in os.walk(scratch):
                there = folder / Path(here).relative_to(scratch)
                if not os.path.lexists(there):
                    done.append((there, None))
                    there.mkdir()
                for file in files:
                    if not there.is_dir() or (there / file).is_dir():
                        raise FileExistsError(f"{there / file} would replace another file or folder")
                    was = Path(aside, str(len(done))) if os.path.lexists(there / file) else None
                    done.append((there / file, was))
                    if was is not None:
                        os.replace(there / file, was)
                    os.replace(os.path.join(here, file), there / file)
        except BaseException:
            _undo(done)
            raise


def _undo(done: list[tuple[Path, Path | None]]) -> None:
    for place, was in reversed(done):
        if was is not None:
            if os.path.lexists(was):
                os.replace(was, place)
        elif place.is_dir():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)
