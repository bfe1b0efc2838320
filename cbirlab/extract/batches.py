"""Batches: which images go through the network together, and which of them make a shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cbirlab.datasets.base import Box, Dataset
from cbirlab.extract.fingerprint import Fingerprint
from cbirlab.images.preprocessing import region, target_size

PARTS = ("images", "queries", "train")
SHARD_IMAGES = 128
BATCH_PIXELS = 8 * 320 * 240  # larger batches are no faster on a processor, and take more memory


@dataclass(frozen=True)
class Item:
    """One row to compute: an image, or a box of it, seen `magnify` times as large as in the whole image.

    With a `frame`, that part of the image counts as the whole.
    """

    path: Path
    box: Box | None = None
    magnify: float = 1.0
    frame: Box | None = None


@dataclass(frozen=True)
class Batch:
    """Rows that go through the network together: all of one size (height, width) in pixels."""

    rows: tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Batches:
    """All batches of one part of a dataset, grouped into shards, and the rows that cannot be read (row to reason)."""

    shards: tuple[tuple[Batch, ...], ...]
    unreadable: Mapping[int, str]

    def rows(self, shard: int) -> list[int]:
        """Rows of a shard in the order in which they are computed."""
        return [row for batch in self.shards[shard] for row in batch.rows]


def part_items(dataset: Dataset, part: str, crop: str = "box") -> list[Item]:
    """Rows of a part: database images, queries (cut as `crop` says), or train images."""
    if part == "queries":
        regions = [region(query.box, crop) for query in dataset.queries]
        boxes = zip(dataset.queries, regions, strict=True)
        return [Item(query.path, box, frame=frame) for query, (box, frame) in boxes]
    if part not in PARTS:
        raise ValueError(f"parts must be some of {', '.join(PARTS)}, got {part!r}.")
    return [Item(path) for path in (dataset.images if part == "images" else dataset.train)]


def make_batches(
    items: Sequence[Item],
    prints: Mapping[Path, Fingerprint],
    *,
    image_size: int,
    scale: float,
    batch_pixels: int,
    min_side: int = 1,
    resize: str = "long_side",
) -> Batches:
    """Group items into batches of equal size. The same items give the same shards, so a resumed run finds them again.

    A batch holds at most `batch_pixels` pixels (at least one image); a shard at least `SHARD_IMAGES` rows. Images
    with a side below `min_side` pixels count as unreadable, because the network cannot digest them.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    unreadable = {}
    for row, item in enumerate(items):
        known = prints[item.path]
        if known.problem:
            unreadable[row] = known.problem
            continue
        known_size = (known.height, known.width)
        options = {"frame": item.frame, "scale": scale * item.magnify, "resize": resize}
        size = target_size(*known_size, image_size, item.box, **options)
        if min(size) < min_side:
            unreadable[row] = (
                f"{item.path}: {size[0]} x {size[1]} pixels are too few, the network needs {min_side} a side."
            )
            continue
        groups.setdefault(size, []).append(row)
    batches = []
    for size in sorted(groups):
        most = max(1, batch_pixels // (size[0] * size[1]))
        rows = groups[size]
        batches += [Batch(tuple(rows[i : i + most]), size) for i in range(0, len(rows), most)]
    return Batches(tuple(_shards(batches)), unreadable)


def _shards(batches: Sequence[Batch]) -> list[tuple[Batch, ...]]:
    shards: list[tuple[Batch, ...]] = []
    current: list[Batch] = []
    for batch in batches:
        current.append(batch)
        if sum(len(member.rows) for member in current) >= SHARD_IMAGES:
            shards.append(tuple(current))
            current = []
    return [*shards, tuple(current)] if current else shards
