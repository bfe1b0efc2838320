"""Pruning: which entries and leftovers are old enough to remove, while other processes may read and write."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from cbirlab.store.files import Entry, folders, last_change
from cbirlab.store.owners import DAY_SECONDS, left_behind


def find_old(
    entries: Iterable[Entry], now: float, *, keep_bytes: int | None, older_than_days: float | None
) -> Iterator[Entry]:
    """The entries that `Store.prune` removes; `entries` begins with the most recently used one."""
    limit = now - older_than_days * DAY_SECONDS if older_than_days is not None else -math.inf
    kept = 0
    for entry in entries:
        kept += entry.size_bytes
        if entry.used < limit or (keep_bytes is not None and kept > keep_bytes):
            kept -= entry.size_bytes
            yield entry


def find_unfinished(path: Path, now: float, *, all_of_them: bool) -> list[Path]:
    """Folders of unfinished runs, untouched for a day or `all_of_them`, and leftovers of killed runs."""
    old = [one for one in folders(path / "partial") if all_of_them or last_change(one) < now - DAY_SECONDS]
    return [*old, *left_behind(path / "tmp", now)]
