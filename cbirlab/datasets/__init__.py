"""Datasets: frozen descriptions of benchmarks and of people's own folders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from cbirlab.datasets.base import Box, Dataset, Query
from cbirlab.datasets.catalogue import DATASETS, about
from cbirlab.datasets.roots import Availability, availability
from cbirlab.registry import UnknownName

__all__ = ["DATASETS", "Availability", "Box", "Dataset", "Query", "about", "availability", "load_dataset"]

DATASETS.add(
    "toytown",
    "cbirlab.datasets.toytown:toytown",
    title="Toytown",
    reference="bundled: rendered landmarks, exact co-visibility, CC0",
    bundled=True,
)
DATASETS.add(
    "folder",
    "cbirlab.datasets.folder:folder",
    title="Own images",
    reference="one sub-folder per instance, or a flat folder",
    bundled=False,
)
DATASETS.add(
    "csv",
    "cbirlab.datasets.table:table",
    title="Own images by a CSV file",
    reference="columns path, instance, role and box",
    bundled=False,
)

from cbirlab.datasets import benchmarks  # noqa: E402, F401 - registers them after what is bundled


def load_dataset(name_or_path: str | Path, **options: Any) -> Dataset:
    """A dataset by its name, or from a folder or a CSV file.

    Published benchmarks are looked for in the folder that ``CBIRLAB_DATA`` names, under their own name, or in `root`.
    A folder that holds ``gnd_*.json`` is read in the Toytown form, any other as own images: one sub-folder per
    instance, or flat. A CSV file names images, what they show and what they are used for.

    Parameters
    ----------
    name_or_path : a name in `DATASETS`, a folder, or a ``.csv`` file.
    options : passed on to the loader: `root` and `image_size` of benchmarks, what
        `cbirlab.datasets.toytown.toytown`, `cbirlab.datasets.folder.folder` and `cbirlab.datasets.table.table` take.

    Raises
    ------
    UnknownName : neither a name nor a folder nor a CSV file.
    FileNotFoundError : a benchmark that is not here, or not complete.
    """
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        dataset = DATASETS[name_or_path](**options)
        _warn_if_fewer(name_or_path, dataset)
        return dataset
    path = Path(name_or_path).expanduser()
    if str(name_or_path) and path.is_dir():
        form = "toytown" if any(path.glob("gnd_*.json")) else "folder"
        return DATASETS[form](path, **options)
    if path.suffix.lower() == ".csv" and path.is_file():
        return DATASETS["csv"](path, **options)
    try:
        DATASETS.info(str(name_or_path))
    except UnknownName as error:
        what = "a file" if path.is_file() else "no folder"
        raise UnknownName(
            f"{error} As a path it is {what}; a dataset is a name, a folder of images or a CSV file."
        ) from None
    raise UnknownName(f"{name_or_path!r} is no folder; to load the dataset of that name pass it as a string.")


def _warn_if_fewer(name: str, dataset: Dataset) -> None:
    """A part of a benchmark gives other numbers than the whole."""
    facts = about(name)
    if facts is None:
        return
    for what, there, published in (
        ("images", len(dataset.images), facts.images),
        ("queries", len(dataset.queries), facts.queries),
    ):
        if published is not None and there < published:
            warnings.warn(
                f"{name}: {there:,} of {published:,} {what} are here; numbers on them are not those of the benchmark.",
                stacklevel=3,
            )
