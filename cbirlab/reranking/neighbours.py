"""Neighbours: the nearest other images of every image of a database, the graph on which neighbours are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.base.params import Range
from cbirlab.compression.library import has_faiss
from cbirlab.index.exact import ExactIndex
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, keys_of, unpack_scores
from cbirlab.index.recall import recall_of_exact

MOST = 200
"""Neighbours of an image that are kept: every smaller k is a slice of them."""

ASKED = Range(1, MOST, integer=True)
"""How many of them a method may ask."""

BLOCK = 1024
"""Rows that are searched at a time."""

MOST_EXACT = 20_000
"""Images that are all compared with each other; of more, inverted lists find the neighbours."""

LEAST_RECALL, SAMPLE = 0.95, 500
"""How much of the true neighbours inverted lists must find, and on how many images that is measured."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest other images of every image.

    Attributes
    ----------
    images : (N, k) int32, nearest first, equal ones by image index.
    scores : (N, k) float32 cosines; -inf where there is no other image with a descriptor.
    recall : how much of the true neighbours the lists hold; 1 for an exact search.
    """

    images: np.ndarray
    scores: np.ndarray
    recall: float = 1.0

    @property
    def there(self) -> np.ndarray:
        """(N, k), where there is a neighbour."""
        return self.scores > -np.inf

    def extended(self, rows: np.ndarray, more: np.ndarray) -> Neighbours:
        """The lists after images (M, D) were added behind the rows (N, D): the old lists take up the new images.

        The same as lists that are found anew, but only the new images are searched for.
        """
        k, both = self.images.shape[1], np.concatenate([rows, more])
        new = np.arange(len(rows), len(both))
        found = _without_own(ExactIndex().fit(both).search(more, min(k + 1, len(both))), new, k)
        images, scores = np.empty((len(both), k), np.int32), np.empty((len(both), k), np.float32)
        images[new], scores[new] = found.images, found.scores
        for part in blocks(len(rows), BLOCK):
            near = ExactIndex().fit(more).search(rows[part], min(k, len(more)))
            known = np.concatenate([self.images[part], near.images + len(rows)], axis=1)
            keys = np.sort(keys_of(np.concatenate([self.scores[part], near.scores], axis=1), known), axis=1)[:, :k]
            images[part], scores[part] = keys & LOW_WORD, unpack_scores(keys)
        return Neighbours(images, scores, self.recall)


def find_neighbours(rows: np.ndarray, k: int = MOST) -> Neighbours:
    """The `k` nearest other images of every row (N, D), L2-normalised; at most N - 1.

    The search is exact for up to `MOST_EXACT` rows. Above, inverted lists are searched, as many as it takes to find
    `LEAST_RECALL` of the true neighbours, and a warning tells how much they find; without faiss, one tells how long an
    exact search will take.
    """
    k = min(k, len(rows) - 1)
    if len(rows) <= MOST_EXACT:
        return _found_by(ExactIndex().fit(rows), rows, k)
    if has_faiss():
        return _found_by_lists(rows, k)
    minutes = 2e-10 * len(rows) ** 2 * rows.shape[1] / 60
    notify(
        f"neighbours: all {len(rows):,} images are compared with each other, which takes about {minutes:.0f} minutes; "
        "with faiss it is a matter of seconds: pip install 'cbirlab[scale]'."
    )
    return _found_by(ExactIndex().fit(rows), rows, k)


def _found_by_lists(rows: np.ndarray, k: int) -> Neighbours:
    """Neighbours by inverted lists, of which ever more are visited until enough is found."""
    from cbirlab.index.approximate import IVF

    index = IVF().fit(rows, None, rows)
    some = rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(int)]
    exact, recall, index.probes = ExactIndex().fit(rows).search(some, k + 1), 0.0, 4
    while recall < LEAST_RECALL and index.probes < index.lists_:
        index.probes = min(2 * index.probes, index.lists_)
        recall = float(np.nanmean(recall_of_exact(index.search(some, k + 1), some, rows, k + 1, exact=exact)))
    notify(
        f"neighbours: inverted lists found the {k} nearest of {len(rows):,} images, {recall:.1%} of the true ones "
        f"({index.probes} of {index.lists_} lists visited)."
    )
    return _found_by(index, rows, k, recall)


def _found_by(index: Any, rows: np.ndarray, k: int, recall: float = 1.0) -> Neighbours:
    images, scores = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
    for part in blocks(len(rows), BLOCK):
        found = index.search(rows[part], k + 1)
        near = _without_own(found, np.arange(part.start, part.stop), k)
        images[part], scores[part] = near.images, near.scores
    return Neighbours(images, scores, recall)


def _without_own(found: Ranking, own: np.ndarray, k: int) -> Neighbours:
    """Lists of `k` without the image itself, which need not come first if others are equal to it."""
    other = found.images != own[:, None]
    order = np.argsort(~other, axis=1, kind="stable")[:, :k]
    images, scores = (np.take_along_axis(part, order, 1) for part in (found.images, found.scores))
    return Neighbours(images, scores)
