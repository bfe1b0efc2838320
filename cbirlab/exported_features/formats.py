"""Formats: how descriptors are written, by the suffix of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.exported_features import projector
from cbirlab.exported_features.features import Features


def _arrays(features: Features) -> dict[str, np.ndarray]:
    found = {"images": features.images}
    return found if features.queries is None else found | {"queries": features.queries}


def _npz(features: Features, path: Path) -> None:
    names = {"image_names": np.array(features.image_names), "recipe": np.array(features.recipe)}
    names |= {} if features.queries is None else {"query_names": np.array(features.query_names)}
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **_arrays(features), **names)


def _hdf5(features: Features, path: Path) -> None:
    import h5py

    texts = {name: given for name, given in features.texts().items() if given}
    with h5py.File(path, "w") as file:
        for name, values in _arrays(features).items():
            file.create_dataset(name, data=values)
        for name, given in texts.items():
            file.create_dataset(name, data=given, dtype=h5py.string_dtype())
        file.attrs["recipe"] = features.recipe


def _parquet(features: Features, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts, parts = features.texts(), _arrays(features)
    size = features.images.shape[1]
    columns = {
        "part": pa.array([part for part, values in parts.items() for _ in values]),
        "name": pa.array([*texts["image_names"], *texts["query_names"]]),
        "descriptor": pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate([*parts.values()]).ravel()), size),
    }
    table = pa.table(columns).replace_schema_metadata({"recipe": features.recipe})
    parquet.write_table(table, path)


def _faiss(features: Features, path: Path) -> None:
    import faiss

    index: Any = faiss.IndexFlatIP(features.images.shape[1])
    for start in range(0, len(features.images), 1 << 16):
        index.add(np.ascontiguousarray(features.images[start : start + (1 << 16)]))
    faiss.write_index(index, str(path))


Write = Callable[[Features, Path], None]
_WRITERS: Mapping[str, tuple[Write, str, str]] = {
    ".npz": (_npz, "", ""),
    ".h5": (_hdf5, "h5py", "hdf5"),
    ".hdf5": (_hdf5, "h5py", "hdf5"),
    ".parquet": (_parquet, "pyarrow", "parquet"),
    ".faiss": (_faiss, "faiss", "scale"),
    ".index": (_faiss, "faiss", "scale"),
    ".tsv": (projector.write, "", ""),
}
SUFFIXES = tuple(_WRITERS)
NAMELESS = (".faiss", ".index")
"""Formats that hold no names: an .npz beside them has these and the queries."""

write_npz: Write = _npz


def writer(path: Path) -> Write:
    """What writes a file of this suffix.

    Raises
    ------
    ValueError : another suffix.
    ImportError : its library is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(f"export_features: path must end in one of {', '.join(SUFFIXES)}, got {path.name!r}.")
    write, library, extra = _WRITERS[suffix]
    if library and find_spec(library) is None:
        raise ImportError(f"{suffix} files need {library}: pip install 'cbirlab[{extra}]'.")
    return write
