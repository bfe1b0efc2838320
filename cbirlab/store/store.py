"""The store: finished entries and small notes in a folder, each written in one step and checked when it is read."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.store.files import (
    FORMAT,
    DamagedEntry,
    Entry,
    StoreUnwritable,
    default_path,
    digest,
    file_facts,
    file_sha256,
    folders,
    map_array,
    runs,
    state_of,
    tree_bytes,
    write_all,
)
from cbirlab.store.meta import KINDS, NOTES, known, read_meta, read_note, seal_json, small_files
from cbirlab.store.owners import left_behind, new_name
from cbirlab.store.pruning import find_old, find_unfinished

_TRIES = 3  # of putting an entry in its place while others write and prune


class Store:
    """A folder of content-addressed entries.

    Parameters
    ----------
    path : the folder; ``CBIRLAB_STORE`` or the platform's cache folder if not given. It is created at the first write.
    budget_bytes : when finished entries grow beyond it, the least recently used are removed. None: no limit.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, budget_bytes: int | None = None) -> None:
        self.path = Path(path).expanduser() if path is not None else default_path()
        self.budget_bytes = budget_bytes
        self._verified: dict[Path, str] = {}
        self._swept = False

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def folder(self, kind: str, key: str) -> Path:
        """The folder of an entry, whether or not it exists; its kind is one of `KINDS`."""
        return self.path / known(kind) / key

    # reading

    def get(self, kind: str, specification: Mapping[str, Any]) -> Entry | None:
        """The entry of `specification`, or None if there is none.

        A damaged entry is reported by a warning, removed where possible, and counts as absent, so that it is rebuilt.
        """
        folder = self.folder(kind, digest(specification))
        if not (folder / "meta.json").exists():
            return None
        try:
            entry = self._open(kind, folder)
        except (DamagedEntry, OSError) as error:
            if not (folder / "meta.json").exists():  # removed by another process in between
                return None
            notify(f"Store: entry {kind}/{folder.name} is damaged and will be rebuilt: {error}")
            self.discard(folder)
            return None
        with suppress(OSError):  # a read-only store is still good for reading
            os.utime(folder / "meta.json")
        return entry

    def has(self, kind: str, specification: Mapping[str, Any]) -> bool:
        """Whether there is an entry, without opening it."""
        return (self.folder(kind, digest(specification)) / "meta.json").exists()

    def entries(self) -> list[Entry]:
        """All finished entries, the most recently used first, arrays not opened; unreadable ones are left out."""
        found = []
        for kind in KINDS:
            for folder in folders(self.path / kind):
                with suppress(OSError, DamagedEntry):
                    found.append(self._describe(kind, folder, read_meta(folder)))
        return sorted(found, key=lambda entry: -entry.used)

    def verify(self, *, repair: bool = False) -> dict[str, str]:
        """Read everything again and compare checksums.

        Returns
        -------
        damaged : place of each damaged item, such as "descriptors/<key>", to what is wrong with it. `repair` removes
            such items (a later run rebuilds them).
        """
        self._verified.clear()
        damaged = {}
        entries = [
            (folder, functools.partial(self._open, kind, folder))
            for kind in KINDS
            for folder in folders(self.path / kind)
        ]
        for place, check in chain(entries, small_files(self.path)):
            try:
                check()
            except (DamagedEntry, OSError) as error:
                if not place.exists():  # removed by another process in between
                    continue
                damaged[place.relative_to(self.path).as_posix()] = str(error)
                if repair:
                    self.discard(place)
        return damaged

    def size(self) -> int:
        """Bytes of everything in the store."""
        return tree_bytes(self.path)

    def free_bytes(self) -> int:
        """Free space on the disk that holds the store, or will hold it."""
        folder = self.path
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free

    # writing

    def put(self, kind: str, specification: Mapping[str, Any], arrays: Mapping[str, np.ndarray], **notes: Any) -> Entry:
        """Write an entry of small arrays; if another writer was faster, return that writer's entry."""
        with self.writing() as folder:
            for name, array in arrays.items():
                with open(folder / f"{name}.npy", "wb", buffering=0) as file:
                    array = np.asarray(array, order="C")  # ascontiguousarray would make a number a row
                    np.lib.format.write_array_header_2_0(file, np.lib.format.header_data_from_array_1_0(array))
                    write_all(file, memoryview(array.tobytes()))
            return self._finish(kind, specification, folder, notes)

    def put_rows(
        self,
        kind: str,
        specification: Mapping[str, Any],
        name: str,
        shape: tuple[int, int],
        chunks: Iterable[tuple[np.ndarray, np.ndarray]],
        **notes: Any,
    ) -> Entry:
        """Write one float32 matrix row by row from (row numbers, values), so that memory does not grow with its size.

        It uses ordinary writes, not a writable memory map: on a full disk, the latter crashes the process instead of
        raising.
        """
        with self.writing() as folder:
            with open(folder / f"{name}.npy", "wb", buffering=0) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_2_0(file, header)
                start, row_bytes = file.tell(), shape[1] * 4
                file.truncate(start + shape[0] * row_bytes)
                for rows, values in chunks:
                    for first, block in runs(np.asarray(rows), np.ascontiguousarray(values, dtype="<f4")):
                        file.seek(start + first * row_bytes)
                        write_all(file, block)
            return self._finish(kind, specification, folder, notes)

    def prune(
        self, *, keep_bytes: int | None = None, older_than_days: float | None = None, partial: bool = True
    ) -> int:
        """Remove old entries and leftovers, and return the number of bytes freed.

        Parameters
        ----------
        keep_bytes : remove the least recently used entries until the rest is not larger.
        older_than_days : remove entries not used for this long.
        partial : also remove shards of unfinished runs, untouched for a day, and leftovers of killed runs.

        Raises
        ------
        ValueError : a negative number, which would remove everything.
        """
        for name, value in (("keep_bytes", keep_bytes), ("older_than_days", older_than_days)):
            if value is not None and not value >= 0:
                raise ValueError(f"prune: {name} must be a number >= 0 or None, got {value!r}.")
        now, freed = time.time(), 0
        for entry in find_old(self.entries(), now, keep_bytes=keep_bytes, older_than_days=older_than_days):
            freed += entry.size_bytes
            self.discard(self.folder(entry.kind, entry.key))
        for folder in find_unfinished(self.path, now, all_of_them=keep_bytes == 0) if partial else ():
            freed += tree_bytes(folder)
            self.discard(folder)
        return freed

    # small files

    def read_note(self, kind: str, name: str) -> dict[str, Any]:
        """A JSON object kept for speed only; empty if it is missing or damaged."""
        try:
            return read_note(self.path / kind / f"{name}.json")
        except DamagedEntry:
            return {}

    def write_note(self, kind: str, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON object atomically; `kind` is one of those that `verify` looks through."""
        if kind not in NOTES:
            raise ValueError(f"Store: the kind of a note must be one of {', '.join(NOTES)}, got {kind!r}.")
        with self.writing() as folder:
            (folder / "note").write_text(seal_json(content), encoding="utf-8")
            (self.path / kind).mkdir(parents=True, exist_ok=True)
            os.replace(folder / "note", self.path / kind / f"{name}.json")

    # inside

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A temporary folder that is removed afterwards; errors of the disk become StoreUnwritable."""
        folder = self.path / "tmp" / new_name()
        try:
            folder.mkdir(parents=True)
            if not self._swept:
                self._swept = True
                for left in left_behind(folder.parent, time.time()):
                    self.discard(left)
            yield folder
        except OSError as error:
            raise StoreUnwritable(
                f"Store {self.path}: cannot write ({error.strerror or error}); "
                "free some space, or set CBIRLAB_STORE to a folder that can be written to."
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _finish(self, kind: str, specification: Mapping[str, Any], folder: Path, notes: Mapping[str, Any]) -> Entry:
        arrays = {path.stem: file_facts(path) for path in sorted(folder.glob("*.npy"))}
        meta = {"format": FORMAT, "specification": dict(specification), "notes": dict(notes), "arrays": arrays}
        (folder / "meta.json").write_text(seal_json(meta), encoding="utf-8")
        target = self.folder(kind, digest(specification))
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(_TRIES)):
            try:
                os.rename(folder, target)
                break
            except OSError as error:
                if not left or error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES):
                    raise
            if (target / "meta.json").exists():
                break
            self.discard(target)  # the folder there is no entry, and would block this one for ever
        entry = self.get(kind, specification)
        if entry is None:
            raise OSError(errno.EIO, f"entry {kind}/{target.name} cannot be read back")
        if self.budget_bytes is not None:
            self.prune(keep_bytes=max(self.budget_bytes, entry.size_bytes), partial=False)
        return entry

    def _open(self, kind: str, folder: Path) -> Entry:
        meta = read_meta(folder)
        arrays = {}
        for name, facts in meta["arrays"].items():
            path = folder / f"{name}.npy"
            self._check(path, facts)
            arrays[name] = map_array(path)
        return self._describe(kind, folder, meta, arrays)

    def _check(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Compare a file with its recorded facts, once per process and state of the file."""
        status = path.stat()
        if status.st_size != facts["bytes"]:
            raise DamagedEntry(f"{path.name} has {status.st_size} bytes instead of {facts['bytes']}.")
        state = state_of(status)
        if self._verified.get(path) != state:
            if file_sha256(path) != facts["sha256"]:
                raise DamagedEntry(f"{path.name} does not match its checksum.")
            self._verified[path] = state

    def _describe(
        self, kind: str, folder: Path, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Entry:
        used = (folder / "meta.json").stat().st_mtime
        size = sum(facts["bytes"] for facts in meta["arrays"].values())
        return Entry(kind, folder.name, meta["specification"], meta["notes"], size, used, arrays or {})

    def discard(self, place: Path) -> None:
        """Remove a folder or a file from the store in one step, so that nobody reads half of it."""
        aside = self.path / "tmp" / new_name()
        with suppress(OSError):
            aside.mkdir(parents=True)
            os.rename(place, aside / "discarded")
        shutil.rmtree(aside, ignore_errors=True)
