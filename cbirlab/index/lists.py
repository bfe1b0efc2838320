"""Lists: the complete answers to many queries, a block at a time; only the first places of a large ranking are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cbirlab.index import Ranking

BLOCK = 2**23
"""How many places of the lists are made at a time: 64 MiB of rows and scores."""

WHOLE = 2**20
"""The most places of a ranking that is kept whole: 8 MiB."""

MOST_COMPLETE, DEPTH = 5_000, 1_000
"""Lists that are approximate, re-ranked or have distractors are complete up to so many images; above, they end at
`DEPTH`."""

FIRST = 100
"""The fewest places of each query that are kept of a larger ranking."""

Search = Callable[[slice], Ranking]
"""Complete lists of some consecutive queries."""


@dataclass(frozen=True, eq=False)
class Lists:
    """The complete lists of Q queries over N images, computed anew at every iteration.

    Attributes
    ----------
    shape : (Q, N).
    begin : called at the start of every iteration; gives the function that makes a block of lists.
    block : how many places are made at a time, `BLOCK` by default.
    """

    shape: tuple[int, int]
    begin: Callable[[], Search]
    block: int | None = None

    @classmethod
    def held(cls, ranking: Ranking) -> Lists:
        """The lists of a ranking in memory."""
        return cls(ranking.images.shape, lambda: lambda rows: some_of(ranking, rows))

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Ranking]:
        """Blocks of queries, in order; one block without rows if there is no query."""
        search = self.begin()
        for rows in blocks(*self.shape, self.block):
            yield search(rows)

    def of(self, query: int) -> Ranking:
        """The list of one query: (1, N)."""
        return self.begin()(slice(query, query + 1))

    def without(self, rows: np.ndarray) -> Lists:
        """The lists without the database images that are marked in `rows` (N,)."""
        kept = int(len(rows) - rows.sum())

        def begin() -> Search:
            search = self.begin()
            return lambda queries: without(search(queries), rows)

        return Lists((self.shape[0], kept), begin, self.block)

    def whole(self) -> Ranking:
        """All lists at once."""
        found = [*self]
        if len(found) == 1:
            return found[0]
        images, scores = (np.concatenate([getattr(one, name) for one in found]) for name in ("images", "scores"))
        return Ranking(images, scores)


def without(ranking: Ranking, rows: np.ndarray) -> Ranking:
    """Lists without the database images that are marked in `rows` (N,).

    A cut list may hold only some of these images: they go to its end, as no answer.
    """
    gone = rows[ranking.images]
    if (gone.sum(axis=1) == rows.sum()).all():
        shape = (len(ranking), -1)
        return Ranking(ranking.images[~gone].reshape(shape), ranking.scores[~gone].reshape(shape))
    order = np.argsort(gone, axis=1, kind="stable")
    scores = np.where(gone, np.float32(-np.inf), ranking.scores)
    return Ranking(np.take_along_axis(ranking.images, order, axis=1), np.take_along_axis(scores, order, axis=1))


def some_of(ranking: Ranking, rows: slice) -> Ranking:
    """The part of a ranking that belongs to some consecutive queries."""
    if rows.start == 0 and rows.stop == len(ranking):
        return ranking
    return Ranking(ranking.images[rows], ranking.scores[rows])


def lists_of(ranking: Ranking | Lists) -> Lists:
    """The complete lists behind a ranking, however much of them it keeps."""
    if isinstance(ranking, Lists):
        return ranking
    return ranking.complete or Lists.held(ranking)


class Kept:
    """Collects lists that come block by block, and keeps all of them in memory, or the first places of each.

    Parameters
    ----------
    queries, images : Q and N.
    """

    def __init__(self, queries: int, images: int) -> None:
        self.images = images
        self.places = images if queries * images <= WHOLE else min(images, max(FIRST, WHOLE // queries))
        self._rows = np.empty((queries, self.places), np.int32)
        self._scores = np.empty((queries, self.places), np.float32)
        self._done = 0

    def add(self, block: Ranking) -> None:
        """Keep the lists of the next queries, or their first places."""
        rows = slice(self._done, self._done + len(block))
        self._rows[rows], self._scores[rows] = block.images[:, : self.places], block.scores[:, : self.places]
        self._done = rows.stop

    def ranking(self, complete: Lists) -> Ranking:
        """The ranking from what was kept; `complete` makes the lists again if that is not all."""
        return Ranking(self._rows, self._scores, None if self.places == self.images else complete)


def blocks(queries: int, images: int, block: int | None = None) -> Iterator[slice]:
    """Consecutive queries whose lists have `block` places together; one empty block if there is no query."""
    size = max(1, (block or BLOCK) // max(1, images))
    for start in range(0, max(1, queries), size):
        yield slice(start, min(start + size, queries))
