"""What the indexes of faiss share: the ties, scores and lists of this package."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import numpy as np

from cbirlab.base.params import check_parameters, parameters
from cbirlab.compression.base import Code
from cbirlab.compression.binary import BinaryCode, hamming_scores
from cbirlab.compression.library import faiss_library, one_thread
from cbirlab.compression.scalar import FullRows
from cbirlab.index.base import check_depth
from cbirlab.index.exact import check_matrix
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, keys_of, settle, unpack_scores

SLACK = 16
"""How many more results than wanted faiss is asked for, so that those with equal scores can be put in order."""

ERROR = np.float32(2e-6)
"""How much the score of a full row may differ from what faiss computes in float32."""

QUERY_BITS = 8
"""Bits of each dimension of a query that RaBitQ compares; faiss takes 4, and scores are off by .02."""

ELEMENTS = 2**23
"""Numbers that are held at a time."""


class FaissIndex:
    """Searches by faiss: rows of zeros are left out, equal scores go by image index, lists are filled up.

    faiss keeps any of several rows with equal scores and gives them in any order. So it is asked for more results, and
    for twice as many as long as the last one is as near as the last one that is wanted.

    Full rows are scored again as `ExactIndex` scores them, from the rows that `fit` was given. Codes are scored by the
    distance that faiss gives, as in `cbirlab.compression.base.Code`.

    Attributes
    ----------
    code_ : how rows are kept.
    rows : the database (N, D) if it is kept as it is, without a code.
    gaps_ : for each row of zeros, how many rows before it are not.
    index_ : of faiss.
    mapped_ : the bytes, perhaps of a file, that `index_` reads when it is searched; None if it holds its own.
    nbytes : as it would be on disk.
    """

    code_: Code
    index_: Any
    mapped_: np.ndarray | None = None
    rows: np.ndarray | None
    nbytes: int
    ordered: ClassVar[bool] = False
    """Whether the index depends on the order in which rows are added: then one thread adds them."""

    def _check(self) -> None:
        given = {name: getattr(self, name) for name in parameters(type(self))}
        check_parameters(type(self), given, owner=self._owner)

    @property
    def _owner(self) -> str:
        return type(self).__name__

    def fit(self, X: Any, code: Code | None = None, train: np.ndarray | None = None) -> Self:
        """Take the database.

        Parameters
        ----------
        X : (N, D), L2-normalised, one row per image; without a code it is kept, not copied.
        code : fitted; by default rows are kept in float32.
        train : (n, D), rows to learn lists and codebooks on.

        Raises
        ------
        ValueError : rows that are not finite, a code that faiss has no such storage for, too few rows to learn on.
        MissingLibrary : faiss is not installed.
        """
        rows = check_matrix(self._owner, "database", X)
        self._begin(rows, code)
        train = rows[:0] if train is None else train
        with one_thread(self._owner):
            self.index_ = self._built(len(rows) - len(self.gaps_), train)
        self._add(rows)
        return self._counted()

    def extend(self, X: Any) -> Self:
        """Add images behind those that are there; nothing is learned again.

        Raises
        ------
        ValueError : rows of another width, or not finite.
        """
        rows = check_matrix(self._owner, "rows to add", X)
        if rows.shape[1] != self.code_.width_:
            raise ValueError(f"{self._owner}: rows must have {self.code_.width_} dimensions, got {rows.shape[1]}.")
        if self.mapped_ is not None:
            self.index_, self.mapped_ = self._read(self.mapped_, copied=True), None
        empty = self.images_ + _empty(self._owner, rows)
        self.gaps_ = np.concatenate([self.gaps_, empty - len(self.gaps_) - np.arange(len(empty))])
        self.images_ += len(rows)
        if self.rows is not None:
            self.rows = np.concatenate([self.rows, rows])
        self._add(rows)
        return self._counted()

    def saved(self) -> dict[str, np.ndarray]:
        """What is to be kept of the index beside the rows and the code."""
        faiss = faiss_library(self._owner)
        written = (faiss.serialize_index_binary if self.code_.symmetric else faiss.serialize_index)(self.index_)
        return {"index": written, "gaps": self.gaps_, "images": np.asarray(self.images_)}

    def restore(self, X: Any, code: Code | None, saved: Mapping[str, np.ndarray]) -> Self:
        """Take the database from what `saved` gave for the same rows, code and parameters; codes need no rows.

        Arrays that are mapped files stay that: a search reads the parts of them that it visits.
        """
        self._check()
        self.code_ = code or FullRows.of_width(X.shape[1])
        self.rows = X if code is None else None
        self.images_, self.gaps_ = int(saved["images"]), np.asarray(saved["gaps"])
        self.mapped_ = np.asarray(saved["index"])
        self.index_ = self._read(self.mapped_, copied=False)
        self.nbytes = self.mapped_.nbytes + self.gaps_.nbytes
        return self

    def _read(self, written: np.ndarray, *, copied: bool) -> Any:
        """The index that faiss wrote; unless it is `copied`, it looks into `written` for codes, ids and links."""
        faiss = faiss_library(self._owner)
        if copied:
            return (faiss.deserialize_index_binary if self.code_.symmetric else faiss.deserialize_index)(written)
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(written), written.nbytes)
        return (faiss.read_index_binary if self.code_.symmetric else faiss.read_index)(reader)

    def search(self, Q: Any, k: int | None = None) -> Ranking:
        """Rank the database for each row of `Q` (Q, D), L2-normalised; what is not found ends the list, at -inf.

        Raises
        ------
        RuntimeError : `fit` was not called.
        ValueError : another width, `k` out of range, NaN or infinity.
        """
        if not hasattr(self, "index_"):
            raise RuntimeError(f"{self._owner}: call fit(X) with the database before search.")
        queries = check_matrix(self._owner, "queries", Q)
        if queries.shape[1] != self.code_.width_:
            raise ValueError(
                f"{self._owner}: queries must have {self.code_.width_} dimensions, got {queries.shape[1]}."
            )
        if not np.isfinite(queries).all():
            raise ValueError(f"{self._owner}: queries must be finite, got NaN or infinity.")
        depth = check_depth(self._owner, k, self.images_)
        images, scores = np.full((len(queries), depth), -1, np.int64), np.full((len(queries), depth), -np.inf, "f4")
        asked = np.flatnonzero(queries.any(axis=1) & (self._limit() > 0))
        for part in blocks(len(asked), ELEMENTS // ((depth + SLACK) * queries.shape[1])):
            here = asked[part]
            found = self._lists(queries[here], depth)
            images[here, : found[0].shape[1]], scores[here, : found[0].shape[1]] = found
        return settle(images, scores, self.images_)

    def _begin(self, rows: np.ndarray, code: Code | None) -> None:
        self._check()
        self.images_, self.code_ = len(rows), code or FullRows.of_width(rows.shape[1])
        self.rows = rows if code is None else None
        empty = _empty(self._owner, rows)
        self.gaps_ = empty - np.arange(len(empty))

    def _counted(self) -> Self:
        self.nbytes = _size(self.index_, binary=self.code_.symmetric) + self.gaps_.nbytes
        return self

    def _add(self, rows: np.ndarray) -> None:
        """Give the rows that are not zero to faiss."""
        with one_thread(self._owner) if self.ordered else nullcontext():
            for part in blocks(len(rows), ELEMENTS // rows.shape[1]):
                found = np.asarray(rows[part])
                there = found[found.any(axis=1)] if len(self.gaps_) else found
                if len(there):
                    self.index_.add(self._stored(there))

    def _stored(self, rows: np.ndarray) -> np.ndarray:
        """Rows as faiss takes them."""
        stored = self.code_.encode(rows) if self.code_.symmetric else self.code_.space(rows).astype(np.float32)
        return np.ascontiguousarray(stored)

    def _lists(self, queries: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Images and scores (q, k), k at most `depth`, best first; -1 at -inf where the list has ended."""
        keys = self._sorted(queries, self._first(depth), depth)
        scores = unpack_scores(keys)
        return np.where(scores == -np.inf, -1, keys & LOW_WORD), scores

    def _sorted(self, queries: np.ndarray, wanted: int, depth: int) -> np.ndarray:
        """Sorted keys (q, k) of the best `depth` of `wanted` results, or of more where these do not settle them."""
        limit = self._limit()
        wanted = min(wanted, limit)
        distances, found = self._ask(self._stored(queries), wanted)
        images = self._images(found)
        scores = self._scored(queries, distances, found, images)
        scores[found < 0] = -np.inf
        keys = np.sort(keys_of(scores, images), axis=1)
        if depth < wanted < limit:
            ends = unpack_scores(keys[:, [depth - 1, -1]])
            unsure = (ends[:, 0] <= ends[:, 1] + self._error) & (ends[:, 1] > -np.inf)
            keys = keys[:, :depth]
            if unsure.any():
                keys[unsure] = self._sorted(queries[unsure], 2 * wanted, depth)
        return keys[:, :depth]

    def _first(self, depth: int) -> int:
        """How many results faiss is asked for first."""
        return depth + SLACK

    def _images(self, found: np.ndarray) -> np.ndarray:
        """The images that are faiss's rows `found`, -1 for none."""
        return found + np.searchsorted(self.gaps_, found, side="right") if len(self.gaps_) else found

    @property
    def _error(self) -> np.float32:
        return ERROR if self.rows is not None else np.float32(0)

    def _scored(self, queries: np.ndarray, distances: np.ndarray, found: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Scores (q, k) in float32 of what faiss found at its rows `found`, which are `images` of the database."""
        if self.rows is not None:
            return self.code_.scores_beside(queries, self.rows[images])
        if isinstance(self.code_, BinaryCode) and self.code_.symmetric:
            return hamming_scores(distances, self.code_.bits_)
        return (1 - distances / 2).astype(np.float32)

    def _limit(self) -> int:
        """Most results that a search can give."""
        return self.index_.ntotal

    def _built(self, images: int, train: np.ndarray) -> Any:
        """The index of faiss, trained and empty."""
        raise NotImplementedError

    def _ask(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances and rows (q, k), as faiss gives them."""
        return self.index_.search(queries, k)

    def _made(self, name: str, train: np.ndarray) -> Any:
        """What faiss calls `name`, for the code, trained where it has to be."""
        faiss = faiss_library(self._owner)
        if self.code_.symmetric:
            made = faiss.index_binary_factory(8 * self.code_.row_bytes, f"B{name}")
        elif self.code_.factory:
            width = self.code_.space(np.zeros((1, self.code_.width_), np.float32)).shape[1]
            made = faiss.index_factory(width, f"{name},{self.code_.factory}", faiss.METRIC_L2)
        else:
            raise ValueError(
                f"{self._owner}: searches full rows, 'float16', 'sq', 'truncate', 'rabitq', 'pq', 'opq', or a binary "
                f"code with distance 'symmetric', got {type(self.code_).__name__}; take index 'exact', or another code."
            )
        for part in _parts(made):
            if hasattr(part, "qb"):
                part.qb = QUERY_BITS
        if not made.is_trained:
            if not len(train):
                raise ValueError(f"{self._owner}: needs rows to learn on (train), got none.")
            _quieten(made)
            made.train(self._stored(train[train.any(axis=1)]))
        return made


def _empty(owner: str, rows: np.ndarray) -> np.ndarray:
    """Numbers of the rows (N, D) that are zero; refuses those that are not finite. Looks at a block at a time."""
    found = []
    for part in blocks(len(rows), 2**16):
        block = np.asarray(rows[part])
        if not np.isfinite(block).all():
            row = part.start + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise ValueError(f"{owner}: database must be finite, got NaN or infinity in row {row}.")
        found.append(part.start + np.flatnonzero(~block.any(axis=1)))
    return np.concatenate(found)


def _size(index: Any, *, binary: bool) -> int:
    """Bytes that an index of faiss takes on disk, counted while it is written to nowhere."""
    faiss = faiss_library("FaissIndex")
    written = [0]

    def count(part: bytes) -> int:
        written[0] += len(part)
        return len(part)

    (faiss.write_index_binary if binary else faiss.write_index)(index, faiss.PyCallbackIOWriter(count))
    return written[0]


def _quieten(index: Any) -> None:
    """Keep faiss from writing warnings of few rows to the terminal: they are said here, as warnings of Python."""
    for part in _parts(index):
        for learning in (part, getattr(part, "pq", None)):
            clustering = getattr(learning, "cp", None)
            if clustering is not None:
                clustering.min_points_per_centroid = 1


def _parts(index: Any) -> list[Any]:
    """An index of faiss, and what keeps the codes of a graph."""
    floats = hasattr(index, "storage") and not hasattr(index, "code_size")
    return [index, faiss_library("FaissIndex").downcast_index(index.storage)] if floats else [index]
