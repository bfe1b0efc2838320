"""Ranking files: a ranking of any system in an .npz, to be judged here.

images   (Q, K) whole numbers: rows of the database, from 0, best first, one line per query of the dataset
scores   (Q, K) numbers, larger is better; may be missing
"""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

import numpy as np

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
            f"write_ranking: {target.name} holds the first {kept} of {images} places of each query, all that is kept "
            "of a large run; judged by the file its numbers are those of cut lists.",
            stacklevel=2,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, images=ranking.images, scores=ranking.scores)
    return target


def read_ranking(path: str | os.PathLike[str]) -> Ranking:
    """The ranking in a file. Nothing in it is run: pickled objects are refused.

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : no .npz, no array "images" of whole numbers (Q, K), or "scores" of another shape or that
        `Ranking` does not take.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file.")
    with source.open("rb") as file:
        zipped = zipfile.is_zipfile(file)
    if not zipped:
        raise ValueError(
            f"{source}: cannot be read as an .npz, because it is none; numpy.savez(path, images=rows) writes one."
        )
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("images", "scores") if name in archive}
    except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{source}: cannot be read as an .npz of plain arrays ({error}).") from error
    images = arrays.get("images")
    if images is None or images.ndim != 2 or images.dtype.kind not in "iu":
        got = "none" if images is None else f"{images.dtype} of shape {images.shape}"
        raise ValueError(f"{source}: the array 'images' must be whole numbers (Q, K), a row per query, got {got}.")
    scores = arrays.get("scores", np.broadcast_to(-np.arange(images.shape[1], dtype=np.float32), images.shape))
    if scores.shape != images.shape or scores.dtype.kind not in "fiu":
        raise ValueError(
            f"{source}: the array 'scores' must be numbers of the shape of 'images', {images.shape}, got "
            f"{scores.dtype} of shape {scores.shape}."
        )
    try:
        return Ranking(images.astype(np.int64), scores.astype(np.float32))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
