"""Pruning: what is old goes, while others may read and write."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from cbirlab.store.files import folders, last_change, tree_bytes
from cbirlab.store.owners import DAY_SECONDS, left_behind

if TYPE_CHECKING:
    from cbirlab.store import Store


def pruned(store: Store, *, keep_bytes: int | None, older_than_days: float | None, unfinished: bool) -> int:
    """What `Store.prune` does, and the bytes that it frees."""
    now = time.time()
    limit = now - older_than_days * DAY_SECONDS if older_than_days is not None else -math.inf
    freed = kept = 0
    for entry in store.entries():
        kept += entry.size_bytes
        if entry.used < limit or (keep_bytes is not None and kept > keep_bytes):
            kept -= entry.size_bytes
            freed += entry.size_bytes
            store.discard(store.folder(entry.kind, entry.key))
    if unfinished:
        shards = folders(store.path / "partial")
        old = [one for one in shards if keep_bytes == 0 or last_change(one) < now - DAY_SECONDS]
        for folder in [*old, *left_behind(store.path / "tmp", now)]:
            freed += tree_bytes(folder)
            store.discard(folder)
    return freed
