"""Files of the store: its location, the form of an entry, checksums, sealed blocks, listings."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
_BLOCK_BYTES = 1 << 22


class DamagedEntry(RuntimeError):
    """A file in the store is no longer as it was written."""


class StoreUnwritable(RuntimeError):
    """The store cannot be written to: no space, no permission, a read-only file system."""


def default_path() -> Path:
    """``CBIRLAB_STORE``, or the platform's cache folder."""
    given = os.environ.get("CBIRLAB_STORE")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("cbirlab")) / "store"


@dataclass(frozen=True)
class Entry:
    """One finished entry.

    Attributes
    ----------
    kind, key : its place in the store.
    specification : everything it depends on, as plain data.
    notes : further information (skipped images, versions), not part of the key.
    arrays : name to read-only array; empty if only the listing was asked for.
    size_bytes : of all its files.
    used : last use, seconds since the epoch.
    """

    kind: str
    key: str
    specification: Mapping[str, Any]
    notes: Mapping[str, Any]
    size_bytes: int
    used: float
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)


def digest(specification: Mapping[str, Any]) -> str:
    """Key of an entry: 32 hexadecimal digits of the SHA-256 of its specification (plain data) as canonical JSON."""
    text = json.dumps(specification, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()[:32]


def seal(values: np.ndarray) -> bytes:
    """A float32 matrix as bytes that carry their shape and checksum."""
    block = np.ascontiguousarray(values, dtype="<f4")
    payload = np.array(block.shape, dtype="<i8").tobytes() + block.tobytes()
    return payload + sha256(payload).digest()


def unseal(sealed: bytes) -> np.ndarray | None:
    """The matrix that `seal` was given, or None if the bytes are not as `seal` wrote them."""
    if len(sealed) < 48 or sha256(sealed[:-32]).digest() != sealed[-32:]:
        return None
    rows, width = np.frombuffer(sealed, dtype="<i8", count=2)
    return np.frombuffer(sealed, dtype="<f4", offset=16, count=rows * width).reshape(rows, width)


def state_of(status: os.stat_result) -> str:
    """A text that changes with the file: size, times of change, and the inode, which alone reveals swapped files."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def folders(parent: Path) -> list[Path]:
    """Sub-folders by name; none if `parent` is missing."""
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir())
    except OSError:
        return []


def file_facts(path: Path) -> dict[str, Any]:
    """The facts about a file that `meta.json` keeps."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def file_sha256(path: Path) -> str:
    """Checksum, read in blocks."""
    checksum = sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum.update(block)
    return checksum.hexdigest()


def runs(rows: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, memoryview]]:
    """Cut (row numbers, values) into runs of neighbouring rows, so that each run is one write."""
    order = np.argsort(rows, kind="stable")
    rows, values = rows[order], values[order]
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    for block in np.split(np.arange(len(rows)), cuts):
        if len(block):
            yield int(rows[block[0]]), memoryview(values[block].tobytes())


def write_all(file: Any, block: memoryview) -> None:
    """Write the whole block: one unbuffered write may take only a part of it."""
    while block:
        block = block[file.write(block) :]


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`; files that vanish during the count do not count."""
    return sum(status.st_size for status in _below(folder) if stat.S_ISREG(status.st_mode))


def last_change(folder: Path) -> float:
    """Seconds since the epoch of the newest change at or below `folder`; 0 if it has vanished."""
    try:
        own = folder.stat().st_mtime
    except OSError:
        return 0.0
    return max([own, *(status.st_mtime for status in _below(folder))])


def _below(folder: Path) -> Iterator[os.stat_result]:
    """Facts about all files and folders below `folder` that still exist when their turn comes."""
    for place, inside, files in os.walk(folder):
        for name in (*inside, *files):
            with suppress(OSError):
                yield os.stat(os.path.join(place, name), follow_symlinks=False)


def map_array(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file as a memory map.

    `numpy.load` reads the header with a tree of syntax, which fails in some versions of Python (SystemError) if another
    thread makes one meanwhile: a notebook runs a cell while a panel reads the store.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
        header = _HEADER.fullmatch(file.read(length).decode("latin-1"))
        start = file.tell()
    if header is None:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    shape = tuple(int(size) for size in header["shape"].split(",") if size.strip())
    order = "F" if header["fortran"] == "True" else "C"
    return np.memmap(path, np.dtype(header["kind"]), mode="r", offset=start, shape=shape, order=order)


_HEADER = re.compile(
    r"\{'descr': '(?P<kind>[<>|=][a-zA-Z][0-9]+)', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9, ]*)\), \}\s*"
)
