"""Datasets: frozen descriptions of benchmarks and of people's own folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cbirlab.datasets.base import Box, Dataset, Query
from cbirlab.registry import Registry, UnknownName

__all__ = ["DATASETS", "Box", "Dataset", "Query", "load_dataset"]

DATASETS: Registry[Callable[..., Dataset]] = Registry("dataset")
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


def load_dataset(name_or_path: str | Path, **options: Any) -> Dataset:
    """A dataset by its name, or from a folder.

    A folder that holds ``gnd_*.json`` is read in the Toytown form, any other as own images: one sub-folder per
    instance, or flat.

    Parameters
    ----------
    name_or_path : a name in `DATASETS`, or a folder.
    options : passed on to the loader (`cbirlab.datasets.toytown.toytown`, `cbirlab.datasets.folder.folder`).

    Raises
    ------
    UnknownName : neither a name nor a folder.
    """
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        return DATASETS[name_or_path](**options)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        form = "toytown" if any(path.glob("gnd_*.json")) else "folder"
        return DATASETS[form](path, **options)
    try:
        DATASETS.info(str(name_or_path))
    except UnknownName as error:
        what = "a file" if path.is_file() else "no folder"
        raise UnknownName(f"{error} As a path it is {what}; a dataset is a name or a folder of images.") from None
    raise UnknownName(f"{name_or_path!r} is no folder; to load the dataset of that name pass it as a string.")
