"""Loading: a dataset by its name, from a folder, from a list in a file, or from what Python holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cbirlab.base.notices import notify
from cbirlab.base.registry import UnknownName
from cbirlab.datasets.base import Dataset
from cbirlab.datasets.catalogue import DATASETS, about
from cbirlab.datasets.lists import LIST_SUFFIXES
from cbirlab.datasets.written import NAMES, read

_OWN = {"folder": "path", "csv": "file"}
"""Entries that need the path of your own images, and the argument that takes it."""

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

from cbirlab.datasets.benchmarks import registered  # noqa: E402, F401 - registers them after what is bundled


def load_dataset(name_or_path: Any, **options: Any) -> Dataset:
    """A dataset by its name, from a folder or a list in a file, or from a DataFrame or a list of paths.

    Published benchmarks are looked for in the folder that ``CBIRLAB_DATA`` names, under their own name, or in `root`.
    A folder that holds ``gnd_*.json`` is read in the Toytown form, any other as own images: one sub-folder per
    instance, splits, or flat. A CSV file names images, what they show and what they are used for.

    Options may follow the name in brackets, like those of methods, so that recipes and the command line can set them:
    ``"photos(answers=right.csv)"``.

    Parameters
    ----------
    name_or_path : a name in `DATASETS`, a folder, or a ``.csv``, ``.tsv`` or ``.txt`` file. ``./holidays`` is a folder
        that has the name of a benchmark. A DataFrame, a list of paths or an ImageFolder has no name by which a recipe
        could find it again: pass the dataset that comes of it wherever one is taken. A dataset stays as it is.
    options : passed on to the loader: `root` and `image_size` of benchmarks, what
        `cbirlab.datasets.toytown.toytown`, `cbirlab.datasets.folder.folder`, `cbirlab.datasets.table.table` and
        `cbirlab.datasets.given.given` take.

    Raises
    ------
    UnknownName : neither a name nor a folder nor a list.
    FileNotFoundError : a benchmark that is not here, or not complete.
    """
    if isinstance(name_or_path, Dataset) and not options:
        return name_or_path
    if not isinstance(name_or_path, str | os.PathLike):
        from cbirlab.datasets.given import given  # here, as it loads Pillow

        return given(name_or_path, **options)
    if isinstance(name_or_path, str):
        name_or_path, written = read(name_or_path, DATASETS)
        options = written | options
        if name_or_path in _OWN and _OWN[name_or_path] not in options:
            raise UnknownName(_by_its_path(name_or_path))
        if name_or_path in DATASETS:
            return _benchmark(name_or_path, options)
    path = Path(name_or_path).expanduser()
    if str(name_or_path) and path.is_dir():
        form = "toytown" if any(path.glob("gnd_*.json")) else "folder"
        return DATASETS[form](path, **options)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        return DATASETS["csv"](path, **options)
    if path.suffix.lower() in LIST_SUFFIXES and not path.exists():
        raise UnknownName(f"{path}: no such file.")
    if name_or_path in NAMES:
        raise UnknownName(
            f"{name_or_path!r} was given in Python, so it cannot be loaded by a name; write it as a CSV file with the "
            "columns path and instance, and give the path of that file."
        )
    try:
        DATASETS.info(str(name_or_path))
    except UnknownName as error:
        what = "a file" if path.is_file() else "not a folder"
        raise UnknownName(
            f"{error} As a path it is {what}; a dataset is a name, a folder of images or a CSV file."
        ) from None
    raise UnknownName(f"{name_or_path!r} is not a folder; to load the dataset of that name, pass it as a string.")


def load_named(dataset: Any) -> tuple[Dataset, str]:
    """A dataset from whatever `load_dataset` takes, and the name that recipes give it."""
    loaded = load_dataset(dataset)
    return loaded, str(dataset) if isinstance(dataset, str | os.PathLike) else loaded.name


def _by_its_path(name: str) -> str:
    """The message for a word such as "folder", given in place of the path of the images."""
    what = "folder" if name == "folder" else "file.csv"
    here = f" There is {'a folder' if Path(name).is_dir() else 'a file'} of that name here: pass './{name}' to load it."
    return f"{name!r} stands for images of your own: give their path instead, such as path/to/{what}." + (
        here if Path(name).exists() else ""
    )


def _benchmark(name: str, options: dict[str, Any]) -> Dataset:
    try:
        dataset = DATASETS[name](**options)
    except FileNotFoundError as error:
        if Path(name).is_dir() and "root" not in options:
            error.args = (
                f"{error} There is a folder of that name here: pass './{name}' to load it as images of your own.",
            )
        raise
    _warn_if_fewer(name, dataset)
    return dataset


def _warn_if_fewer(name: str, dataset: Dataset) -> None:
    """Warn of a part of a benchmark: it gives other numbers than the whole."""
    facts = about(name)
    if facts is None:
        return
    for what, there, published in (
        ("images", len(dataset.images), facts.images),
        ("queries", len(dataset.queries), facts.queries),
    ):
        if published is not None and there < published:
            notify(
                f"{name}: {there:,} of {published:,} {what} are here; metrics on them are not those of the benchmark."
            )
