"""Shards: the finished parts of a run in progress, so that a killed run can resume where it was."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from cbirlab.store import Store
from cbirlab.store.files import seal, unseal


class Shards:
    """Shards of one run: blocks of rows of several columns (one column for each future entry).

    Parameters
    ----------
    store : the store that holds them.
    base : key of everything the columns have in common (images, backbone, preprocessing).
    """

    def __init__(self, store: Store, base: str) -> None:
        self.store = store
        self.folder = store.path / "partial" / base

    def _path(self, shard: int, column: str) -> Path:
        return self.folder / f"{shard:06d}" / f"{column}.shard"

    def read(self, shard: int, column: str) -> np.ndarray | None:
        """Values (rows, D) of one finished shard, or None; a damaged one counts as missing and is computed again."""
        try:
            return unseal(self._path(shard, column).read_bytes())
        except OSError:
            return None

    def write(self, shard: int, columns: Mapping[str, np.ndarray]) -> None:
        """Write one shard, column by column, each atomically."""
        with self.store.writing() as temporary:
            for column, values in columns.items():
                (temporary / column).write_bytes(seal(values))
                self._place(temporary / column, self._path(shard, column))

    def _place(self, source: Path, target: Path) -> None:
        """Rename into the shard's folder, which another process may remove while it is empty."""
        for attempt in range(5):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)  # "exists" if it goes between two looks at it
                os.replace(source, target)
                return
            except (FileNotFoundError, FileExistsError):
                if attempt == 4:
                    raise

    def drop(self, columns: Iterable[str], shards: int) -> None:
        """Remove the shards of finished columns, and the folders in which nothing is left."""
        columns = list(columns)
        for shard in range(shards) if self.folder.exists() else ():
            for column in columns:
                with suppress(OSError):
                    self._path(shard, column).unlink()
            with suppress(OSError):
                self._path(shard, "").parent.rmdir()
        with suppress(OSError):
            self.folder.rmdir()
