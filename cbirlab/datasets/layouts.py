"""Layouts: what the sub-folders of a folder of images stand for, instances or splits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cbirlab.base.notices import notify
from cbirlab.base.params import Choice
from cbirlab.base.progress import bar
from cbirlab.base.text import printable
from cbirlab.datasets.naming import counted, doubts, spelled
from cbirlab.datasets.splits import USED, part_of, roles
from cbirlab.datasets.walking import LeftOut, Walk, endings, hidden, walk, warn_left_out
from cbirlab.images import IMAGE_SUFFIXES, ImageError, size

LAYOUT = Choice(("auto", "instances", "nested", "splits"))
"""What the sub-folders are: "auto" finds out, and warns if it could be wrong; each one an instance; each innermost one
an instance; splits (train, val, test, query, gallery, distractors) with a sub-folder per instance."""
_MANY = 500  # from here on looking at every header takes long enough for a progress bar


@dataclass(frozen=True)
class Shown:
    """An image, the instance that it shows ("" for none), and what it is for: a key of `USED`."""

    path: Path
    instance: str
    role: str


def laid_out(folder: Path, layout: str) -> tuple[list[Shown], list[LeftOut]]:
    """The readable images of a folder in the order of their relative paths, and what is left out of it.

    Warns of what is left out or guessed.

    Raises
    ------
    FileNotFoundError : no such folder.
    ValueError : another layout, no readable image, no splits where there should be some.
    """
    LAYOUT.check("folder", "layout", layout)
    tops = _tops(folder)
    take = _splits if _are_splits(folder, tops, layout) else _instances
    shown, left_out = take(folder, tops, layout)
    spelling = spelled({image.instance for image in shown})
    shown = [replace(image, instance=spelling[image.instance]) for image in shown]
    for doubt in doubts([image.instance for image in shown], spelling):
        _say(folder, f"{doubt}.")
    return shown, left_out


def readable(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """The images below a folder that can be read, in the order of their relative paths; the others, after a warning."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder.")
    found = walk(folder)
    return _readable(folder, found.images, _left_out(found))


def _tops(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder.")
    return sorted(one for one in folder.iterdir() if not hidden(one.name) and os.path.isdir(one))


def _are_splits(folder: Path, tops: Sequence[Path], layout: str) -> bool:
    if layout != "auto":
        return layout == "splits"
    named = [top.name for top in tops if part_of(top.name)]
    others = bool(named) and [top.name for top in tops if part_of(top.name) is None and walk(top).images]
    if others and len(named) > 1:
        _say(
            folder,
            f"the folders {_words(named)} have names of splits, but not those beside them ({_words(others)}), so each "
            "folder is loaded as an instance; pass layout='splits' to load the splits and leave out the rest.",
        )
    return bool(named) and not others


def _instances(folder: Path, _tops: Sequence[Path], layout: str) -> tuple[list[Shown], list[LeftOut]]:
    images, left_out = readable(folder)
    inner = [image.relative_to(folder).parts[:-1] for image in images]
    if layout == "auto" and all(len(folders) > 1 for folders in inner):
        tops = sorted({folders[0] for folders in inner})
        single = f", or give the path {printable(folder / tops[0])}" if len(tops) == 1 else ""
        _say(
            folder,
            f"every image lies two folders down or deeper, and the folders at the top ({_words(tops)}) are loaded "
            f"as instances; pass layout='nested' to load the {len({*inner})} innermost folders as instances{single}; "
            "pass layout='instances' if the folders at the top are right.",
        )
    names = ["/".join(folders if layout == "nested" else folders[:1]) for folders in inner]
    labelled = any(names)
    shown = [
        Shown(image, name, "both" if name or not labelled else "distractor")
        for image, name in zip(images, names, strict=True)
    ]
    return shown, left_out


def _splits(folder: Path, tops: Sequence[Path], layout: str) -> tuple[list[Shown], list[LeftOut]]:
    parts = {top.name: part_of(top.name) for top in tops}
    named = {part for part in parts.values() if part}
    if not named:
        raise ValueError(
            f"{folder}: layout 'splits' needs folders named train, val, test, query or gallery, found none."
        )
    role_of = {top: roles(named)[part] if part else "" for top, part in parts.items()}
    beside = [
        one for one in sorted(folder.iterdir()) if one.suffix.lower() in IMAGE_SUFFIXES and not os.path.isdir(one)
    ]
    left = [LeftOut(file, "split", f"{file} lies beside the splits.") for file in beside if not hidden(file.name)]
    images: list[Path] = []
    for top in tops:  # one walk each: a query may be a link to an image of the gallery
        found = walk(top)
        if role_of[top.name]:
            images, left = images + found.images, left + _left_out(found)
        else:
            left += [LeftOut(image, "split", f"{image} belongs to no split that is used.") for image in found.images]
    shown = []
    images, left = _readable(folder, images, left)
    for image in images:
        top, *inner = image.relative_to(folder).parts[:-1]
        role = role_of[top]
        shown.append(Shown(image, "" if role == "distractor" or not inner else inner[0], role))
    if layout == "auto":
        counts = {top: sum(image.path.is_relative_to(folder / top) for image in shown) for top in parts}
        told = [
            f"{top} is {USED[role_of[top]]}" + (f" ({counted(counts[top], 'image')})" if role_of[top] else "")
            for top in parts
        ]
        _say(
            folder,
            f"its folders have names of splits and are loaded as splits: {', '.join(told)}. Pass layout='splits' if "
            "that is right, layout='instances' if each of them is an instance.",
        )
    return shown, left


def _left_out(found: Walk) -> list[LeftOut]:
    repeated = [
        LeftOut(link, "link", f"{link} leads to an image that is already in the folder.") for link in found.repeated
    ]
    return found.left_out + repeated


def _readable(folder: Path, images: Iterable[Path], left_out: Sequence[LeftOut]) -> tuple[list[Path], list[LeftOut]]:
    """Images with a header that can be read, in the order of their relative paths, and all that is left out."""
    found, unread = [], []
    ordered = sorted(images, key=lambda file: file.relative_to(folder).as_posix())
    for file in bar(ordered, desc="reading headers", unit="file", show=len(ordered) >= _MANY, delay=0):
        try:
            size(file)
        except ImageError as error:
            unread.append(LeftOut(file, "header", str(error)))
        else:
            found.append(file)
    lost = [*left_out, *unread]
    warn_left_out(folder, lost)
    if found:
        return found, lost
    why = [f"{len(unread)} image files, none of them readable"] if unread else []
    others = [file for file in left_out if file.cause == "ending"]
    why += [endings(others)] if others else []
    suffixes = " ".join(sorted(IMAGE_SUFFIXES))
    raise ValueError(f"{folder}: a dataset needs at least one image ({suffixes}), found {'; '.join(why) or 'none'}.")


def _say(folder: Path, what: str) -> None:
    notify(f"{printable(folder)}: {what}")


def _words(names: Sequence[str]) -> str:
    shown = [printable(name) for name in names[:3]]
    if len(names) > 3:
        return f"{', '.join(shown)}, ..."
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
