"""Engines: servers that keep rows and search them, behind one small contract; their answers are checked, not trusted.

A collection is named by the recipe, the server's address comes from the environment. What is loaded is known by a hash
of the rows: another set of rows is refused, and so is a collection that lacks some. Equal scores go by image index, and
scores are those of `ExactIndex`, since the rows are at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol, Self

import numpy as np

from cbirlab.compression.base import Code
from cbirlab.compression.scalar import FullRows
from cbirlab.index.exact import check_matrix, empty_rows
from cbirlab.index.ranking import Ranking, blocks
from cbirlab.index.recall import recall_of_exact
from cbirlab.index.settled import SettledIndex

BATCH = 1000
"""Rows that are sent together."""
JUDGED, PLACES = 100, 10
"""How many rows are searched after a load to measure the recall, and how many of their neighbours."""


class EngineError(RuntimeError):
    """A server that is away or fails, or a collection that does not hold what it should; names the host."""


@dataclass(frozen=True)
class Info:
    """What an engine says of a collection.

    Attributes
    ----------
    engine, version : of the server.
    specification : what it was created with.
    notes : what was written down later.
    count : rows that it holds.
    size_bytes : of rows and index on the server.
    """

    engine: str
    version: str
    specification: Mapping[str, Any]
    notes: Mapping[str, Any]
    count: int
    size_bytes: int


class Engine(Protocol):
    """Keeps collections; every method may be repeated, and raises EngineError when the server fails twice.

    `host` is what errors name; it holds no user and no password.
    """

    host: str

    def create(self, name: str, dim: int, specification: Mapping[str, Any]) -> None:
        """Make a collection of rows with `dim` dimensions."""
        ...

    def upsert(self, name: str, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Write batches of (images, rows), in place of those that are there."""
        ...

    def finish(self, name: str) -> None:
        """Make ready for searches, once all rows are there."""
        ...

    def note(self, name: str, notes: Mapping[str, Any]) -> None:
        """Write something down beside the collection."""
        ...

    def info(self, name: str) -> Info | None:
        """What there is; None if there is no such collection."""
        ...

    def search(self, name: str, Q: np.ndarray, k: int, **knobs: Any) -> np.ndarray:
        """Images (Q, k), best first; -1 where the list has ended. A knob that it would ignore raises TypeError."""
        ...

    def drop(self, name: str) -> None:
        """Remove a collection, if there is one."""
        ...


class EngineIndex(SettledIndex):
    """Searches a collection of an engine; what it finds is scored by the full rows. Rows of zeros are not sent.

    Attributes
    ----------
    engine_ : its connection.
    rows : the database (N, D), as given to `fit`; not copied.
    nbytes : of rows and index on the server.
    recall_ : measured after the load: of the 10 nearest neighbours of 100 of its rows, the share that it finds.
    """

    collection: str
    engine_: Engine
    recall_: float
    rows: np.ndarray
    nbytes: int

    @property
    def width(self) -> int:
        """D of the rows."""
        return self.rows.shape[1]

    def _engine(self) -> Engine:
        raise NotImplementedError

    def _specification(self) -> dict[str, Any]:
        """What the engine has to keep apart."""
        raise NotImplementedError

    def fit(self, X: Any, code: Code | None = None, train: np.ndarray | None = None) -> Self:
        """Take the database (N, D): find it in the collection, or load it if there is no such collection.

        Raises
        ------
        EngineError : the collection holds other rows, or not all; the server is away.
        """
        self._take(X)
        if self.engine_.info(self.collection) is None:
            return self.load()
        self.recall_ = self._checked().notes["recall"]
        return self

    def push(self, X: Any, *, replace: bool = False) -> Self:
        """Load the database into the collection, in place of what it holds or to complete it.

        Parameters
        ----------
        replace : remove what the collection holds, if that is something else.
        """
        self._take(X)
        known = self.engine_.info(self.collection)
        if replace and known is not None and known.specification != self.wanted_:
            self.engine_.drop(self.collection)
        return self.load()

    def load(self) -> Self:
        """Write the rows that `fit` was given, and measure what searches find of them."""
        engine, name = self.engine_, self.collection
        if engine.info(name) is None:
            engine.create(name, self.width, self.wanted_)
        self._refuse_others(engine.info(name))
        there = np.flatnonzero(self.there_)
        batches = ((there[part], np.asarray(self.rows[there[part]])) for part in blocks(len(there), BATCH))
        engine.upsert(name, batches)
        engine.finish(name)
        self._checked(finished=False)
        self.recall_ = self._measured()
        engine.note(name, {"recall": self.recall_, **self._knobs()})
        return self

    def search(self, Q: Any, k: int | None = None) -> Ranking:
        """Rank the database for each row of `Q` (Q, D); the collection is compared with what it should hold first."""
        if hasattr(self, "images_"):
            self._checked()
        return super().search(Q, k)

    def info(self) -> Info:
        """What the engine says of the collection."""
        return self._checked()

    def _take(self, X: Any) -> None:
        rows = check_matrix(self._owner, "database", X)
        self._check()
        self.images_, self.rows, self.engine_ = len(rows), rows, self._engine()
        self.there_ = np.ones(len(rows), bool)
        self.there_[empty_rows(self._owner, rows)] = False
        checksum = sha256(f"{rows.shape}".encode())
        for part in blocks(len(rows), 2**16):
            checksum.update(np.ascontiguousarray(rows[part], np.float32).data)
        self.wanted_ = {"key": checksum.hexdigest(), "rows": int(self.there_.sum()), **self._specification()}

    def _checked(self, *, finished: bool = True) -> Info:
        """What the engine says of the collection, which holds what it should, and was `finished`."""
        known = self._refuse_others(self.engine_.info(self.collection))
        self.nbytes = known.size_bytes
        wanted = self.wanted_["rows"]
        if known.count != wanted:
            raise EngineError(
                f"{self._where()} holds {known.count} of {wanted} rows, {wanted - known.count} are missing; complete "
                "it: cbirlab index push, with the same options."
            )
        if finished and "recall" not in known.notes:
            raise EngineError(f"{self._where()} was not finished; go on with: cbirlab index push.")
        return known

    def _refuse_others(self, known: Info | None) -> Info:
        if known is None:
            raise EngineError(f"{self._where()} is not there any more; load it again: cbirlab index push.")
        for name, wanted in self.wanted_.items():
            found = known.specification.get(name)
            if found != wanted:
                what = "other descriptors" if name in ("key", "rows") else f"{name} {found!r}, not {wanted!r}"
                raise EngineError(
                    f"{self._where()} was made with {what}; choose another collection, or put these in its place: "
                    "cbirlab index push --replace."
                )
        return known

    def _where(self) -> str:
        return f"{self._owner} at {self.engine_.host}: collection {self.collection!r}"

    def _knobs(self) -> dict[str, Any]:
        """What a search is given beside the queries."""
        return {}

    def _limit(self) -> int:
        return self.wanted_["rows"]

    def _found(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        found = self.engine_.search(self.collection, queries, k, **self._knobs())
        return found, FullRows().scores_beside(queries, self.rows[found])

    def _measured(self) -> float:
        """Recall of the exact list for some of the rows, which find themselves and are not counted."""
        chosen = np.flatnonzero(self.there_)
        chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:JUDGED])
        depth = min(PLACES + 1, self._limit())
        if depth < 2:
            return 1.0
        queries = np.asarray(self.rows[chosen])
        shares = recall_of_exact(super().search(queries, depth), queries, self.rows, depth)
        return float((depth * shares.mean() - 1) / (depth - 1))
