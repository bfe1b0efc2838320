"""Loop: the loop of the one pass, shard after shard, into the store, or into memory where that cannot be written to."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, NamedTuple

import numpy as np

from cbirlab.extract.batches import Batch
from cbirlab.extract.cache_keys import Column, Part
from cbirlab.extract.decode import Decoded, decode_ahead
from cbirlab.extract.network import Network
from cbirlab.extract.pooling import pool
from cbirlab.images import ImageError
from cbirlab.store import Entry, Store, StoreUnwritable
from cbirlab.store.shards import Shards

MEMORY_BYTES = 2 << 30
_ATTEMPTS = 3


class Filled(NamedTuple):
    """One finished column.

    Attributes
    ----------
    values : float32 (rows, D).
    skipped : rows that could not be read, and why.
    pass_ms : milliseconds per row of the pass that made it, decoding and all columns of the same pass included; NaN
        where a killed run had left nothing to compute.
    """

    values: np.ndarray
    skipped: dict[int, str]
    pass_ms: float


class _ShardMissing(Exception):
    """A shard was removed or damaged since it was seen; it has to be computed again."""


class Filler:
    """Fills columns of parts and remembers what it cannot write.

    Parameters
    ----------
    network : made ready for extraction.
    store : where shards and entries go.
    image_size : long side in pixels.
    advance : called with the number of images that are done.
    """

    def __init__(self, network: Network, store: Store, *, image_size: int, advance: Any) -> None:
        self.network = network
        self.store = store
        self.image_size = image_size
        self.advance = advance
        self.computed_images = 0
        self._kept: dict[tuple[str, int, str], np.ndarray] = {}  # shards that could not be written
        self._reasons: dict[tuple[str, int], str] = {}
        self._pass_ms: dict[str, float] = {}
        self._unwritable = False

    def fill(self, part: Part, columns: Sequence[Column]) -> dict[str, Filled]:
        """Compute `columns` of `part`, by entry key.

        Raises
        ------
        ValueError : no image of the part can be read.
        """
        if not part.batches.shards:
            raise ValueError(f"{part.dataset}: none of the {len(part.items)} {part.name} can be read.")
        shards = Shards(self.store, part.base)
        done: dict[str, Filled] = {}
        self._pass_ms = {}
        for _ in range(_ATTEMPTS):
            done |= {one.key: ready for one in columns if one.key not in done and (ready := self._stored(one))}
            left = [column for column in columns if column.key not in done]
            self._compute(part, shards, left)
            for column in left:
                with suppress(_ShardMissing):
                    done[column.key] = self._assemble(part, shards, column)
            if len(done) == len(columns):
                if not self._unwritable:  # else the shards that were written are all that a later run finds
                    shards.drop([column.key for column in columns], len(part.batches.shards))
                return done
        raise StoreUnwritable(f"Store {self.store.path}: shards vanish as they are written; is another run pruning it?")

    def _stored(self, column: Column) -> Filled | None:
        """What another process, which was faster, has put into the store."""
        entry = self.store.get("descriptors", column.specification)
        return None if entry is None else entry_values(entry)

    def _compute(self, part: Part, shards: Shards, columns: Sequence[Column]) -> None:
        """Compute and write the shards of `columns` that are missing."""
        todo = {
            shard: missing
            for shard in range(len(part.batches.shards))
            if (missing := [column for column in columns if self._read(part, shards, shard, column) is None])
        }
        ready = sum(len(part.batches.rows(shard)) for shard in range(len(part.batches.shards)) if shard not in todo)
        self.advance(ready + len(part.batches.unreadable))
        batches = [(shard, batch) for shard in todo for batch in part.batches.shards[shard]]
        values: dict[str, list[np.ndarray]] = {}
        started, before = time.perf_counter(), self.computed_images
        with closing(self._decoded(part, [batch for _, batch in batches])) as stream:
            for (shard, batch), decoded in zip(batches, stream, strict=True):
                for key, block in self._pooled(part, decoded, todo[shard]).items():
                    values.setdefault(key, []).append(block)
                self.advance(len(batch.rows))
                if batch is part.batches.shards[shard][-1]:
                    self._write(part, shards, shard, {key: np.concatenate(blocks) for key, blocks in values.items()})
                    values = {}
        if self.computed_images > before:
            elapsed = 1000 * (time.perf_counter() - started) / (self.computed_images - before)
            self._pass_ms |= {column.key: elapsed for column in columns}

    def _decoded(self, part: Part, batches: Sequence[Batch]) -> Generator[Decoded]:
        ahead = 2 * part.batch_pixels
        options = {"image_size": self.image_size, "scale": part.scale, "resizing": part.resizing}
        return decode_ahead(batches, part.items, ahead_pixels=ahead, **options)

    def _pooled(self, part: Part, decoded: Decoded, columns: Sequence[Column]) -> dict[str, np.ndarray]:
        """Values of one batch: column key to (rows of the batch, D); rows that could not be decoded are NaN."""
        for row, reason in decoded.problems.items():
            self._reasons[part.base, row] = reason
        if not decoded.rows:
            return {column.key: np.full((len(decoded.batch.rows), self._width(column)), np.nan) for column in columns}
        self.computed_images += len(decoded.rows)
        good = np.isin(decoded.batch.rows, decoded.rows)
        taps = list(dict.fromkeys(column.tap for column in columns))
        found = {}
        for tap, maps in self.network.maps(decoded.pixels, taps).items():
            of_tap = {column.aggregation.key: column for column in columns if column.tap == tap}
            states = {key: column.state for key, column in of_tap.items()}
            for key, pooled in pool(maps, [column.aggregation for column in of_tap.values()], states).items():
                found[of_tap[key].key] = pooled if good.all() else _spread(pooled, good)
        return found

    def _width(self, column: Column) -> int:
        """Dimensions of a column, known without an image."""
        return column.aggregation.width(self.network.backbone.taps[column.tap].channels)

    def _read(self, part: Part, shards: Shards, shard: int, column: Column) -> np.ndarray | None:
        kept = self._kept.get((part.base, shard, column.key))
        return kept if kept is not None else shards.read(shard, column.key)

    def _write(self, part: Part, shards: Shards, shard: int, values: Mapping[str, np.ndarray]) -> None:
        _check_unchanged(part, shard)
        if not self._unwritable:
            try:
                shards.write(shard, values)
                return
            except StoreUnwritable as error:
                self._keep_in_memory(error)
        self._kept |= {(part.base, shard, key): block for key, block in values.items()}
        if sum(block.nbytes for block in self._kept.values()) > MEMORY_BYTES:
            raise StoreUnwritable(
                f"Store {self.store.path}: cannot be written to, and more than {MEMORY_BYTES >> 30} GiB of results "
                "wait in memory; free some space or set CBIRLAB_STORE to another folder and run again."
            )

    def _keep_in_memory(self, error: StoreUnwritable) -> None:
        if not self._unwritable:
            self._unwritable = True
            warnings.warn(f"{error} Results are kept in memory for now and are lost when Python ends.", stacklevel=6)

    def _assemble(self, part: Part, shards: Shards, column: Column) -> Filled:
        """Bring the rows of all shards of a column into the order of the part."""
        ready = self._stored(column)
        if ready is not None:
            return ready
        first = self._read(part, shards, 0, column)
        if first is None:
            raise _ShardMissing
        shape = (len(part.items), first.shape[1])
        skipped = {str(row): reason for row, reason in part.batches.unreadable.items()}
        if not self._unwritable:
            try:
                rows = self._rows(part, shards, column, skipped)  # also completes `skipped` while it is read
                entry = self.store.put_rows(
                    "descriptors", column.specification, "values", shape, rows,
                    dataset=part.dataset, part=part.name, weights=self.network.backbone.weights, skipped=skipped,
                    pass_ms=self._pass_ms.get(column.key),
                )  # fmt: skip
                return entry_values(entry)
            except StoreUnwritable as error:
                self._keep_in_memory(error)
        values = np.zeros(shape, np.float32)
        for rows, block in self._rows(part, shards, column, skipped):
            values[rows] = block
        reasons = {int(row): reason for row, reason in skipped.items()}
        return Filled(values, reasons, self._pass_ms.get(column.key, math.nan))

    def _rows(
        self, part: Part, shards: Shards, column: Column, skipped: dict[str, str]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for shard in range(len(part.batches.shards)):
            values = self._read(part, shards, shard, column)
            rows = np.array(part.batches.rows(shard))
            if values is None or len(values) != len(rows):
                raise _ShardMissing
            lost = np.isnan(values[:, 0])  # pooled values are finite, so one column tells
            for row in rows[lost]:
                reason = self._reasons.get((part.base, int(row)), f"{part.items[row].path}: could not be read.")
                skipped[str(row)] = reason
            yield rows, np.where(lost[:, None], np.float32(0), values) if lost.any() else values


def _check_unchanged(part: Part, shard: int) -> None:
    """Refuse values of files that were changed since they were looked at: they would be kept as those of the old ones.

    Raises
    ------
    ImageError : one was.
    """
    for path in {part.items[row].path for row in part.batches.rows(shard)}:
        if not part.prints[path].still_of(path):
            raise ImageError(f"{path}: the file was changed while it was described; run again once it is complete.")


def _spread(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Rows of `values` where `good`, NaN elsewhere."""
    block = np.full((len(good), values.shape[1]), np.nan, np.float32)
    block[good] = values
    return block


def entry_values(entry: Entry) -> Filled:
    """What a finished entry holds."""
    skipped = {int(row): reason for row, reason in entry.notes["skipped"].items()}
    pass_ms = entry.notes.get("pass_ms")
    return Filled(entry.arrays["values"], skipped, math.nan if pass_ms is None else pass_ms)
