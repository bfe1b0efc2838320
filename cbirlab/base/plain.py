"""Plain data from strangers: JSON that may hold anything, and records whose fields may be set to anything."""

from __future__ import annotations

import ast
import json
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from threading import Lock
from typing import Any

from cbirlab.base.text import did_you_mean

DEEPEST = 32
MOST_BYTES = 64 << 20
"""Limit of a JSON text: as Python's lists and numbers it takes up to twenty times as much memory."""

MOST_LETTERS = 1000
"""Limit of a text in a recipe: the name of a method with its parameters, of a dataset or of a tap."""

_CONSTANTS = {"True": True, "False": False, "None": None}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_FRACTION = re.compile(r"-?[0-9]{1,9}\.[0-9]{1,9}", re.ASCII)
_SIMPLE_TEXT = re.compile(r"'[\w .>()=-]*'|\"[\w .>()=-]*\"")
"""What nearly all parameters look like is read without a tree of syntax."""

_READING = Lock()  # in some versions of Python, parsing in two threads at once fails (SystemError)

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 2


def parse_json(text: str) -> Any:
    """The value in a JSON text.

    Raises
    ------
    ValueError : not JSON, longer than `MOST_BYTES`, or nested more than `DEEPEST` deep.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"JSON must have at most {MOST_BYTES:,} characters, got {len(text):,}")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(f"JSON must be nested at most {DEEPEST} deep") from None
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from None
    level = [found]
    for _ in range(DEEPEST):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return found
    raise ValueError(f"JSON must be nested at most {DEEPEST} deep")


def literal(text: str) -> Any:
    """The value of a Python literal; safe between threads.

    Raises
    ------
    SyntaxError, ValueError, TypeError, RecursionError, MemoryError : as `ast.literal_eval`.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return float(text)
    if _SIMPLE_TEXT.fullmatch(text):
        return text[1:-1]
    with _READING:
        return ast.literal_eval(text)


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()


def object_of(owner: str, saved: str | Mapping[str, Any], form: str = "a JSON object") -> dict[str, Any]:
    """The contents of a JSON object, given as text or as a mapping; `form` says what is expected.

    Raises
    ------
    ValueError : something else, or nested more than `DEEPEST` deep.
    """
    try:
        found = parse_json(saved) if isinstance(saved, str) else dict(saved)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner}: expected {form}, got {shown(saved)} ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{owner}: expected {form}, got {shown(saved)}.")
    return found


def check_fields(owner: str, record: type, given: Iterable[str]) -> None:
    """Refuse names that are not fields of a record, a dataclass.

    Raises
    ------
    TypeError : such a name.
    """
    known = [field.name for field in fields(record)]
    for name in given:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise TypeError(f"{owner}: unknown field {shown(name)}; fields: {', '.join(known)}.{hint}")


def check_texts(record: Any) -> None:
    """Refuse values that are not text in the fields that a record declares as text.

    Raises
    ------
    TypeError : a value that is neither a text nor a path, or None in a field that does not allow it.
    ValueError : a text of more than `MOST_LETTERS`.
    """
    for field in fields(record):
        value = getattr(record, field.name)
        kind = str(field.type)  # "str", or a class of texts as "Whitening"
        if not (kind.startswith("str") or kind[0].isupper()) or (value is None and "None" in kind):
            continue
        owner = f"{type(record).__name__}: {field.name} must be text"
        if not isinstance(value, str | os.PathLike):
            raise TypeError(f"{owner}{' or None' if 'None' in kind else ''}, got {shown(value)}.")
        if isinstance(value, str) and len(value) > MOST_LETTERS:
            raise ValueError(f"{owner} of at most {MOST_LETTERS} characters, got {len(value):,}.")


def shown(value: Any) -> str:
    """A value for a message, however long or deep it is."""
    return _SHORT.repr(value)
