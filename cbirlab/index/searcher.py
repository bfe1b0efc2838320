"""Search in descriptors of one's own: by ids, with codes, indexes and re-scoring; saved and loaded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from cbirlab.base.params import Range
from cbirlab.compression import Compression, learn_code
from cbirlab.index.base import IndexMethod
from cbirlab.index.exact import check_matrix
from cbirlab.index.lists import without
from cbirlab.index.ranking import Ranking
from cbirlab.index.rescoring import rescore
from cbirlab.index.saving import reading, write
from cbirlab.whitening import normalise


class Answers(NamedTuple):
    """What a search found: ids (Q, k), best first, and their scores (Q, k); a score of -inf is no answer."""

    ids: np.ndarray
    scores: np.ndarray


def search(
    queries: Any,
    database: Any,
    *,
    k: int = 10,
    compression: str = "none",
    index: str = "exact",
    rescore: int = 0,
    train: Any = None,
) -> Ranking:
    """Rank a database for queries; a `Searcher` does the same for many calls.

    Parameters
    ----------
    queries, database : (Q, D) and (N, D); rows are L2-normalised first.
    k : results per query.
    compression, index, rescore : as in a recipe.
    train : (n, D), what codes and lists learn on; the database by default, with a warning.

    Raises
    ------
    UnknownName, TypeError, ValueError : as `Searcher`.
    """
    return Searcher(compression=compression, index=index, rescore=rescore).fit(database, train=train).rank(queries, k)


class Searcher:
    """A database of descriptors with an id each, which can grow and shrink.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).standard_normal((1000, 64))
    >>> searcher = Searcher(compression="sq", rescore=20).fit(rows, ids=[f"{n}.jpg" for n in range(1000)], train=rows)
    >>> searcher.search(rows[:1], k=3).ids[0, 0]
    '0.jpg'

    What was learned stays as it is when images are added. Removed images are skipped; to give their memory back, fit
    again.

    Parameters
    ----------
    compression, index, rescore : as in a recipe: "pq(m=16)", "ivf(probes=4)", 100. With `rescore`, or without a
        compression, full rows are kept in memory too; else only codes are.

    Attributes
    ----------
    ids : of all rows, in the order in which they came, removed ones included.
    nbytes : of the index, and of full rows that are kept beside it.

    Raises
    ------
    UnknownName, TypeError, ValueError : a method that is not there, a parameter out of range, an index that cannot hold
        such codes.
    """

    ids: list[Any]
    _gone: np.ndarray

    def __init__(self, *, compression: str = "none", index: str = "exact", rescore: int = 0) -> None:
        self.compression, self.index = Compression.parse(compression), IndexMethod.parse(index)
        self.rescore = Range(0, 1 << 20, integer=True).check("Searcher", "rescore", rescore)
        if not self.index.fact("codes"):
            raise ValueError(f"Searcher: index {self.index!r} is for recipes; take one of 'exact', 'ivf', 'hnsw'.")
        if needed := self.index.refuses(self.compression):
            raise ValueError(f"Searcher: index {self.index!r} needs {needed}, got compression {self.compression!r}.")

    def fit(self, X: Any, ids: Sequence[Any] | None = None, *, train: Any = None, labels: Any = None) -> Self:
        """Learn, and take the database.

        Parameters
        ----------
        X : (N, D); rows are L2-normalised, and a row of zeros is no descriptor.
        ids : one per row, all different; 0 to N - 1 by default.
        train : (n, D), what is learned on; `X` by default, with a warning if anything is learned.
        labels : (n,), instance of each row of `train`, "" for none, for codes that learn from pairs.

        Raises
        ------
        ValueError : not (N, D), not finite, ids that repeat; too few rows to learn on.
        MissingLibrary : faiss is needed and not installed.
        """
        rows = _unit("X", X)
        named = _named(ids, len(rows), first=0)
        learns = self.compression.fact("learned") or self.index.fact("learned")
        if train is None and learns:
            warnings.warn(
                f"Searcher: {self.compression} with index {self.index} learns on the database itself, since train is "
                "not given; what is measured on it looks better than it is.",
                stacklevel=2,
            )
        learning = rows if train is None else _unit("train", train)
        if learning.shape[1] != rows.shape[1]:
            raise ValueError(f"Searcher: train must have {rows.shape[1]} dimensions, as X, got {learning.shape[1]}.")
        self._code = learn_code(self.compression, learning, labels) if self.compression.used else None
        self._index: Any = self.index.make().fit(rows, self._code, learning)  # pyright: ignore[reportCallIssue]
        self._beside = rows if self._code is not None and self.rescore else None
        self._width, self._gone = rows.shape[1], np.asarray(~rows.any(axis=1))
        self.ids, self._row = named, {one: row for row, one in enumerate(named)}
        return self

    def add(self, X: Any, ids: Sequence[Any] | None = None) -> Self:
        """Add rows (n, D); ids as for `fit`, by default the next numbers. Nothing is learned again.

        Raises
        ------
        RuntimeError : `fit` was not called.
        ValueError : another width, not finite, an id that is there already.
        """
        self._check_fitted()
        rows = _unit("X", X)
        self._check_width("X", rows)
        named = _named(ids, len(rows), first=len(self.ids))
        if there := [one for one in named if one in self._row]:
            raise ValueError(f"Searcher: ids must be new, got {there[0]!r}, which is there; remove it first.")
        self._index.extend(rows)
        if self._beside is not None:
            self._beside = np.concatenate([self._beside, rows])
        self._row |= {one: len(self.ids) + row for row, one in enumerate(named)}
        self._gone = np.concatenate([self._gone, ~rows.any(axis=1)])
        self.ids = [*self.ids, *named]
        return self

    def remove(self, ids: Sequence[Any]) -> Self:
        """Remove images by their ids; they are found no longer.

        Raises
        ------
        RuntimeError : `fit` was not called.
        KeyError : an id that is not there; then nothing is removed.
        """
        self._check_fitted()
        wanted = [ids] if isinstance(ids, str) else list(ids)
        if unknown := [one for one in wanted if one not in self._row]:
            raise KeyError(f"Searcher: there is no id {unknown[0]!r} to remove.")
        for one in wanted:
            self._gone[self._row.pop(one)] = True
        return self

    def __len__(self) -> int:
        """How many images can be found."""
        return len(self.ids) - int(self._gone.sum())

    def search(self, Q: Any, k: int = 10) -> Answers:
        """Find the `k` best images for each row of `Q` (Q, D).

        Raises
        ------
        RuntimeError : `fit` was not called.
        ValueError : `k` is not in [1, len(self)], another width, NaN or infinity.
        """
        ranking = self.rank(Q, k)
        named = np.empty(len(self.ids), dtype=object)
        named[:] = self.ids
        return Answers(named[ranking.images], ranking.scores)

    def rank(self, Q: Any, k: int = 10) -> Ranking:
        """The same with numbers of rows in place of ids."""
        self._check_fitted()
        queries = _unit("Q", Q)
        self._check_width("Q", queries)
        if not (1 <= k <= len(self) and k == int(k)):
            raise ValueError(f"Searcher: k must be a whole number in [1, {len(self)}], the images there, got {k!r}.")
        gone = int(self._gone.sum())
        ranking = self._index.search(queries, min(max(int(k), self.rescore) + gone, len(self.ids)))
        if gone:
            ranking = without(ranking, self._gone)
        if self._beside is not None:
            ranking = rescore(ranking, queries, self._beside, self.rescore)
        return ranking.top(int(k))

    @property
    def nbytes(self) -> int:
        """Bytes of the index, and of full rows that are kept beside it to score again."""
        self._check_fitted()
        return self._index.nbytes + (0 if self._beside is None else self._beside.nbytes)

    def save(self, folder: str | Path) -> None:
        """Write everything into a folder, which takes its place only once it is complete.

        Raises
        ------
        RuntimeError : `fit` was not called.
        ValueError : the folder holds something else, or ids are neither numbers nor texts.
        """
        self._check_fitted()
        if odd := [one for one in self.ids if not isinstance(one, int | str)]:
            raise ValueError(f"Searcher: only ids that are whole numbers or texts can be saved, got {odd[0]!r}.")
        about = {"compression": self.compression, "index": self.index, "rescore": self.rescore}
        about |= {"width": self._width, "ids": self.ids}
        learned = {} if self._code is None else {n: value for n, value in vars(self._code).items() if n.endswith("_")}
        rows = self._beside if self._code is not None else self._index.rows
        write(Path(folder), about, {"gone": self._gone, **self._index.saved()}, learned, rows)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote; full rows and indexes stay on disk and are mapped, all but `fastscan` and `hamming`.

        Raises
        ------
        ValueError : no such folder, or files that are not as they were written.
        """
        with reading(Path(folder)) as (about, saved, learned, rows):
            self = cls(**{name: about[name] for name in ("compression", "index", "rescore")})
            self._width, self.ids, self._code = about["width"], about["ids"], None
            if self.compression.used:
                self._code = self.compression.make()
                for name, value in learned.items():
                    setattr(self._code, name, value.item() if value.ndim == 0 else value)
            self._gone = np.array(saved.pop("gone"))
            self._index = self.index.make().restore(rows, self._code, saved)  # pyright: ignore[reportAttributeAccessIssue]
            self._beside = rows if self._code is not None else None
            if len(self._gone) != len(self.ids) or (rows is not None and len(rows) != len(self.ids)):
                raise ValueError("its files are not of the same images")
        self._row = {one: row for row, one in enumerate(self.ids) if not self._gone[row]}
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "_index"):
            raise RuntimeError("Searcher: call fit(X) with the database first.")

    def _check_width(self, name: str, rows: np.ndarray) -> None:
        if rows.shape[1] != self._width:
            raise ValueError(f"Searcher: {name} must have {self._width} dimensions, got {rows.shape[1]}.")


def _unit(name: str, X: Any) -> np.ndarray:
    """Rows in float32 (N, D), L2-normalised."""
    rows = check_matrix("Searcher", name, X)
    if not np.isfinite(rows).all():
        raise ValueError(f"Searcher: {name} must be finite, got NaN or infinity.")
    return normalise(rows).astype(np.float32, copy=False)


def _named(ids: Sequence[Any] | None, count: int, first: int) -> list[Any]:
    """One id per row, as plain numbers or texts where they are NumPy's.

    Raises
    ------
    ValueError : not one per row, or ids that repeat.
    """
    given = range(first, first + count) if ids is None else ids
    named = [one.item() if isinstance(one, np.generic) else one for one in given]
    if len(named) != count:
        raise ValueError(f"Searcher: ids must be one per row, {count}, got {len(named)}.")
    if len({*named}) < count:
        twice = next(one for place, one in enumerate(named) if one in named[:place])
        raise ValueError(f"Searcher: ids must be different, got {twice!r} twice.")
    return named
