"""Decoding runs ahead of the network, in threads (Pillow releases the interpreter's lock), with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbirlab import images
from cbirlab.base.notices import notify
from cbirlab.extract.batches import Batch, Item
from cbirlab.images.preprocessing import Resizing

WORKERS = 2


@dataclass(frozen=True)
class Decoded:
    """Pixels of the rows of a batch that could be decoded, and why the others could not.

    Attributes
    ----------
    batch : what was asked for.
    rows : the rows that are in `pixels`, in its order.
    pixels : uint8 (len(rows), H, W, 3).
    problems : row to reason.
    """

    batch: Batch
    rows: tuple[int, ...]
    pixels: np.ndarray
    problems: dict[int, str]


def decode_ahead(
    batches: Iterable[Batch],
    items: Sequence[Item] | Mapping[int, Item],
    *,
    ahead_pixels: int,
    image_size: int,
    scale: float = 1.0,
    resizing: Resizing = images.USUAL,
) -> Generator[Decoded]:
    """Decode batch after batch; up to `ahead_pixels` pixels wait decoded while the network works.

    At the end, each remark on files (see `images.decode`) becomes one warning that says how many files it concerns.

    Parameters
    ----------
    items : indexed by the row numbers in the batches.
    image_size, scale, resizing : as in `images.pixels`.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="decode")
    waiting: deque[tuple[Batch, list[Future]]] = deque()
    pixels_waiting = 0
    remarks: dict[Path, str] = {}
    try:
        for batch in batches:
            jobs = [pool.submit(_pixels_of, items[row], image_size, scale, resizing, remarks) for row in batch.rows]
            waiting.append((batch, jobs))
            pixels_waiting += _pixels(batch)
            while pixels_waiting > ahead_pixels and len(waiting) > 1:
                pixels_waiting -= _pixels(waiting[0][0])
                yield _collect(*waiting.popleft())
        while waiting:
            yield _collect(*waiting.popleft())
    finally:  # also when the reader stops early or is interrupted
        pool.shutdown(wait=True, cancel_futures=True)
    _tell(remarks)


def _pixels(batch: Batch) -> int:
    return len(batch.rows) * batch.size[0] * batch.size[1]


def _tell(remarks: Mapping[Path, str]) -> None:
    """One warning for each remark, with the number of files and the first of them."""
    for remark in sorted(set(remarks.values())):
        paths = sorted(path for path, said in remarks.items() if said == remark)
        whose = f"{paths[0]} has" if len(paths) == 1 else f"Each of {len(paths):,} pictures (the first: {paths[0]}) has"
        notify(f"{whose} {remark}")


def _pixels_of(
    item: Item, image_size: int, scale: float, resizing: Resizing, remarks: dict[Path, str]
) -> np.ndarray | str:
    where = {"box": item.box, "frame": item.frame, "scale": scale * item.magnify}
    try:
        pixels, remark = images.decode(item.path, image_size=image_size, resizing=resizing, **where)
    except images.ImageError as error:
        return str(error)
    if remark:
        remarks[item.path] = remark
    return pixels


def _collect(batch: Batch, jobs: Sequence[Future]) -> Decoded:
    results = [job.result() for job in jobs]
    problems = {row: result for row, result in zip(batch.rows, results, strict=True) if isinstance(result, str)}
    good = [result for result in results if not isinstance(result, str)]
    rows = tuple(row for row in batch.rows if row not in problems)
    return Decoded(batch, rows, np.stack(good) if good else np.empty((0, *batch.size, 3), np.uint8), problems)
