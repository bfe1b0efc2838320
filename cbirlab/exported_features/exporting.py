"""Exporting: a recipe's descriptors, or rows of one's own, to a file that is written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.backbones import load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.exported_features.features import Features
from cbirlab.exported_features.formats import NAMELESS, write_npz, writer
from cbirlab.index.base import values_of
from cbirlab.pipeline import Bench, Recipe, Run
from cbirlab.store import Store


def export_features(
    source: Run | Recipe | np.ndarray,
    path: str | os.PathLike[str],
    *,
    queries: np.ndarray | None = None,
    dataset: Any = None,
    replace: bool = False,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Path:
    """Write descriptors, with the names of their images, in the form of the file's suffix.

    They are those that an exact search compares: whitened, cut to the dimensions of the recipe, normalised, before a
    code. Names are paths below the folder that holds all pictures.

    - ``.npz``, ``.h5``: "images" (N, D), "image_names", "queries" (Q, D), "query_names", "recipe".
    - ``.parquet``: a row for each, with the columns "part" ("images" or "queries"), "name" and "descriptor".
    - ``.faiss``, ``.index``: an index for inner products (IndexFlatIP), and beside it FILE.npz with names and queries.
    - ``.tsv``: a folder of that name for the Embedding Projector: vectors, metadata, sprite and configuration.

    Parameters
    ----------
    source : a recipe or its run, whose descriptors come from the store or are computed; or rows (N, D), one for each
        image of `dataset`.
    queries : with rows, (Q, D), one for each query of `dataset`.
    dataset : in place of the one that the recipe names.
    replace : replace a file that is there; otherwise it is refused.

    Returns
    -------
    The file, or the folder.

    Raises
    ------
    ValueError : another suffix; rows that do not fit the dataset; descriptors that are no single vector per image.
    FileExistsError : the file is there.
    ImportError : h5py, pyarrow or faiss is missing.
    """
    target = Path(path).expanduser()
    write, beside = writer(target), target.with_name(f"{target.name}.npz")
    named = target.suffix.lower() not in NAMELESS
    places = [target] if named else [beside, target]
    check_free(places, replace)
    if isinstance(source, Run | Recipe):
        if queries is not None:
            raise ValueError("export_features: queries must be left out with a recipe, which describes its own.")
        features = _described(source, dataset, store or Store(), device, progress)
    else:
        features = _given(source, queries, dataset)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as made:
        new = Path(made) / "new"
        new.mkdir()
        for place in places:
            (write if place == target else write_npz)(features, new / place.name)
        for place in places:
            if place.is_dir():  # which a folder does not replace in one step
                place.rename(Path(made) / "old")
            os.replace(new / place.name, place)
    return target


def check_free(places: list[Path], replace: bool) -> None:
    """Refuse to write over files, and a folder over what is no folder of ours.

    Raises
    ------
    FileExistsError : one of these is there.
    """
    for place in places:
        if place.exists() and not replace:
            raise FileExistsError(f"export_features: {place} is there already; pass replace=True, or --replace.")
        ours = place.is_dir() == (place.suffix.lower() == ".tsv")
        if place.exists() and not (ours and (place.is_file() or (place / "projector_config.json").is_file())):
            raise FileExistsError(f"export_features: {place} is no earlier export, so it is not replaced.")


def _described(source: Run | Recipe, dataset: Any, store: Store, device: str, progress: bool) -> Features:
    """The descriptors of a recipe."""
    recipe = source.recipe if isinstance(source, Run) else source
    given = dataset if dataset is not None else source.dataset if isinstance(source, Run) else recipe.dataset
    loaded = load_dataset(given)
    if recipe.aggregation.fact("similarity"):
        raise ValueError(
            f"export_features: aggregation {recipe.aggregation} compares images word by word, without a vector; choose "
            "an aggregation that gives one vector per image, such as 'gem'."
        )
    backbone = load_backbone(recipe.backbone, recipe.weights, device)
    resolved = recipe.resolved(loaded, backbone, store)
    bench = Bench(loaded, backbone, resolved, store=store, progress=progress)
    bench.fill([resolved])
    images, queries = (values_of("export_features", rows) for rows in bench.pair(resolved))
    return Features(loaded, images, queries if len(queries) else None, resolved.to_json())


def _given(rows: Any, queries: Any, dataset: Any) -> Features:
    """Rows that were computed elsewhere."""
    if dataset is None:
        raise ValueError("export_features: dataset must be given with rows, which it names.")
    loaded: Dataset = load_dataset(dataset)
    given = {"source": (rows, len(loaded.images)), "queries": (queries, len(loaded.queries))}
    found: dict[str, np.ndarray | None] = {"queries": None}
    for name, (values, count) in given.items():
        if name == "queries" and values is None:
            continue
        matrix = np.asarray(values)
        if matrix.ndim != 2 or len(matrix) != count or matrix.dtype.kind not in "fiu":
            raise ValueError(
                f"export_features: {name} must be numbers (N, D), one row for each of the {count} of {loaded.name!r}"
                f"{', or a Run or a Recipe' if name == 'source' else ''}, got {type(values).__name__} {matrix.shape}."
            )
        found[name] = np.ascontiguousarray(matrix, np.float32)
    images, asked = found["source"], found["queries"]
    assert images is not None
    if asked is not None and asked.shape[1] != images.shape[1]:
        raise ValueError(
            f"export_features: queries must have {images.shape[1]} dimensions like the images, got {asked.shape[1]}."
        )
    return Features(loaded, images, asked)
