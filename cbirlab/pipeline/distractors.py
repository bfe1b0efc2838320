"""Distractors: wrong answers beside a database, to see what search costs and loses when it grows.

They are the images of another dataset, or synthetic descriptors. The latter are not images. They stand where the
learning set has images, so they are about as near to queries as photographs of other things would be, but nobody took
them: numbers with them show a trend, not a benchmark.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.base.params import Range
from cbirlab.base.plain import MOST_LETTERS, shown
from cbirlab.datasets import Dataset
from cbirlab.extract import image_hashes
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.index.ranking import blocks
from cbirlab.store import Store
from cbirlab.whitening import normalise

BLOCK = 4096
"""Rows that are drawn at a time; those of block b depend on the seed and on b alone."""

MOST_CELLS, ROWS_PER_CELL = 64, 20
"""Cells of the mixture, and how many rows of the learning set there are for each."""

SHARED_ROWS = 20
"""For the spread of a cell, that of all cells counts as so many rows of its own."""


COUNT = Range(0, 1 << 30, integer=True)
"""How many synthetic ones there may be."""


def check_distractors(given: Any) -> int | str:
    """What a recipe keeps: how many synthetic ones there are, or the dataset whose images they are.

    Raises
    ------
    TypeError, ValueError : neither a whole number nor a name or folder.
    """
    if not isinstance(given, str | os.PathLike):
        return int(COUNT.check("Recipe", "distractors", given))
    text = os.fspath(given)
    if not isinstance(text, str) or not 0 < len(text) <= MOST_LETTERS:
        raise ValueError(
            f"Recipe: distractors must be a whole number, or a dataset's name or folder, got {shown(given)}."
        )
    for read in (int, float):
        with suppress(ValueError):
            number = read(text)
            break
    else:
        return text
    return int(COUNT.check("Recipe", "distractors", number))


def named(recipe: Any) -> str:
    """The dataset whose images are the distractors of a recipe; empty if they are synthetic, or there are none."""
    return recipe.distractors if isinstance(recipe.distractors, str) else ""


def synthetic(recipe: Any) -> int:
    """How many synthetic distractors a recipe asks for."""
    return 0 if named(recipe) else recipe.distractors


def refuse(owner: str, asked: Any) -> None:
    """Refuse a recipe or a run with distractors where only images of the dataset are shown, named, fused or judged.

    Raises
    ------
    ValueError : there are some.
    """
    if asked.distractors:
        raise ValueError(
            f"{owner}: works with the images of the dataset alone, and distractors are none of them, so recipes must "
            f"have distractors=0 here, got {asked.distractors!r}; run and compare take them."
        )


def apart(distractors: Dataset, dataset: Dataset, store: Store) -> Dataset:
    """The images of another dataset without those that are evaluated, which a warning counts; nothing else of it.

    Images are the same if the bytes of their files are.

    Raises
    ------
    ValueError : all of them are evaluated.
    """
    evaluated = image_hashes([*dataset.images, *(query.path for query in dataset.queries)], store)
    known = fingerprints(distractors.images, store)
    kept = tuple(path for path in distractors.images if known[path].sha256 not in evaluated)
    if not kept:
        raise ValueError(
            f"distractors: all {len(distractors.images)} images of {distractors.name!r} are evaluated images of "
            f"{dataset.name!r}; they would be right answers too: choose another dataset."
        )
    if left_out := len(distractors.images) - len(kept):
        notify(
            f"distractors: {left_out} of the {len(distractors.images)} images of {distractors.name} are evaluated "
            f"images of {dataset.name} and are left out."
        )
    nothing: dict[str, Any] = dict.fromkeys(("queries", "labels", "train", "train_instances", "instances"), ())
    return replace(distractors, images=kept, metadata={}, **nothing)


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normal distributions, one for each k-means cell of a learning set; rows are L2-normalised.

    All cells spread along the same axes, the principal ones of what rows differ by from the mean of their cell; how far
    they spread along each is their own.

    Attributes
    ----------
    shares : (C,), how often a row is of each cell.
    means, spreads : (C, D), of the cells; spreads are standard deviations along the axes.
    axes : (D, D), one in each row.
    """

    shares: np.ndarray
    means: np.ndarray
    spreads: np.ndarray
    axes: np.ndarray

    @classmethod
    def fitted(cls, X: np.ndarray, seed: int) -> Mixture:
        """The mixture of rows (n, D) of a learning set, L2-normalised; rows of zeros do not count.

        Raises
        ------
        ValueError : fewer than two rows.
        """
        from cbirlab.encoding.codebook import k_means

        X = X[X.any(axis=1)].astype(np.float64)
        if len(X) < 2:
            raise ValueError(f"distractors: need at least 2 images to learn on, got {len(X)}; choose a whitening_set.")
        cells = min(MOST_CELLS, max(1, len(X) // ROWS_PER_CELL))
        centres = k_means(X, cells, seed).astype(np.float64)
        cell = (np.square(centres).sum(axis=1) - 2 * X @ centres.T).argmin(axis=1)
        counts = np.bincount(cell, minlength=cells)
        kept = np.flatnonzero(counts)
        means = np.stack([X[cell == one].mean(axis=0) for one in kept])
        rest = X - means[np.searchsorted(kept, cell)]
        _, _, axes = np.linalg.svd(rest.T @ rest)
        squares = np.square(rest @ axes.T)
        own = np.stack([squares[cell == one].sum(axis=0) for one in kept])
        variances = (own + SHARED_ROWS * squares.mean(axis=0)) / (counts[kept] + SHARED_ROWS)[:, None]
        return cls(counts[kept] / len(X), means, np.sqrt(variances), axes)

    def block(self, number: int, seed: int) -> np.ndarray:
        """The rows (BLOCK, D) of a block, float32."""
        random = np.random.default_rng((seed, number))
        cell = random.choice(len(self.shares), BLOCK, p=self.shares)
        along = random.standard_normal((BLOCK, len(self.axes))) * self.spreads[cell]
        return normalise(self.means[cell] + along @ self.axes).astype(np.float32)

    def drawn(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """Rows, `count` of them, a block at a time."""
        for number, part in enumerate(blocks(count, BLOCK)):
            yield self.block(number, seed)[: part.stop - part.start]


def beside(images: np.ndarray, wrong: Iterable[np.ndarray], count: int, folder: Path) -> np.ndarray:
    """A database (N + count, D): its images, then distractors. It lies in a file without a name, not in memory.

    Parameters
    ----------
    wrong : the `count` distractors, a block of rows (n, D) at a time.
    folder : of the disk to use; what is there goes away with the array.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(images) + count, images.shape[1])
    with tempfile.TemporaryFile(dir=folder) as file:
        rows = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
    rows[: len(images)] = images
    start = len(images)
    for block in wrong:
        rows[start : start + len(block)] = block
        start += len(block)
    rows.flags.writeable = False
    return rows
