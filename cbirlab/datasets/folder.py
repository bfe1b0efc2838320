"""Own images: a folder with one sub-folder per instance, or a flat folder without ground truth."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.images import IMAGE_SUFFIXES, ImageError, size

_MANY = 500  # from here on looking at every header takes long enough for a progress bar


def folder(
    path: str | Path, *, name: str | None = None, train: str | Path | None = None, image_size: int = 1024
) -> Dataset:
    """Every image under `path`, in the order of its relative path.

    With sub-folders, each names an instance: every image in one is a query, relevant are the other images of its
    sub-folder, and the query's own row is left out of its ranking. Images beside the sub-folders are distractors.
    Without sub-folders every image is a query and there is no ground truth. Hidden files are ignored. A file whose
    header cannot be read is skipped, with a warning that names it.

    Parameters
    ----------
    path : the folder.
    name : as in tables; the folder's own name by default.
    train : another folder of images on which whitening is learned.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : no such folder.
    ValueError : no readable image in it.
    """
    path = Path(path).expanduser()
    images = _images(path)
    instances = tuple(_instance(image, path) for image in images)
    labelled = any(instances)
    asked = [row for row, instance in enumerate(instances) if instance or not labelled]
    training = () if train is None else tuple(_images(Path(train).expanduser()))
    return Dataset(
        name=name or path.resolve().name,
        images=tuple(images),
        queries=tuple(Query(images[row], index=row) for row in asked),
        labels=_labels(instances, asked) if labelled else (),
        protocol="retrieval",
        train=training,
        train_name="" if train is None else Path(train).resolve().name,
        image_size=image_size,
        instances=instances if labelled else (),
    )


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder.")
    problems: list[str] = []
    candidates = sorted(_candidates(folder, problems), key=lambda file: file.relative_to(folder).as_posix())
    readable = []
    for file in _progress(candidates):
        try:
            size(file)
        except ImageError as error:
            problems.append(str(error))
        else:
            readable.append(file)
    if problems:
        listed = "\n  ".join(problems)
        warnings.warn(f"{folder}: {len(problems)} files are skipped:\n  {listed}", stacklevel=4)
    if not readable:
        why = f"{len(problems)} image files, none of them readable" if problems else "none"
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f"{folder}: a dataset needs at least one image ({suffixes}), found {why}.")
    return readable


def _candidates(folder: Path, problems: list[str]) -> Iterator[Path]:
    """Image files by their names; folders that cannot be looked into are added to `problems`."""

    def closed(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise error
        problems.append(f"{error.filename}: the folder cannot be read ({error.strerror}).")

    for here, folders, files in os.walk(folder, onerror=closed, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(here) / name


def _progress(files: Sequence[Path]) -> Iterable[Path]:
    if len(files) < _MANY:
        return files
    from tqdm.auto import tqdm

    return tqdm(files, desc="reading headers", unit="file", leave=False)


def _instance(image: Path, folder: Path) -> str:
    parts = image.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else ""


def _labels(instances: Sequence[str], asked: Sequence[int]) -> tuple[dict[str, tuple[int, ...]], ...]:
    rows = defaultdict(list)
    for row, instance in enumerate(instances):
        rows[instance].append(row)
    return tuple({"positive": tuple(other for other in rows[instances[row]] if other != row)} for row in asked)
