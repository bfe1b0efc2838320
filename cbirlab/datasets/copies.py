"""Copies: pictures that are nearly equal, as one is that was saved again, smaller or in another format.

Each picture is squeezed to a square of few pixels. Two are nearly equal if these differ, in the mean over pixels and
colours, by at most a share of what the pixels of the plainer one vary. Pictures of one thing from two places differ by
far more: the nearest two of Toytown by four times that share, of 500 photographs of DVD covers by three. A copy that
was cut, turned, or made brighter by a tenth is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cbirlab.base.progress import bar
from cbirlab.datasets.base import Dataset
from cbirlab.images import ImageError, squeezed

SIDE = 16
SHARE = 0.05
"""Most of the variance of a picture's pixels that may differ in a copy. JPEG of quality 20 changes 0.016 of it, a third
of the size 0.024."""
_LEAST = 0.05  # squared grey levels: plain pictures have no variance
_COARSE = 4  # sides of the first look, which no copy fails: means of pixels differ by no more than the pixels do
_BLOCK, _PAIRS = 2**22, 2**14
MOST_PAIRS = 1_000_000


class Copies(NamedTuple):
    """Pairs of a query and an image of the database that are nearly equal: pictures of `judged_pictures`, by number.

    Attributes
    ----------
    right : the image is a right answer.
    wrong : it counts as wrong.
    """

    right: tuple[tuple[int, int], ...]
    wrong: tuple[tuple[int, int], ...]


def judged_pictures(dataset: Dataset) -> list[Path]:
    """The images, and behind them the queries that are not among them."""
    return [*dataset.images, *(query.path for query in dataset.queries if query.index is None)]


def nearly_equal(pictures: Sequence[Path], *, progress: bool = True) -> np.ndarray:
    """Pairs of pictures that are nearly equal (P, 2), the lower number first; what cannot be read equals nothing.

    From `MOST_PAIRS` on no more are looked for: so many blank pages say enough.
    """
    seen = np.zeros((len(pictures), SIDE, SIDE, 3), np.uint8)
    there = np.zeros(len(pictures), bool)
    for row, path in enumerate(bar(pictures, desc="looking for copies", unit="image", show=progress)):
        try:
            seen[row], there[row] = squeezed(path, SIDE), True
        except ImageError:
            continue
    allowed = np.maximum(SHARE * seen.var(axis=(1, 2), dtype=np.float32).mean(axis=1), _LEAST)
    coarse = seen.reshape(-1, _COARSE, SIDE // _COARSE, _COARSE, SIDE // _COARSE, 3).mean((2, 4), np.float32)
    coarse = coarse.reshape(len(seen), -1) - 128
    flat = seen.reshape(len(seen), -1)
    square, pairs = np.einsum("nd,nd->n", coarse, coarse), [np.empty((0, 2), np.int64)]
    for start in range(0, len(seen), step := max(1, _BLOCK // max(1, len(seen)))):
        block = slice(start, start + step)
        apart = (square[block, None] + square - 2 * coarse[block] @ coarse.T) / coarse.shape[1]
        near = (apart <= np.minimum(allowed[block, None], allowed) + _LEAST) & there[block, None] & there
        found = np.argwhere(np.triu(near, start + 1)) + np.array([start, 0])
        pairs += [_same(flat, allowed, found[first : first + _PAIRS]) for first in range(0, len(found), _PAIRS)]
        if sum(map(len, pairs)) >= MOST_PAIRS:
            break
    return np.concatenate(pairs)


def _same(flat: np.ndarray, allowed: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Those of the pairs whose pixels differ little enough."""
    one, other = (flat[pairs[:, side]].astype(np.float32) for side in (0, 1))
    return pairs[((one - other) ** 2).mean(axis=1) <= allowed[pairs].min(axis=1)]


def sorted_out(dataset: Dataset, pairs: np.ndarray) -> Copies:
    """What nearly equal pictures mean for the numbers: right answers that are found too easily, and wrong ones."""
    near: dict[int, set[int]] = {}
    for one, other in pairs.tolist():
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    right, wrong, outside = dict[tuple[int, int], None](), dict[tuple[int, int], None](), len(dataset.images)
    for query, labels in zip(dataset.queries, dataset.labels, strict=bool(dataset.labels)):
        own = outside if query.index is None else query.index
        outside += query.index is None
        known = {row: label for label, rows in labels.items() for row in rows} if near.get(own) else {}
        for row in sorted(near.get(own, ())):
            if row < len(dataset.images) and known.get(row) != "junk" and any(known.values()):
                (right if row in known else wrong)[(own, row)] = None
    return Copies(tuple(right), tuple(wrong))


def said_of(dataset: Dataset, copies: Copies, shown: int = 3) -> str:
    """A sentence or two for whoever trusts the numbers; "" if there are no copies."""
    pictures, parts = judged_pictures(dataset), []
    for pairs, means in (
        (copies.right, "a right answer of theirs, which makes every number too good"),
        (copies.wrong, "an image that counts as wrong, so that a label may be wrong"),
    ):
        if not pairs:
            continue
        once = list(dict.fromkeys(tuple(sorted(pair)) for pair in pairs))
        named = [" = ".join("/".join(pictures[row].parts[-2:]) for row in pair) for pair in once[:shown]]
        more = ", ..." if len(once) > shown else ""
        count = len({own for own, _ in pairs})
        parts.append(
            f"{count:,} of {len(dataset.queries):,} queries are nearly equal to {means} ({', '.join(named)}{more})"
        )
    return "; ".join(parts)
