"""Ground truth as others publish it: one form for ``.pkl`` (indices from 0), ``.mat`` (from 1) and the text files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.datasets.base import Box

_PARTS = ("imlist", "qimlist", "qidx", "gnd")
_LABELS = ("good", "ok", "easy", "hard", "junk")


@dataclass(frozen=True)
class Truth:
    """Ground truth of Q queries, all indices from 0.

    Attributes
    ----------
    images : names in the database, without or with suffix, as published.
    queries : names of the query images.
    own : row of each query's image in the database, or None if it is not in the database.
    labels : per query, the rows of each label that the file has.
    boxes : per query, (x0, y0, x1, y1) in pixels, or None.
    """

    images: tuple[str, ...]
    queries: tuple[str, ...]
    own: tuple[int | None, ...]
    labels: tuple[Mapping[str, tuple[int, ...]], ...]
    boxes: tuple[Box | None, ...]


def read_truth(file: Path) -> Truth:
    """The ground truth in a ``gnd_*.pkl`` or ``gnd_*.mat``, of Oxford, Paris, their revisited versions or INSTRE.

    Raises
    ------
    ValueError : a pickle that asks for more than plain values, another form, or impossible indices or boxes.
    """
    found, first = (_loadmat(file), 1) if file.suffix == ".mat" else (_loadpickle(file), 0)
    if not isinstance(found, Mapping) or not {"imlist", "gnd"} <= found.keys():
        raise ValueError(f"{file}: ground truth needs imlist and gnd, and qimlist or qidx.")
    images = _names(file, "imlist", found["imlist"])
    entries = [found["gnd"]] if isinstance(found["gnd"], Mapping) else found["gnd"]
    if not isinstance(entries, list):
        raise ValueError(f"{file}: gnd must be a list of mappings, one per query, got {type(entries).__name__}.")
    own = _own(file, found, images, first)
    queries = _names(file, "qimlist", found["qimlist"]) if "qimlist" in found else [images[row] for row in own]
    if len(queries) != len(entries) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f"{file}: {len(queries)} queries but {len(entries)} ground-truth entries.")
    rows = {name: row for row, name in enumerate(images)}
    return Truth(
        images=tuple(images),
        queries=tuple(queries),
        own=tuple(own) if own else tuple(rows.get(query) for query in queries),
        labels=tuple(
            labelled(file, query, entry, len(images), first) for query, entry in zip(queries, entries, strict=True)
        ),
        boxes=tuple(box_of(file, query, entry.get("bbx")) for query, entry in zip(queries, entries, strict=True)),
    )


def read_text_truth(folder: Path, images: Sequence[str], ignored: Sequence[str] = ()) -> Truth:
    """The original text files of Oxford and Paris: ``<landmark>_<1-5>_{query,good,ok,junk}.txt``.

    Parameters
    ----------
    images : names in the database, without suffix; those of the files become their rows.
    ignored : names that may be missing from it.

    Raises
    ------
    ValueError : a file is missing, or not in this form.
    FileNotFoundError : it names images that are not there.
    """
    rows = {name: row for row, name in enumerate(images)}
    queries, own, labels, boxes = [], [], [], []
    for file in sorted(folder.glob("*_query.txt")):
        words = _words(file)
        if len(words) != 5:
            raise ValueError(f"{file}: must hold an image and the four numbers of its box, got {' '.join(words)!r}.")
        query = words[0].removeprefix("oxc1_")
        queries.append(query)
        own.append(_rows_of(file, [query], rows, ())[0])
        boxes.append(box_of(file, query, words[1:]))
        entry = {
            label: _rows_of(part, _words(part), rows, ignored)
            for label in ("good", "ok", "junk")
            for part in [_part(file, label)]
        }
        labels.append(labelled(file, query, entry, len(images), 0))
    return Truth(tuple(images), tuple(queries), tuple(own), tuple(labels), tuple(boxes))


def instances(truth: Truth, positive: Sequence[str]) -> tuple[str, ...]:
    """Instance of each database image, "" of distractors: queries that share most right answers ask for the same one.

    An instance is named after the first of its query images, without the number at the end unless another has that
    name. An image that shows two instances counts for the first.
    """
    group: dict[int, str] = {}
    for query, labels in zip(truth.queries, truth.labels, strict=True):
        mine = [row for label in positive for row in labels.get(label, ())]
        known = Counter(group[row] for row in mine if row in group).most_common(1)
        short = re.sub(r"_\d+$", "", query)
        free = query if short in group.values() else short
        name = known[0][0] if known and 2 * known[0][1] > len(mine) else free
        for row in mine:
            group.setdefault(row, name)
    return tuple(group.get(row, "") for row in range(len(truth.images)))


def labelled(file: Path, query: str, entry: Mapping[str, Any], images: int, first: int) -> dict[str, tuple[int, ...]]:
    """The labels of one query, as rows from 0.

    Raises
    ------
    ValueError : a row outside of the database, or with two labels.
    """
    found = {label: tuple(_integers(file, query, entry[label]) - first) for label in _LABELS if label in entry}
    rows = [row for label in found.values() for row in label]
    if any(not 0 <= row < images for row in rows):
        raise ValueError(
            f"{file}: {query} must label images from {first} to {images - 1 + first} (a {file.suffix} counts from "
            f"{first}), got {min(rows) + first} to {max(rows) + first}."
        )
    if len(set(rows)) != len(rows):
        raise ValueError(f"{file}: {query} labels an image twice.")
    return {label: tuple(int(row) for row in rows) for label, rows in found.items()}


def box_of(file: Path, query: str, numbers: Any) -> Box | None:
    """A box (x0, y0, x1, y1).

    Raises
    ------
    ValueError : not four numbers, or not two corners, for example a corner with width and height.
    """
    if numbers is None or not np.size(numbers):
        return None
    try:
        x0, y0, x1, y1 = (float(number) for number in np.ravel(numbers))
    except ValueError:
        raise ValueError(f"{file}: the box of {query} must be four numbers, got {numbers!r}.") from None
    if not (x0 < x1 and y0 < y1 and np.isfinite([x0, y0, x1, y1]).all()):
        raise ValueError(
            f"{file}: the box of {query} must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got {x0, y0, x1, y1}."
        )
    return x0, y0, x1, y1


def _loadpickle(file: Path) -> Any:
    from cbirlab.datasets import pickles

    return pickles.load(file)


def _loadmat(file: Path) -> Any:
    from cbirlab.datasets import matfiles

    try:
        if matfiles.is_hdf5(file):
            raise ValueError("version 7.3 is HDF5; save it with -v7")
        return {one.name: one.load() for one in matfiles.variables(file) if one.name in _PARTS}
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{file}: cannot be read as a .mat file ({error}).") from error


def _names(file: Path, key: str, given: Any) -> list[str]:
    names = [given] if isinstance(given, str) else list(np.ravel(np.asarray(given, dtype=object)))
    names = [name.decode("latin1") if isinstance(name, bytes) else name for name in names]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"{file}: {key} must be names of images.")
    if key == "imlist" and len(set(names)) != len(names):
        raise ValueError(f"{file}: {key} has a name twice.")
    return [name.strip() for name in names]


def _own(file: Path, found: Mapping[str, Any], images: Sequence[str], first: int) -> list[int]:
    if "qimlist" not in found and "qidx" not in found:
        raise ValueError(f"{file}: ground truth needs qimlist or qidx.")
    own = [int(row) for row in _integers(file, "qidx", found.get("qidx", ())) - first]
    if any(not 0 <= row < len(images) for row in own):
        raise ValueError(f"{file}: qidx must count images from {first} to {len(images) - 1 + first}.")
    return own


def _integers(file: Path, what: str, given: Any) -> np.ndarray:
    numbers = np.ravel(np.asarray(given))
    if not numbers.size:
        return numbers.astype(np.int64)
    whole = numbers.dtype.kind in "iuf" and bool((numbers == np.floor(numbers)).all())
    if not whole:
        raise ValueError(f"{file}: {what} must have whole numbers, got {numbers[:3]!r}.")
    return numbers.astype(np.int64)  # unsigned in .mat files: subtracting 1 from 0 would wrap around


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: cannot be read as text in UTF-8 ({error}).") from error


def _part(query: Path, label: str) -> Path:
    part = query.with_name(query.name.replace("_query.txt", f"_{label}.txt"))
    if not part.is_file():
        raise ValueError(f"{part}: missing; each query has four files, _query, _good, _ok and _junk.")
    return part


def _rows_of(file: Path, names: Sequence[str], rows: Mapping[str, int], ignored: Sequence[str]) -> list[int]:
    lacking = [name for name in names if name not in rows and name not in ignored]
    if lacking:
        raise FileNotFoundError(f"{file}: {len(lacking)} images are not there, the first is {lacking[0]}.jpg.")
    return [rows[name] for name in names if name in rows]
