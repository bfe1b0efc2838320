"""CodeLens: the codes of a session, with what they make of its images; each is learned once."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.recent import Recent
from cbirlab.compression import Compression
from cbirlab.compression.base import Code
from cbirlab.index import ExactIndex, Ranking, rescore
from cbirlab.index.base import values_of
from cbirlab.pipeline import Recipe

if TYPE_CHECKING:
    from cbirlab.live import Session

KEPT, KEPT_BYTES = 64, 1 << 28


@dataclass(frozen=True, eq=False)
class Coded:
    """A fitted code, and what it makes of a database.

    Attributes
    ----------
    code : fitted.
    images, queries : descriptors (N, D) and (Q, D), as they are searched.
    index : exact search over the codes.
    codes : (N, W).
    train : (n, D), the rows that the code has learned on; empty if it learns nothing.
    """

    code: Code
    images: np.ndarray
    queries: np.ndarray
    index: ExactIndex
    train: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """(N, W)."""
        return self.index.database_

    @property
    def empty(self) -> np.ndarray:
        """Images without a descriptor (N,)."""
        return np.asarray(~self.images.any(axis=1))

    def row(self, item: int) -> np.ndarray:
        """The descriptor (D,) of a picture, as galleries count: database images, then queries.

        Raises
        ------
        ValueError : it has none.
        """
        images = len(self.images)
        found = self.images[item] if item < images else self.queries[item - images]
        if not found.any():
            raise ValueError("This picture has no descriptor, because it cannot be read; choose another one.")
        return found

    def rank(self, row: np.ndarray, rescored: int = 0) -> Ranking:
        """Rank the database by its codes for a descriptor (D,), the first places re-scored with full descriptors."""
        found = self.index.search(row[None])
        return rescore(found, row[None], self.images, rescored) if rescored else found


class CodeLens:
    """Learns codes for settings of a session.

    Parameters
    ----------
    session : its images have one vector each.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._coded = Recent(KEPT, most_bytes=KEPT_BYTES, size=lambda one: one.codes.nbytes)
        self._there: set[tuple[str, ...]] = set()
        self._lock = threading.RLock()

    def recipe(self, setting: Any, compression: Compression) -> Recipe:
        """The resolved recipe of a setting, as `Session.recipe` takes it, with a code.

        Raises
        ------
        ValueError : images that are compared by more than one vector.
        """
        tap, aggregation, whitening, dimensions, *stages = setting
        chosen = (*(stages[0] if stages else ()), ("compression", compression))
        return self.session.recipe(tap, aggregation, whitening, dimensions, chosen)

    def has(self, setting: Any, compression: Compression) -> bool:
        """Whether a code has been learned for a setting."""
        return _key(setting, compression) in self._there

    def coded(self, setting: Any, compression: Compression) -> Coded:
        """The code for a setting, learned and applied if this is the first time.

        Raises
        ------
        ValueError : the learning set is too small for the code, or lacks what it needs.
        MissingLibrary : of a code that needs faiss.
        """
        key = _key(setting, compression)
        with self._lock:
            found = self._coded.get(key, lambda: self._make(self.recipe(setting, compression)))
            self._there.add(key)
            return found

    def _make(self, recipe: Recipe) -> Coded:
        bench = self.session.bench
        with self.session.lock:
            bench.fill([recipe])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a panel says in its own words that the learning set is small
            learned = bench.learned(recipe)
        with self.session.lock:
            images, queries = (np.asarray(values_of("CodeLens", rows)) for rows in bench.pair(recipe))
        if learned.code is None:
            raise ValueError("CodeLens: compression must be a code, got 'none'.")
        return Coded(learned.code, images, queries, ExactIndex().fit(images, learned.code), learned.train)


def _key(setting: Any, compression: Compression) -> tuple[str, ...]:
    return (*(str(part) for part in setting), compression.key)
