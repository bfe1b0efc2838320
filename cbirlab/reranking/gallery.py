"""Gallery: the database as re-ranking sees it, with what is prepared from it once for all queries."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from cbirlab.base.recent import Recent
from cbirlab.index.ranking import blocks
from cbirlab.reranking.neighbours import MOST, Neighbours, find_neighbours

T = TypeVar("T")

ELEMENTS = 2**22
"""Numbers that are held at a time."""

KEPT_BYTES = 1 << 29
"""Limit for what a gallery keeps prepared; what was used last always stays."""


class Gallery:
    """A database (N, D) and what methods prepare from it.

    Parameters
    ----------
    rows : (N, D) float32, L2-normalised or zero; may be a memory map.
    lists : gives the nearest other images of every image, at least so many; by default they are found here and now.
    """

    def __init__(self, rows: np.ndarray, lists: Callable[[int], Neighbours] | None = None) -> None:
        self.rows = rows
        self._lists = lists or (lambda k: find_neighbours(rows, k))
        self._found: Neighbours | None = None
        self._kept = Recent(16, most_bytes=KEPT_BYTES, size=_size)
        self._changed = Recent(2)
        self._clock = [0.0]

    def __len__(self) -> int:
        return len(self.rows)

    def changed(self, key: Hashable, make: Callable[[], np.ndarray]) -> Gallery:
        """A database of the same images with the rows (N, D) that `make` gives; the last two by key are kept.

        Its preparation counts as this one's.
        """

        def made() -> Gallery:
            other = Gallery(self._timed(make))
            other._clock = self._clock
            return other

        return self._changed.get(key, made)

    @property
    def seconds(self) -> float:
        """What it took to prepare things, so far."""
        return self._clock[0]

    def neighbours(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest other images of every image, nearest first, equal ones by image index.

        Returns
        -------
        images (N, k) and cosines (N, k), float64; -inf where there is none. Fewer than `k` in a smaller database.
        """
        k = min(k, len(self) - 1)
        if self._found is None or self._found.images.shape[1] < k:
            self._found = self._timed(lambda: self._lists(max(k, MOST)))
        found, enough = self._found, 1 << max(0, k - 1).bit_length()  # so that many k share their cosines
        some = found.images[:, :enough]
        cosines = self.prepared(("cosines", some.shape[1]), lambda: products(self.rows, self.rows, some))
        return some[:, :k], np.where(found.there[:, :k], cosines[:, :k], -np.inf)

    def reach(self, k: int) -> np.ndarray:
        """Cosine (N,) of every image with its k-th nearest other, -inf without one: what is nearer is among its k."""
        return self.prepared(("reach", k), lambda: self._reach(k))

    def prepared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for this key: what a method needs of the database whatever the query is."""
        return self._kept.get(key, lambda: self._timed(make))

    def _reach(self, k: int) -> np.ndarray:
        cosines = self.neighbours(k)[1]
        return cosines[:, k - 1].copy() if cosines.shape[1] >= k else np.full(len(self), -np.inf)

    def _timed(self, make: Callable[[], T]) -> T:
        before, start = self.seconds, time.perf_counter()
        made = make()
        self._clock[0] = before + time.perf_counter() - start  # what was prepared inside counts once
        return made


def products(queries: np.ndarray, rows: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Inner products (Q, k) in float64 of each query (Q, D) with the rows (N, D) of its images (Q, k).

    Summed alike for equal rows, wherever they are in the database, so that equal descriptors have equal cosines.
    """
    found = np.empty(images.shape)
    for part in blocks(len(images), ELEMENTS // max(1, images.shape[1] * rows.shape[1])):
        near = np.asarray(rows[images[part]], np.float64)
        found[part] = np.einsum("qd,qkd->qk", np.asarray(queries[part], np.float64), near)
    return found


def _size(value: Any) -> int:
    """Bytes of arrays, of sparse matrices, and of what holds these."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    members = value if isinstance(value, tuple | list) else list(getattr(value, "__dict__", {}).values())
    return sum(_size(one) for one in members)
