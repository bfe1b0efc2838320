"""A dataset as it is written in recipes and on the command line: a name or a path, with its options if wanted."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cbirlab.base.plain import literal
from cbirlab.base.text import printable, split_list

NAMES = ("DataFrame", "list of paths", "ImageFolder")
"""What datasets that were given in Python are called unless a name is given; no recipe can find them again by it."""


def nameable(dataset: Any) -> None:
    """Refuse what a recipe cannot name.

    Raises
    ------
    TypeError : neither a name nor a path.
    """
    if not isinstance(dataset, str | os.PathLike):
        raise TypeError(
            "Recipe: dataset must be text, a name or path that finds it again, got "
            f"{type(dataset).__name__}; write a CSV file with the columns path and instance and give its path, or pass "
            "load_dataset(...) to what takes a loaded dataset: run, compare, Session, Workbench."
        )


def read(text: str, names: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Split a text into name or path, and options: ``"photos"`` or ``"photos(layout=nested, answers=right.csv)"``.

    If the whole text is the path of something that exists, it means that: folders may have brackets in their names.
    Text needs no quotes.

    Parameters
    ----------
    names : of registered datasets.

    Raises
    ------
    ValueError : the brackets do not hold a list of ``option=value``.
    """
    if text in names or not text.rstrip().endswith(")") or _exists(text):
        return text, {}
    places = [place for place, sign in enumerate(text) if sign == "(" and place][::-1]
    place = next((place for place in places if text[:place].strip() in names or _exists(text[:place].strip())), None)
    if place is None:
        return text, {}
    options: dict[str, Any] = {}
    for member in split_list(text.rstrip()[place + 1 : -1]):
        option, equals, value = (part.strip() for part in member.partition("="))
        if not equals or not option.isidentifier() or option in options:
            raise ValueError(
                f"dataset: options must be written as in 'photos(layout=nested)', got {printable(text)!r}."
            )
        options[option] = _value(value)
    return text[:place].strip(), options


def _exists(text: str) -> bool:
    try:
        return bool(text) and Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, or an unknown home folder
        return False


def _value(text: str) -> Any:
    """A number, True, False, None or quoted text as Python reads it; anything else as text."""
    try:
        value = literal(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (str, int, float, bool, type(None))) else text
