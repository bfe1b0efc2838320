"""Names: how tables call your own folders and files, and how they write instances."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from cbirlab.base.text import printable
from cbirlab.datasets.splits import part_of

_GENERIC = frozenset(
    "annotation annotations answers data dataset datasets files groundtruth ground_truth gt image images img imgs "
    "instances jpg jpeg label labels list lists metadata photo photos picture pictures png table".split()
)
"""Names of files and folders that say nothing about their contents."""

_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_NOTHING = frozenset({"nan", "none", "null", "na", "n/a", "nil", "-1", "?"})


def name_of(path: Path) -> str:
    """The name of a file without its ending, or of a folder; with that of its parent folder in front if it says
    nothing, such as "images".

    >>> name_of(Path("/home/me/covers/groundtruth.csv")), name_of(Path("/home/me/covers.csv"))
    ('covers/groundtruth', 'covers')
    """
    whole = path.resolve() if path.is_dir() else Path(os.path.abspath(path))
    name, around = whole.name if path.is_dir() else whole.stem, whole.parent.name
    says_nothing = name.casefold() in _GENERIC or part_of(name) is not None
    return printable(f"{around}/{name}" if around and says_nothing else name or str(whole))


def spelled(instances: Iterable[str]) -> dict[str, str]:
    """How each instance is written: "1.0" as "1" where both occur, accents as one character, other bytes escaped."""
    clean = {text: printable(unicodedata.normalize("NFC", text)) for text in instances}
    there = {*clean.values()}
    whole = {text: _WHOLE.fullmatch(text) for text in there}
    short = {text: found[1] for text, found in whole.items() if found is not None and found[1] in there}
    return {text: short.get(one, one) for text, one in clean.items()}


def doubts(instances: Collection[str], spelling: Mapping[str, str]) -> list[str]:
    """Instances that may be meant differently, a clause for each kind of doubt.

    Parameters
    ----------
    instances : those of the images, as the list or the folders write them.
    spelling : from `spelled`.
    """
    said = []
    joined = [f"{text} and {one}" for text, one in spelling.items() if _WHOLE.fullmatch(text) and one != text]
    if joined:
        said.append(f"{_listed(joined)} count as one instance")
    alike = defaultdict(set)
    for text in {*instances} - {""}:
        alike[re.sub(r"\s+", " ", text).strip().casefold()].add(text)
    several = [" and ".join(sorted(texts)) for texts in alike.values() if len(texts) > 1]
    if several:
        said.append(f"{_listed(sorted(several))} differ only in case or spaces, and count as several instances")
    nothing = Counter(text for text in instances if text.casefold() in _NOTHING)
    said += [f"{text!r} ({counted(count, 'image')}) counts as an instance too" for text, count in nothing.items()]
    return said


def counted(count: int, noun: str) -> str:
    """A number and its noun: "1 line", "1,200 lines"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(texts: list[str]) -> str:
    return ", ".join(texts[:3]) + (f", ... ({len(texts)} in all)" if len(texts) > 3 else "")
