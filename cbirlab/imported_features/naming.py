"""Naming: put rows that come with the names of their images into the order of a dataset."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

Name = str | os.PathLike[str]
_DEEPEST = 8


def name_lists(texts: Mapping[str, Sequence[str]], rows: int) -> dict[str, list[str]]:
    """The lists of text that name rows: one text per row, and all different or with image endings, so not labels."""
    found = {}
    for key, given in texts.items():
        named = [_clean(one) for one in given]
        if len(named) == rows > 1 and (len({*named}) == rows or _as_files(named)):
            found[key] = named
    return found


def order_of(theirs: Mapping[str, Sequence[str]], names: Iterable[Name]) -> np.ndarray | None:
    """The row of each of `names`. Names match as paths from their end, with or without suffix, if that is unique.

    Returns
    -------
    (N,) rows, or None if `theirs` is empty.

    Raises
    ------
    ValueError : no list contains these names, each once.
    """
    ours = [_clean(os.fsdecode(name)) for name in names]
    for given in theirs.values():
        for mine, his in zip(_forms(ours), _forms(given), strict=False):
            if mine == his and len({*mine}) == len({*ours}) and len({*his}) == len({*given}):
                return np.arange(len(ours))  # also if queries share a picture
            rows = {name: row for row, name in enumerate(his)}
            if len(rows) == len(his) and {*mine} == rows.keys() and len(mine) == len(his):
                return np.array([rows[name] for name in mine])
    for key, given in theirs.items():
        raise ValueError(_difference(key, given, ours))
    return None


def _difference(key: str, theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Say why two lists of names do not belong to the same images."""
    forms = [[_form(name, depth, suffix=False) for name in ours] for depth in range(1, _DEEPEST + 1)]
    depth = next((depth for depth, form in enumerate(forms, 1) if len({*form}) == len(ours)), 1)
    mine, his = forms[depth - 1], [_form(name, depth, suffix=False) for name in theirs]
    doubled = [theirs[his.index(name)] for name, times in Counter(his).items() if times > 1]
    known, held = {*mine}, {*his}
    missing = [name for name, form in zip(ours, mine, strict=True) if form not in held]
    unknown = [name for name, form in zip(theirs, his, strict=True) if form not in known]
    parts = [
        f"{len(given):,} {said}, the first is {given[0]!r}"
        for given, said in (
            (missing, "images are not named"),
            (unknown, "names match no image"),
            (doubled, "names occur more than once"),
        )
        if given
    ]
    return f"the names in {key!r} must be those of the images, each once; {'; '.join(parts) or 'they differ'}"


def _forms(names: Sequence[str]) -> Iterator[list[str]]:
    """The names by their last part with suffix, without, by their last two parts, ..."""
    for depth in range(1, _DEEPEST + 1):
        for suffix in (True, False):
            yield [_form(name, depth, suffix=suffix) for name in names]


def _form(name: str, depth: int, *, suffix: bool) -> str:
    """The last parts of a path. Only the suffix of an image is cut off, because names may contain other dots."""
    parts = name.split("/")[-depth:]
    stem, ending = os.path.splitext(parts[-1])
    if not suffix and _is_image(ending):
        parts[-1] = stem
    return "/".join(parts)


def _clean(name: Any) -> str:
    """A name as this system writes it; other systems use other separators and compose letters differently."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
    return unicodedata.normalize("NFC", str(PurePosixPath(text.strip().replace("\\", "/"))))


def _as_files(names: Sequence[str]) -> bool:
    return all(_is_image(os.path.splitext(name)[1]) for name in names)


def _is_image(ending: str) -> bool:
    from cbirlab.images import IMAGE_SUFFIXES  # here, as it loads Pillow and the command line asks for this package

    return ending.lower() in IMAGE_SUFFIXES
