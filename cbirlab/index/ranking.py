"""Rankings: the answers of a search. Larger scores are better; equal scores are always ordered by image index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LOW_WORD = np.int64(0xFFFFFFFF)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The answer of a search.

    A score of -inf means no answer: the query or the image has no descriptor (a picture that cannot be read, an image
    that shows no word), or the list has ended. Such rows come last, ordered by image index, and count as not found, so
    a query without a descriptor finds nothing.

    Attributes
    ----------
    images : (Q, K) database rows, best first; int64 from a search, int32 if a run keeps them.
    scores : (Q, K) float32, finite or -inf, never rising.
    complete : for a large run, of which only the first places are kept here, the `cbirlab.index.lists.Lists` that make
        the complete lists again; otherwise None.

    Raises
    ------
    ValueError : shapes that differ, scores that are NaN or infinity, or that rise.
    """

    images: np.ndarray
    scores: np.ndarray
    complete: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.images.ndim != 2 or self.images.shape != self.scores.shape:
            raise ValueError(
                f"Ranking: images and scores must be (Q, K) alike, got {self.images.shape} and {self.scores.shape}."
            )
        _check_falling(self.scores)

    def __len__(self) -> int:
        return len(self.images)

    def top(self, k: int) -> Ranking:
        """The first `k` results of every query."""
        if self.complete is not None and k > self.images.shape[1]:
            return self.complete.whole().top(k)
        return Ranking(self.images[:, :k], self.scores[:, :k])

    def answers(self) -> np.ndarray:
        """For each query (Q,), how many results are answers: those before the first score of -inf."""
        ends = self.scores[:, -1:] == -np.inf
        if not ends.any():
            return np.full(len(self), self.scores.shape[1])
        return self.scores.shape[1] - np.where(ends[:, 0], (self.scores == -np.inf).sum(axis=1), 0)


def ranked(scores: np.ndarray) -> Ranking:
    """The ranking of a matrix of scores (Q, N), larger is better, equal ones by image index; -inf is no answer.

    Raises
    ------
    ValueError : NaN or infinity.
    """
    scores = np.asarray(scores, dtype=np.float32)
    refuse_not_finite(scores, 0, no_answer=-np.inf)
    keys = np.sort(pack(scores, 0), axis=1)
    return Ranking(keys & LOW_WORD, unpack_scores(keys))


def settle(images: np.ndarray, scores: np.ndarray, count: int) -> Ranking:
    """The ranking of lists (Q, K) that end early, with -1 at -inf: images that they lack follow, by index.

    Parameters
    ----------
    count : N, the images there are; at least K.
    """
    for query in np.flatnonzero(images[:, -1] < 0):
        there = images[query] >= 0
        lacking = np.setdiff1d(np.arange(min(count, len(there) + there.sum())), images[query][there])
        images[query, ~there] = lacking[: (~there).sum()]
    return Ranking(images, scores)


def pack(scores: np.ndarray, first_row: int) -> np.ndarray:
    """The keys of scores (Q, n) of consecutive rows of the database."""
    return keys_of(scores, np.arange(first_row, first_row + scores.shape[1], dtype=np.int64))


def keys_of(scores: np.ndarray, images: np.ndarray) -> np.ndarray:
    """One int64 per score that sorts by falling score, then by image, so that sort and partition break ties alike.

    The bits of a float32 sort like integers once those of negative numbers are flipped; adding zero makes -0.0 and
    0.0 equal.
    """
    bits = (scores + np.float32(0)).view(np.int32)
    rising = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    return (~rising << 32) | (images & LOW_WORD)


def unpack_scores(keys: np.ndarray) -> np.ndarray:
    """The scores in the keys that `keys_of` gave."""
    rising = (~(keys >> 32)).astype(np.int32)
    return np.where(rising < 0, rising ^ np.int32(0x7FFFFFFF), rising).view(np.float32)


def blocks(count: int, size: int) -> Iterator[slice]:
    """Consecutive blocks of `count` rows, `size` rows each, the last one with the rest."""
    for start in range(0, count, max(1, size)):
        yield slice(start, min(start + max(1, size), count))


def refuse_not_finite(scores: np.ndarray, first_row: int, no_answer: float | None = None) -> None:
    """Refuse NaN and infinity, which have no place in a ranking. Checking scores saves a pass over the database."""
    refused = ~np.isfinite(scores)
    if no_answer is not None:
        refused &= scores != no_answer
    if refused.any():
        row = first_row + int(refused.any(axis=0).argmax())
        raise ValueError(f"ExactIndex: database row {row} holds NaN, infinity or values too large for float32 scores.")


def _check_falling(scores: np.ndarray) -> None:
    """Refuse scores that rise or are not valid; a block of queries at a time, because lists may be long."""
    for rows in blocks(len(scores), 2**22 // max(1, scores.shape[1])):
        block = scores[rows]
        if (block[:, 1:] <= block[:, :-1]).all() and (block[:, :1] < np.inf).all():
            continue
        if np.isnan(block).any() or (block == np.inf).any():
            raise ValueError(
                "Ranking: scores must be finite, or -inf where there is no answer, got NaN or infinity; what are they?"
            )
        query = int((block[:, 1:] > block[:, :-1]).any(axis=1).argmax())
        place = int((block[query, 1:] > block[query, :-1]).argmax())
        low, high = (float(one) for one in block[query, place : place + 2])
        raise ValueError(
            f"Ranking: scores must not rise from one result to the next, got {low:.6g} before {high:.6g} in row "
            f"{rows.start + query}; are they distances? Then pass -distances, else sort each row, best first."
        )
