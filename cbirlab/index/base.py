"""Indexes: descriptors in, rankings out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry
from cbirlab.compression import Compression
from cbirlab.index.ranking import Ranking
from cbirlab.whitening import normalise

INDEXES: Registry[Any] = Registry("index")
"""Facts: `approximate`, whether lists may lack what an exact search finds; `codes`, which codes ``fit(X, code, train)``
takes: "any", "bits" compared bit by bit, "pq4", or "faiss" for those that it stores (without it, an index is called as
``fit(X)``); `learned`, whether it needs `train`, rows to learn on; `stored`, whether ``saved`` and ``restore`` keep it
in the store; `dials`, the parameters that need no new index; `bounds`, for a parameter the one that it may not exceed;
`server`, whether it needs a server that the user runs, and so is no part of "all"."""

INDEXES.add("exact", "cbirlab.index.exact:ExactIndex", title="Exact search", approximate=False, codes="any")
INDEXES.add(
    "hamming",
    "cbirlab.index.approximate:hamming",
    title="All binary codes, by Hamming distance",
    approximate=False,
    codes="bits",
)
INDEXES.add(
    "fastscan",
    "cbirlab.index.approximate:FastScan",
    title="All 4-bit PQ codes, by fast scan",
    reference="André et al., VLDB 2015",
    approximate=True,
    codes="pq4",
)
INDEXES.add(
    "ivf",
    "cbirlab.index.approximate:IVF",
    title="Inverted lists (IVF)",
    reference="Sivic and Zisserman, ICCV 2003; Jégou et al., TPAMI 2011",
    approximate=True,
    codes="faiss",
    learned=True,
    stored=True,
    dials=("probes",),
    bounds={"probes": "lists"},
)
INDEXES.add(
    "hnsw",
    "cbirlab.index.approximate:HNSW",
    title="Graph of neighbours (HNSW)",
    reference="Malkov and Yashunin, TPAMI 2020",
    approximate=True,
    codes="faiss",
    stored=True,
    dials=("ef",),
)
INDEXES.add(
    "pgvector",
    "cbirlab.index.pgvector_index:PgVectorIndex",
    title="A collection in PostgreSQL (pgvector)",
    approximate=True,
    dials=("ef",),
    server=True,
    named=("collection", "kind"),
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Descriptors of images: one row each, or several rows each if images are compared view by view.

    Attributes
    ----------
    values : float32 (rows, D).
    counts : (images,), rows of each image; None for one each.
    """

    values: np.ndarray
    counts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values) if self.counts is None else len(self.counts)

    def of(self, images: Sequence[int]) -> Rows:
        """The rows of some images."""
        if self.counts is None:
            return Rows(self.values[list(images)])
        ends = np.cumsum(self.counts)
        kept = [np.arange(ends[image] - self.counts[image], ends[image]) for image in images]
        return Rows(self.values[np.concatenate(kept)], self.counts[list(images)])

    def part(self, images: slice) -> Rows:
        """The rows of some consecutive images."""
        if self.counts is None:
            return Rows(self.values[images])
        ends = np.concatenate([[0], np.cumsum(self.counts)])
        return Rows(self.values[ends[images.start] : ends[images.stop]], self.counts[images])

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Rows:
        """The same images with changed values."""
        return Rows(change(self.values), self.counts) if len(self.values) else self

    def described(self) -> np.ndarray:
        """Which images have a descriptor (images,)."""
        there = np.asarray(self.values.any(axis=1))
        return there if self.counts is None else np.logical_or.reduceat(there, np.cumsum(self.counts) - self.counts)

    def means(self) -> np.ndarray:
        """One row per image (images, D): the normalised mean of its rows if it has several."""
        if self.counts is None:
            return self.values
        starts = np.cumsum(self.counts) - self.counts
        return normalise(np.add.reduceat(self.values, starts, axis=0))


class Index(Protocol):
    """Ranks a database: `fit` takes its descriptors once, `search` ranks it for any number of queries."""

    def fit(self, X: Any) -> Self:
        """Take the database: (N, D), or `Rows` if images have several rows."""
        ...

    def search(self, Q: Any, k: int | None = None) -> Ranking:
        """Rank it for each query, (Q, D) or `Rows`: the first `k` of all N images, or all of them."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes that the database takes in the index."""
        ...


class IndexMethod(Method):
    """An index with its parameters, as recipes name it: "exact"; those at their defaults are left out."""

    registry: ClassVar[Registry[Any]] = INDEXES
    terse: ClassVar[bool] = True

    def make(self) -> Index:
        """The index, without a database yet."""
        return self.target()(**self.parameters)

    def refuses(self, compression: Compression) -> str:
        """Empty, or why this index cannot hold such codes."""
        takes, bits = self.fact("codes"), compression.parameters.get("bits")
        symmetric = compression.fact("binary") and compression.parameters["distance"] == "symmetric"
        if takes == "any":
            return ""
        if takes == "bits":
            return "" if symmetric else "a binary compression with distance 'symmetric', as 'itq(bits=64)'"
        if takes == "pq4":
            return (
                "" if compression.name in ("pq", "opq") and bits in (None, 4) else "compression 'pq(bits=4)' or 'opq'"
            )
        if takes is None:
            return "compression 'none'" if compression.used else ""
        if compression.fact("binary") and not symmetric:
            return "a binary compression with distance 'symmetric', another compression, or 'none'"
        return ""

    @property
    def built(self) -> Self:
        """The method with its dials at their defaults: methods that are alike in this share one index."""
        dials = self.fact("dials", ())
        return type(self)(self.name, {name: value for name, value in self.params if name not in dials})

    def dialled(self, index: Any) -> Any:
        """A view of an index that was made for `built`, with the dials of this method."""
        turned = copy(index)
        for name in self.fact("dials", ()):
            setattr(turned, name, self.parameters[name])
        return turned


def values_of(owner: str, X: Any) -> Any:
    """The rows of a database or of queries, one per image, given as they are or as `Rows`.

    Raises
    ------
    ValueError : images with several rows each.
    """
    if not isinstance(X, Rows):
        return X
    if X.counts is not None:
        raise ValueError(f"{owner}: every image must have one row, got Rows with counts; take PatchIndex.")
    return X.values


def check_depth(owner: str, k: int | None, images: int) -> int:
    """How many results a query gets out of `images`: `k`, or all.

    Raises
    ------
    ValueError : `k` is not a whole number in [1, images].
    """
    if k is None:
        return images
    if not (1 <= k <= images and k == int(k)):
        raise ValueError(f"{owner}: k must be a whole number in [1, {images}], the database size, or None, got {k!r}.")
    return int(k)
