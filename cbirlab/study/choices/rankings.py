"""Ranking files: the ranking of any system in an .npz, to be judged here.

images   (Q, K) whole numbers: rows of the database, from 0, best first, one line per query of the dataset; -1 ends a
         line, as faiss writes it
scores   (Q, K) numbers, larger is better; may be missing
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from cbirlab.datasets import Dataset, arrays
from cbirlab.index import Ranking


def write_ranking(ranking: Ranking, path: str | os.PathLike[str]) -> Path:
    """Write a ranking file; of a large run the first places, which a warning says.

    Raises
    ------
    ValueError : the name does not end in .npz.
    """
    target = Path(path)
    if target.suffix != ".npz":
        raise ValueError(f"write_ranking: path must end in .npz, got {target.name!r}.")
    if ranking.complete is not None:
        kept, images = ranking.images.shape[1], ranking.complete.shape[1]
        warnings.warn(
            f"write_ranking: {target.name} holds the first {kept} of {images} places of each query, all that a "
            "large run keeps; metrics of the file are those of lists that are cut there.",
            stacklevel=2,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, images=ranking.images, scores=ranking.scores)
    return target


def read_ranking(path: str | os.PathLike[str], dataset: Dataset | None = None) -> Ranking:
    """The ranking in a file. Nothing in it is run: pickled objects are refused.

    After the -1 that ends a line, the ranking has the rows that the line lacks, with score -inf: they are no answers.

    Parameters
    ----------
    dataset : the ranked dataset; its numbers of queries and images reveal rankings that are stored as columns, and rows
        that are counted from 1.

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : no .npz, no array "images" of whole numbers (Q, K), a row twice in a line or one that cannot be, or
        "scores" of another shape or that `Ranking` does not take.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file.")
    try:
        held = arrays.npz(source)
        found = {name: held[name].load() for name in ("images", "scores") if name in held}
    except Exception as error:  # the libraries raise anything on damaged files
        raise ValueError(
            f"{source}: cannot be read as an .npz of plain arrays ({error}); numpy.savez(path, images=rows) writes one."
        ) from error
    images = found.get("images")
    if images is None or images.ndim != 2 or images.dtype.kind not in "iu":
        got = "none" if images is None else f"{images.dtype} of shape {images.shape}"
        others = ", ".join(f"{name!r} {one.dtype} {one.shape}" for name, one in held.items() if name not in found)
        raise ValueError(
            f"{source}: the array 'images' must be whole numbers (Q, K), a row per query, got {got}"
            + (f"; the file also holds {others}." if others else ".")
        )
    scores = found.get("scores", np.broadcast_to(-np.arange(images.shape[1], dtype=np.float32), images.shape))
    if scores.shape != images.shape or scores.dtype.kind not in "fiu":
        raise ValueError(
            f"{source}: the array 'scores' must be numbers of the shape of 'images', {images.shape}, got "
            f"{scores.dtype} of shape {scores.shape}."
        )
    try:
        return _ranking(images.astype(np.int64), scores.astype(np.float32), dataset)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    except MemoryError as error:
        raise ValueError(f"{source}: takes more memory than there is.") from error


def _ranking(images: np.ndarray, scores: np.ndarray, dataset: Dataset | None) -> Ranking:
    if dataset is not None:
        images, scores = _of_dataset(images, scores, dataset)
    ended = images == -1
    if images.min(initial=0) < -1 or (ended[:, :-1] & ~ended[:, 1:]).any():
        raise ValueError("'images' must hold rows from 0; -1 ends a line, and only -1 may follow it.")
    _check_counted_from_0(images, dataset)
    if ended.any():
        images, scores = _filled(images, ended), np.where(ended, np.float32(-np.inf), scores)
    ordered = np.sort(images, axis=1)
    twice = (ordered[:, :-1] == ordered[:, 1:]).any(axis=1)
    if twice.any():
        raise ValueError(
            f"'images' must have each row at most once in a line, but query {int(twice.argmax())} has one twice."
        )
    return Ranking(images, scores)


def _of_dataset(images: np.ndarray, scores: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Check a ranking against the sizes of the dataset, and cut off whatever comes after as many places as images."""
    asked, count = len(dataset.queries), len(dataset.images)
    if len(images) != asked and images.shape[1] == asked:
        raise ValueError(
            f"'images' is {images.shape}, and {dataset.name!r} has {asked} queries: it seems to be transposed; save "
            "images.T and scores.T."
        )
    if images.shape[1] > count and (images[:, count:] == -1).all():
        return images[:, :count], scores[:, :count]
    return images, scores


def _check_counted_from_0(images: np.ndarray, dataset: Dataset | None) -> None:
    """Warn of lines that hold 1 to K and never 0; without a dataset nobody knows for sure."""
    if dataset is None:
        if images.size and (np.sort(images, axis=1) == np.arange(1, images.shape[1] + 1)).all():
            warnings.warn(
                "read_ranking: all lines hold the rows 1 to K and never 0, but rows count from 0.",
                stacklevel=4,
            )
        return
    count = len(dataset.images)
    if images.size and images.max() == count and not (images == 0).any():
        raise ValueError(f"'images' must count rows from 0, but these lie in [1, {count}]; subtract 1.")
    if images.size and images.max() >= count:
        raise ValueError(
            f"'images' must hold rows of the {count} images of {dataset.name!r}, from 0 to {count - 1}, got "
            f"{int(images.max())}."
        )


def _filled(images: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """The smallest rows that are not in a line, put after its end."""
    images = images.copy()
    for query in np.flatnonzero(ended.any(axis=1)):
        kept = images[query][~ended[query]]
        free = np.ones(images.shape[1], dtype=bool)
        free[kept[kept < len(free)]] = False
        images[query][ended[query]] = np.flatnonzero(free)[: ended[query].sum()]
    return images
