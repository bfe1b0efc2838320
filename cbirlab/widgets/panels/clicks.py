"""Clicks: what a person has said about pictures so far, with undo, kept in a file as it is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cbirlab.adaptation.clicked import groups_of
from cbirlab.adaptation.judgements import (
    Judged,
    Judgement,
    judged_among,
    names_of,
    read_judgements,
    write_judgements,
)

SAME, NOT = "same", "not"


class Clicks:
    """Judgements of pairs of pictures, by their rows.

    Parameters
    ----------
    paths : (n,) pictures.
    file : where judgements are kept; those that are there already count.

    Raises
    ------
    ValueError : as `read_judgements` and `judged_among`; judgements that contradict each other.
    """

    def __init__(self, paths: Sequence[Path], file: str | Path) -> None:
        self.paths, self.file = tuple(paths), Path(file).expanduser()
        self.names = names_of(self.paths)
        self._said: dict[tuple[int, int], bool] = {}
        self._before: list[tuple[tuple[int, int], bool | None]] = []
        if self.file.is_file():
            known = judged_among(read_judgements(self.file), self.paths, said_in=str(self.file))
            groups_of(known, len(self.paths))
            self._said = dict(zip(map(tuple, known.pairs.tolist()), known.same.tolist(), strict=True))

    @property
    def judged(self) -> Judged:
        """All of them."""
        pairs = sorted(self._said)
        rows = np.array(pairs, np.int64).reshape(-1, 2)
        return Judged(rows, np.array([self._said[pair] for pair in pairs], bool), self.names)

    def said(self, one: int, other: int) -> str:
        """ "same", "not", or "" for a pair that is not judged."""
        found = self._said.get((min(one, other), max(one, other)))
        return "" if found is None else SAME if found else NOT

    def judge(self, one: int, other: int, same: bool) -> None:
        """Say something about two pictures, or take back what was said if it is said once more.

        Raises
        ------
        ValueError : it contradicts what was said before, which then stays.
        StoreUnwritable : the file cannot be written.
        """
        pair = min(one, other), max(one, other)
        before = self._said.get(pair)
        self._set(pair, None if before is same else same)
        try:
            groups_of(self.judged, len(self.paths))
        except ValueError:
            self._set(pair, before)
            raise
        self._before.append((pair, before))
        self._write()

    def undo(self) -> tuple[int, int] | None:
        """Take the last click back; returns its pair, None if there is none."""
        if not self._before:
            return None
        pair, before = self._before.pop()
        self._set(pair, before)
        self._write()
        return pair

    def _set(self, pair: tuple[int, int], same: bool | None) -> None:
        if same is None:
            self._said.pop(pair, None)
        else:
            self._said[pair] = same

    def _write(self) -> None:
        lines = [Judgement(self.names[one], self.names[other], same) for (one, other), same in self._said.items()]
        write_judgements(self.file, lines)


def least_alike(rows: np.ndarray, seen: Sequence[int]) -> int:
    """The picture whose descriptor is least like those of all that were seen; the first one if none was.

    Parameters
    ----------
    rows : (n, D), of length one, or zero for pictures without a descriptor, which are never proposed.
    seen : rows.
    """
    able = np.asarray(rows.any(axis=1))
    able[[*seen]] = False
    if not able.any():
        return 0
    if not len(seen):
        return int(np.flatnonzero(able)[0])
    nearest = (rows @ rows[[*seen]].T).max(axis=1)
    return int(np.where(able, nearest, np.inf).argmin())


def ranked(rows: np.ndarray, query: int) -> tuple[np.ndarray, np.ndarray]:
    """All pictures but the query and those without a descriptor, most similar first, and their scores.

    Ties go to the lower row.
    """
    scores = rows @ rows[query]
    able = np.asarray(rows.any(axis=1))
    able[query] = False
    order = np.argsort(-scores, kind="stable")
    order = order[able[order]] if rows[query].any() else order[:0]
    return order, scores[order]
