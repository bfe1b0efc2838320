"""What is known of the pictures of a dataset: by this a map colours its points."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cbirlab.base.progress import bar
from cbirlab.base.text import printable
from cbirlab.datasets.base import Dataset
from cbirlab.widgets.parts.colouring import GREY, Colouring, by_groups, by_numbers
from cbirlab.widgets.parts.gallery import Thumbnails
from cbirlab.widgets.parts.map_charts import JUNK, RIGHT, UNKNOWN, WRONG, group_of

INSTANCE, RIGHT_OR_WRONG, FOLDER = "instance", "right / wrong", "folder"
BRIGHTNESS, DATE, NOTHING = "brightness", "file date", "nothing"
SLOW = BRIGHTNESS
"""It has to open every picture."""

_FEW_NUMBERS = 8
"""So many different numbers in a column are names."""

_LOOKS = {WRONG: GREY, JUNK: 4, RIGHT: 2}
"""Their places in the palette, in the order in which they are drawn: nearly all are wrong, the right lie on top."""


class Facts:
    """Facts about the pictures of a dataset, the database first, then the queries, as `Thumbnails.of_dataset` counts.

    Parameters
    ----------
    thumbnails : give the brightness.

    Attributes
    ----------
    names : of the facts on offer, the usual one first.
    """

    def __init__(self, dataset: Dataset, thumbnails: Thumbnails) -> None:
        self.dataset, self.thumbnails = dataset, thumbnails
        self._columns = _columns(_rows(dataset))
        self._known: dict[str, Colouring] = {}
        offered = {
            INSTANCE: any(dataset.instances),
            RIGHT_OR_WRONG: bool(dataset.labels) or any(dataset.instances),
            FOLDER: len({path.parent for path in dataset.images}) > 1,
            **dict.fromkeys(self._columns, True),
            BRIGHTNESS: True,
            DATE: True,
            NOTHING: True,
        }
        self.names = [name for name, there in offered.items() if there]
        self.usual = INSTANCE if offered[INSTANCE] else NOTHING

    def ready(self, name: str) -> bool:
        """Whether a fact is known without opening every picture."""
        return name != SLOW or name in self._known

    def colouring(self, name: str, kinds: Sequence[str] = ()) -> Colouring:
        """Colours of all pictures by one of `names`.

        Parameters
        ----------
        kinds : mark of each database row in the present answer, for `RIGHT_OR_WRONG`.
        """
        if name == RIGHT_OR_WRONG:
            return right_or_wrong(kinds, len(self.thumbnails))
        if name not in self._known:
            made = by_groups([""] * len(self.thumbnails)) if name == NOTHING else self._made(name)
            self._known[name] = made
        return self._known[name]

    def _made(self, name: str) -> Colouring:
        if name == INSTANCE:
            known = [printable(one) for one in self.dataset.instances]
            return by_groups([*known, *[""] * (len(self.thumbnails) - len(known))])
        if name == FOLDER:
            return by_groups(folders(self.thumbnails.paths))
        if name == BRIGHTNESS:
            shown = bar(range(len(self.thumbnails)), desc="brightness", unit="picture", show=False)
            return by_numbers(np.array([brightness(self.thumbnails[item]) for item in shown]), "{:.0f} %".format)
        if name == DATE:
            return by_numbers(np.array([_date(path) for path in self.thumbnails.paths]), _written_date)
        return self._columns[name]()


def right_or_wrong(kinds: Sequence[str], count: int) -> Colouring:
    """Colours of `count` pictures by the mark of each database row; none where nothing is known."""
    groups = ["" if (group := group_of(kind)) == UNKNOWN else group for kind in kinds]
    groups += [""] * (count - len(groups))
    number = {name: place for place, name in enumerate(_LOOKS)}
    numbers = np.array([number.get(group, -1) for group in groups], np.int16)
    there = [place for place in number.values() if (numbers == place).any()]
    rank = np.full(len(number) + 1, -1, np.int16)
    rank[there] = np.arange(len(there))
    names = [list(_LOOKS)[place] for place in there]
    return Colouring(names, rank[numbers], [_LOOKS[name] for name in names])


def folders(paths: Sequence[Path]) -> list[str]:
    """The folder of each file, from the one on that all of them share."""
    parents = {path.parent for path in paths}
    shared = os.path.commonpath([os.path.abspath(parent) for parent in parents])
    named = {parent: os.path.relpath(os.path.abspath(parent), shared) for parent in parents}
    own = {parent: Path(shared).name if name == os.curdir else Path(name).as_posix() for parent, name in named.items()}
    return [printable(own[path.parent]) for path in paths]


def brightness(jpeg: bytes) -> float:
    """Mean brightness of a picture in per cent of white."""
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft("L", (image.width // 8, image.height // 8))
        return float(np.asarray(image.convert("L")).mean()) / 2.55


def _date(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return np.nan


def _written_date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _rows(dataset: Dataset) -> list[dict[str, Any]]:
    """What the dataset's files say of each picture, in the order of the thumbnails."""
    parts = [(dataset.metadata.get("images"), dataset.images), (dataset.metadata.get("queries"), dataset.queries)]
    return [_flat(row) for rows, of in parts for row in (rows if rows and len(rows) == len(of) else [{}] * len(of))]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Texts and numbers, also one level down."""
    inner = {
        f"{name}: {key}": one for name, value in row.items() if isinstance(value, Mapping) for key, one in value.items()
    }
    return {name: one for name, one in {**row, **inner}.items() if isinstance(one, str | int | float)}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Callable[[], Colouring]]:
    """How each column colours the pictures, as far as its values are neither all alike nor all different."""
    found: dict[str, Callable[[], Colouring]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        texts = [str(row.get(name, "")).strip() for row in rows]
        different = {text for text in texts if text}
        if len(different) < 2:
            continue
        numbers = _numbers(texts)
        if numbers is not None and len(different) > _FEW_NUMBERS:
            found[printable(name)] = lambda numbers=numbers: by_numbers(numbers)
        elif 2 * len(different) <= sum(map(bool, texts)):
            found[printable(name)] = lambda texts=texts: by_groups([printable(text) for text in texts])
    return found


def _numbers(texts: Sequence[str]) -> np.ndarray | None:
    """A column of texts as numbers, NaN where it is empty; None if one is no number."""
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return None
