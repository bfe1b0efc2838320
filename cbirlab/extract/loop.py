"""Loop: one pass over the images of a few shards; each shard is saved as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cbirlab.extract.batches import Batch, Item
from cbirlab.extract.cache_keys import Column
from cbirlab.extract.decode import Decoded, decode_ahead
from cbirlab.extract.fingerprint import Fingerprint
from cbirlab.extract.network import Network
from cbirlab.extract.pooling import arrays_of, pool, reducing
from cbirlab.images import ImageError
from cbirlab.images.preprocessing import Resizing
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.shards import Shards

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation.fused import Fused
    from cbirlab.backbones import Backbone


@dataclass(frozen=True)
class Shard:
    """Rows of a part that are computed and saved together; small enough to be sent to another process.

    Attributes
    ----------
    base : key of the shards of its part.
    number : its place among them.
    batches : row numbers of the part that go through the network together.
    items : row number to what the row shows.
    prints : fingerprints of their files.
    columns : the descriptor matrices that lack these rows.
    image_size : long side in pixels at scale 1.
    scale, resizing, batch_pixels : as in the request.
    """

    base: str
    number: int
    batches: tuple[Batch, ...]
    items: Mapping[int, Item]
    prints: Mapping[Path, Fingerprint]
    columns: tuple[Column, ...]
    image_size: int
    scale: float
    resizing: Resizing
    batch_pixels: int


class Computed(NamedTuple):
    """What is known about a shard once it is computed.

    Attributes
    ----------
    base, number : those of the shard.
    images : number of images that went through the network.
    seconds : time that the shard took, including the wait for decoded images.
    problems : row to reason, for images that could not be decoded.
    unwritten : column key to float32 (rows, D), if the store could not be written to; else empty.
    error : why it could not be written to.
    """

    base: str
    number: int
    images: int
    seconds: float
    problems: Mapping[int, str]
    unwritten: Mapping[str, np.ndarray]
    error: str = ""


def compute(shard: Shard, network: Network, store: Store) -> Computed:
    """Compute one shard and save it in the store.

    It depends on no other shard: any process that sees the images and the store may compute it, at any time. Computing
    it twice does no harm.

    Parameters
    ----------
    network : made of the request's backbone, at the request's precision, by the request's engine.

    Raises
    ------
    ImageError : a file was changed since the plan was made.
    FloatingPointError : a value is not finite, as happens where reduced precision overflows.
    """
    (computed,) = compute_each([shard], network, store)
    return computed


def compute_each(
    shards: Sequence[Shard], network: Network, store: Store, advance: Callable[[int], None] = lambda images: None
) -> Iterator[Computed]:
    """Compute shards of one part as `compute` does, decoding ahead from each to the next.

    Parameters
    ----------
    advance : called with the number of images that have just been done.
    """
    first, batches = shards[0], [(shard, batch) for shard in shards for batch in shard.batches]
    items = {row: item for shard in shards for row, item in shard.items.items()}
    options = {"image_size": first.image_size, "scale": first.scale, "resizing": first.resizing}
    values: dict[str, list[np.ndarray]] = {}
    problems: dict[int, str] = {}
    images, started = 0, time.perf_counter()
    decoding = decode_ahead([batch for _, batch in batches], items, ahead_pixels=2 * first.batch_pixels, **options)
    with closing(decoding) as stream:
        for (shard, batch), decoded in zip(batches, stream, strict=True):
            for key, block in _pooled(shard.columns, decoded, network).items():
                values.setdefault(key, []).append(block)
            problems |= decoded.problems
            images += len(decoded.rows)
            advance(len(batch.rows))
            if batch is shard.batches[-1]:
                unwritten, error = _save(shard, {key: np.concatenate(rows) for key, rows in values.items()}, store)
                seconds = time.perf_counter() - started
                yield Computed(shard.base, shard.number, images, seconds, problems, unwritten, error)
                values, problems, images, started = {}, {}, 0, time.perf_counter()


def _pooled(columns: Sequence[Column], decoded: Decoded, network: Network) -> dict[str, np.ndarray]:
    """Values of one batch: column key to (rows of the batch, D); rows that could not be decoded are NaN."""
    count = len(decoded.batch.rows)
    if not decoded.rows:
        return {column.key: np.full((count, width(column, network.backbone)), np.nan, np.float32) for column in columns}
    good = np.isin(decoded.batch.rows, decoded.rows)
    by_tap: dict[str, list[Column]] = {}
    for column in columns:
        by_tap.setdefault(column.tap, []).append(column)
    forms = {tap: _reducing(own) if network.reduces(tap) else {} for tap, own in by_tap.items()}
    asked = {tap: [*several.values()] for tap, several in forms.items() if several}
    maps, reduced = network.read(decoded.pixels, [tap for tap in by_tap if tap not in asked], asked)
    found = {}
    for tap, own in by_tap.items():
        if tap in reduced:
            pooled = arrays_of(dict(zip(forms[tap], reduced[tap], strict=True)))
            values = {column.key: pooled[column.aggregation.key] for column in own}
        else:
            values = _walked(maps[tap], own)
        found |= {key: one if good.all() else _spread(one, good) for key, one in values.items()}
    return found


def _reducing(own: Sequence[Column]) -> dict[str, Fused]:
    states = {column.aggregation.key: column.state for column in own if column.state is not None}
    return reducing([column.aggregation for column in own], states)


def _walked(maps: Tensor, own: Sequence[Column]) -> dict[str, np.ndarray]:
    """Values of the columns of one tap, by key.

    Queries can be database images that have a state of their own, so a column with a state is pooled alone.
    """
    found = {}
    alone = [[column] for column in own if column.state is not None]
    for together in ([column for column in own if column.state is None], *alone):
        states = {column.aggregation.key: column.state for column in together}
        pooled = pool(maps, [column.aggregation for column in together], states)
        found |= {column.key: pooled[column.aggregation.key] for column in together}
    return found


def width(column: Column, backbone: Backbone) -> int:
    """Dimensions of a column, known without an image."""
    return column.aggregation.width(backbone.taps[column.tap].channels)


def _spread(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Rows of `values` where `good`, NaN elsewhere."""
    block = np.full((len(good), values.shape[1]), np.nan, np.float32)
    block[good] = values
    return block


def _save(shard: Shard, values: Mapping[str, np.ndarray], store: Store) -> tuple[Mapping[str, np.ndarray], str]:
    """Write a shard; if the store cannot be written to, give the values back with the reason.

    Raises
    ------
    ImageError : a file has changed since it was looked at, so its values would be stored as those of the old file.
    """
    for path, known in shard.prints.items():
        if not known.still_of(path):
            raise ImageError(f"{path}: the file was changed while it was described; run again once it is complete.")
    try:
        Shards(store, shard.base).write(shard.number, values)
    except StoreUnwritable as error:
        return values, str(error)
    return {}, ""
