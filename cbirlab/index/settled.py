"""Settled lists: what something else has found, with the ties, ends and checks that all indexes have."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.base.params import check_parameters, parameters
from cbirlab.index.base import check_depth
from cbirlab.index.exact import check_matrix
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, keys_of, settle, unpack_scores

SLACK = 16
"""How many more results than wanted are asked for, so that those with equal scores can be put in order."""

ERROR = np.float32(2e-6)
"""How much the score of a full row may differ from what a library computes in float32."""

ELEMENTS = 2**23
"""Numbers that are held at a time."""


class SettledIndex:
    """Base of the indexes that others search: equal scores go by image index, and lists are filled up.

    Libraries and servers keep any of several rows with equal scores and give them in any order. So they are asked for
    more results, and for twice as many as long as the last one is as near as the last one that is wanted.

    A subclass fills in `width`, `_limit` and `_found`.

    Attributes
    ----------
    images_ : N.
    """

    images_: int

    @property
    def width(self) -> int:
        """D of the rows."""
        raise NotImplementedError

    @property
    def _owner(self) -> str:
        return type(self).__name__

    def _check(self) -> None:
        given = {name: getattr(self, name) for name in parameters(type(self))}
        check_parameters(type(self), given, owner=self._owner)

    def search(self, Q: Any, k: int | None = None) -> Ranking:
        """Rank the database for each row of `Q` (Q, D), L2-normalised; what is not found ends the list, at -inf.

        Raises
        ------
        RuntimeError : `fit` was not called.
        ValueError : another width, `k` out of range, NaN or infinity.
        """
        if not hasattr(self, "images_"):
            raise RuntimeError(f"{self._owner}: call fit(X) with the database before search.")
        queries = check_matrix(self._owner, "queries", Q)
        if queries.shape[1] != self.width:
            raise ValueError(f"{self._owner}: queries must have {self.width} dimensions, got {queries.shape[1]}.")
        if not np.isfinite(queries).all():
            raise ValueError(f"{self._owner}: queries must be finite, got NaN or infinity.")
        depth = check_depth(self._owner, k, self.images_)
        size = max(1, ELEMENTS // ((depth + SLACK) * queries.shape[1]))
        asked = queries.any(axis=1) & (self._limit() > 0)
        if len(queries) <= size and asked.all():
            images, scores = self._lists(queries, depth, self._first(depth))
            if images.shape[1] == depth:
                return settle(images, scores, self.images_)
            lists = [(slice(None), images, scores)]
        else:
            parts = [np.flatnonzero(asked)[part] for part in blocks(int(asked.sum()), size)]
            lists = ((part, *self._lists(queries[part], depth, self._first(depth))) for part in parts)
        images, scores = np.full((len(queries), depth), -1, np.int64), np.full((len(queries), depth), -np.inf, "f4")
        for part, found, values in lists:
            images[part, : found.shape[1]], scores[part, : found.shape[1]] = found, values
        return settle(images, scores, self.images_)

    def _lists(self, queries: np.ndarray, depth: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """Images and scores (q, k), best first, k at most `depth`; -1 at -inf where the list has ended.

        They are the best of `wanted` results, or of more where these do not settle them.
        """
        limit = self._limit()
        wanted = min(wanted, limit)
        images, scores = self._found(queries, wanted)
        scores[images < 0] = -np.inf
        if not (scores[:, 1:] < scores[:, :-1]).all():
            keys = np.sort(keys_of(scores, images), axis=1)
            scores = unpack_scores(keys)
            images = np.where(scores == -np.inf, -1, keys & LOW_WORD)
        if depth < wanted < limit:
            unsure = (scores[:, depth - 1] <= scores[:, -1] + self._error) & (scores[:, -1] > -np.inf)
            images, scores = images[:, :depth], scores[:, :depth]
            if unsure.any():
                images[unsure], scores[unsure] = self._lists(queries[unsure], depth, 2 * wanted)
        return images[:, :depth], scores[:, :depth]

    def _first(self, depth: int) -> int:
        """How many results are asked for first."""
        return depth + SLACK

    @property
    def _error(self) -> np.float32:
        """How much scores may differ from those by which results were chosen."""
        return ERROR

    def _limit(self) -> int:
        """Most results that a search can give."""
        raise NotImplementedError

    def _found(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (q, k) in any order, -1 for none, and their scores in float32; arrays that nobody else holds."""
        raise NotImplementedError
