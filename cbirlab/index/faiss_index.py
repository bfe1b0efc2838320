"""What the indexes of faiss share: how they are filled and kept, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import numpy as np

from cbirlab.compression.base import Code
from cbirlab.compression.binary import BinaryCode, hamming_scores
from cbirlab.compression.library import faiss_library, one_thread
from cbirlab.compression.scalar import FullRows
from cbirlab.index.exact import check_matrix, empty_rows
from cbirlab.index.ranking import blocks
from cbirlab.index.settled import ELEMENTS, ERROR, SettledIndex

QUERY_BITS = 8
"""Bits of each dimension of a query that RaBitQ compares; faiss takes 4, and scores are off by .02."""


class FaissIndex(SettledIndex):
    """Searches by faiss; rows of zeros are left out.

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

    @property
    def width(self) -> int:
        """D of the rows."""
        return self.code_.width_

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
        if rows.shape[1] != self.width:
            raise ValueError(f"{self._owner}: rows must have {self.width} dimensions, got {rows.shape[1]}.")
        if self.mapped_ is not None:
            self.index_, self.mapped_ = self._read(self.mapped_, copied=True), None
        empty = self.images_ + empty_rows(self._owner, rows)
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

    def _begin(self, rows: np.ndarray, code: Code | None) -> None:
        self._check()
        self.images_, self.code_ = len(rows), code or FullRows.of_width(rows.shape[1])
        self.rows = rows if code is None else None
        empty = empty_rows(self._owner, rows)
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

    def _found(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        distances, found = self._ask(self._stored(queries), k)
        images = self._images(found)
        return images, self._scored(queries, distances, found, images)

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
