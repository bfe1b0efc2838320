"""Indexes of faiss: inverted lists (IVF), a graph (HNSW), and scans of all codes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.base.params import Range
from cbirlab.compression import library
from cbirlab.compression.base import Code
from cbirlab.compression.library import faiss_library
from cbirlab.compression.quantisers import PQ, ROWS_PER_CENTRE
from cbirlab.index.exact import ExactIndex
from cbirlab.index.faiss_index import FaissIndex
from cbirlab.index.settled import SLACK

LISTS = Range(1, 1 << 20, integer=True, optional=True)


class IVF(FaissIndex):
    """Inverted lists: k-means cells learned on the learning set; a query visits the lists of its nearest cells.

    Parameters
    ----------
    lists : cells; by default four times the square root of N, and one for each 39 rows of the learning set at most.
    probes : lists that a query visits, by default 8. It needs no new index.

    Attributes
    ----------
    lists_ : how many there are.

    References
    ----------
    Sivic and Zisserman, ICCV 2003; with product quantisation: Jégou et al., TPAMI 2011.
    """

    def __init__(self, *, lists: Annotated[int | None, LISTS] = None, probes: Annotated[int | None, LISTS] = None):
        self.lists, self.probes = lists, probes

    def _built(self, images: int, train: np.ndarray) -> Any:
        most, usual = len(train) // ROWS_PER_CENTRE, round(4 * images**0.5)
        lists = self.lists or max(1, min(usual, most))
        if lists > len(train):
            raise ValueError(
                f"IVF: lists must be at most {len(train)}, the rows of the learning set, got {lists}; take at most "
                f"{max(1, most)}, or learn on a larger set (whitening_set)."
            )
        if lists > max(1, most):
            warnings.warn(
                f"IVF: lists={lists} wants {ROWS_PER_CENTRE * lists} rows to learn on, {ROWS_PER_CENTRE} for each, and "
                f"has {len(train)}.",
                stacklevel=4,
            )
        elif self.lists is None and lists < usual:
            notify(
                f"IVF: makes {lists} lists on {len(train)} rows to learn on; {usual}, four times the square root of "
                f"{images}, would want {ROWS_PER_CENTRE * usual}."
            )
        return self._made(f"IVF{lists}", train)

    @property
    def lists_(self) -> int:
        """How many lists there are."""
        return self.index_.nlist

    def share_visited(self, Q: np.ndarray) -> float:
        """Share of the database in the lists that a query visits, on average over the queries (Q, D)."""
        sizes = np.array([self.index_.invlists.list_size(number) for number in range(self.lists_)])
        visited = self.index_.quantizer.search(self._stored(Q), self._visits())[1]
        return float(sizes[visited].sum(axis=1).mean() / self.images_)

    def _visits(self) -> int:
        """How many lists a query visits."""
        if (self.probes or 1) > self.lists_:
            raise ValueError(f"IVF: probes must be at most {self.lists_}, the number of lists, got {self.probes}.")
        return self.probes or min(8, self.lists_)

    def _ask(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        visited = faiss_library("IVF").SearchParametersIVF(nprobe=self._visits())
        return self.index_.search(queries, k, params=visited)


class HNSW(FaissIndex):
    """A graph of near neighbours in layers: a query walks along links towards its answers.

    It finds `ef` images at most; what a longer list would hold is no answer. It is built by one thread, so that it is
    the same each time.

    Parameters
    ----------
    links : neighbours that an image is joined to (twice as many in the lowest layer).
    ef : candidates that a search keeps. It needs no new index.
    ef_construction : candidates while the graph is built.

    References
    ----------
    Malkov and Yashunin, TPAMI 2020.
    """

    ordered = True

    def __init__(
        self,
        *,
        links: Annotated[int, Range(2, 512, integer=True)] = 32,
        ef: Annotated[int, Range(1, 1 << 16, integer=True)] = 64,
        ef_construction: Annotated[int, Range(1, 1 << 16, integer=True)] = 40,
    ) -> None:
        self.links, self.ef, self.ef_construction = links, ef, ef_construction

    def _built(self, images: int, train: np.ndarray) -> Any:
        made = self._made(f"HNSW{self.links}", train)
        made.hnsw.efConstruction = self.ef_construction
        return made

    def share_visited(self, Q: np.ndarray) -> float:
        """Comparisons on the walk of a query, as a share of the database, on average over the queries (Q, D).

        It may exceed 1: an image is met in several layers.
        """
        counted = faiss_library("HNSW").cvar.hnsw_stats
        counted.reset()
        self._ask(self._stored(Q), 1)
        return counted.ndis / len(Q) / self.images_

    def _limit(self) -> int:
        return min(self.ef, self.index_.ntotal)

    def _ask(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return self.index_.search(queries, k, params=faiss_library("HNSW").SearchParametersHNSW(efSearch=self.ef))


class FastScan(FaissIndex):
    """All codes of 4-bit PQ, many at a time by tables in registers; what is found is scored again from its codes.

    The tables hold 8-bit numbers, so its own scores are coarse; they choose twice as many as wanted, and are not shown.

    References
    ----------
    André, Kermarrec and Le Scouarnec, VLDB 2015.
    """

    def _built(self, images: int, train: np.ndarray) -> Any:
        code = self.code_
        if not isinstance(code, PQ) or code.bits_ != 4:
            raise ValueError(f"FastScan: needs compression 'pq(bits=4)' or 'opq(bits=4)', got {type(code).__name__}.")
        faiss = faiss_library("FastScan")
        plain = faiss.IndexPQ(code.width_, len(code.centres_), 4, faiss.METRIC_L2)
        faiss.copy_array_to_vector(np.ascontiguousarray(code.centres_).ravel(), plain.pq.centroids)
        plain.is_trained = True
        return faiss.IndexPQFastScan(plain)

    def _first(self, depth: int) -> int:
        return 2 * depth + SLACK

    def _scored(self, queries: np.ndarray, distances: np.ndarray, found: np.ndarray, images: np.ndarray) -> np.ndarray:
        code = self.code_
        assert isinstance(code, PQ)
        return code.scores_of_cells(code.prepare(queries), self._cells(np.maximum(found, 0), len(code.centres_)))

    def _cells(self, rows: np.ndarray, groups: int) -> np.ndarray:
        """The numbers of the centres (q, k, m) of faiss's rows (q, k).

        faiss decodes rows too, but takes longer for it than for its search. It keeps 32 rows in a block, 16 bytes for
        each group: row 0, 8, 1, 9, ... in the lower half of a byte, and the row 16 further in the upper half.
        """
        codes = self.index_.codes
        packed = faiss_library("FastScan").rev_swig_ptr(codes.get(), codes.size())
        block, row = divmod(rows, 32)
        first = block * (16 * self.index_.M2) + row % 8 * 2 + row % 16 // 8
        found = packed.take(first[..., None] + 16 * np.arange(groups))
        return found >> (row // 16 * 4).astype(np.uint8)[..., None] & 15


class Hamming(FaissIndex):
    """All binary codes, by Hamming distance: the lists of index "exact", sooner."""

    def fit(self, X: Any, code: Code | None = None, train: np.ndarray | None = None) -> Self:
        """Take the database; `code` must be binary, with distance "symmetric"."""
        return super().fit(X, _bits_alone(code), train)

    def saved(self) -> dict[str, np.ndarray]:
        """What is to be kept of the index beside the code, in the form of `ExactIndex`, which needs no faiss."""
        width, index = self.code_.row_bytes, self.index_
        empty = np.zeros(self.images_, bool)
        empty[self.gaps_ + np.arange(len(self.gaps_))] = True
        codes = np.zeros((self.images_, width), np.uint8)
        if index.ntotal:
            stored = faiss_library("Hamming").rev_swig_ptr(index.xb.data(), index.ntotal * width)
            codes[~empty] = stored.reshape(-1, width)
        return {"codes": codes, "empty": empty}

    def restore(self, X: Any, code: Code | None, saved: Mapping[str, np.ndarray]) -> Self:
        """Take the database from what `saved` gave for the same code."""
        self.code_, self.rows = _bits_alone(code), None
        empty = np.asarray(saved["empty"])
        gaps = np.flatnonzero(empty)
        self.images_, self.gaps_ = len(empty), gaps - np.arange(len(gaps))
        self.index_ = self._built(len(empty) - len(gaps), np.empty((0, 0)))
        self.index_.add(np.ascontiguousarray(saved["codes"][~empty]))
        return self._counted()

    def _built(self, images: int, train: np.ndarray) -> Any:
        built = faiss_library("Hamming").IndexBinaryFlat(8 * self.code_.row_bytes)
        built.use_heap = False  # it then counts distances, and keeps the first of the images with equal ones
        return built

    def _first(self, depth: int) -> int:
        return depth


class ExactHamming(ExactIndex):
    """The same without faiss: exact search that takes binary codes alone."""

    def fit(self, X: Any, code: Code | None = None, train: Any = None) -> ExactIndex:
        """Take the database; `code` must be binary, with distance "symmetric"."""
        return super().fit(X, _bits_alone(code))


def hamming() -> Hamming | ExactHamming:
    """The index "hamming": of faiss if it is there."""
    return Hamming() if library.has_faiss() else ExactHamming()


def _bits_alone(code: Code | None) -> Code:
    if code is None or not code.symmetric:
        raise ValueError(
            "Hamming: needs a binary compression with distance 'symmetric', as 'itq(bits=64)', got "
            f"{'full rows' if code is None else type(code).__name__}; take index 'exact'."
        )
    return code
