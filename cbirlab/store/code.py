"""Code: which version of the package's own code a stored value was computed with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from io import StringIO
from itertools import pairwise
from pathlib import Path
from token import COMMENT, DEDENT, INDENT, NEWLINE, NL, STRING, tok_name
from tokenize import generate_tokens
from typing import Any

_PACKAGE = __name__.partition(".")[0]


def code_version(*parts: str | Callable[..., Any]) -> str:
    """A hash that changes when one of these parts of the package may compute different results.

    Comments, docstrings and the layout of the text do not count, nor do files of other parts.

    >>> code_version("whitening") == code_version("whitening")
    True

    Parameters
    ----------
    parts : modules and sub-packages by their name below ``cbirlab``, "taps" or "extract.pooling"; a function or a class
        of this package stands for its module, one that was defined elsewhere, such as in a notebook, for its own text.

    Raises
    ------
    ModuleNotFoundError : there is no such module, for example after a move: update its name in the call.
    """
    digests = [_version_of_module(part) if isinstance(part, str) else _version_of_object(part) for part in parts]
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()


@cache
def _version_of_module(name: str) -> str:
    checksum = sha256()
    for path in _files(name):
        checksum.update(_meaning(path.read_text(encoding="utf-8")).encode())
    return checksum.hexdigest()


def _files(name: str) -> Iterator[Path]:
    """The file of a module, or all of a package."""
    found = find_spec(f"{_PACKAGE}.{name}")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"code_version: there is no module {name!r} in {_PACKAGE}; was it moved or renamed?")
    path = Path(found.origin)
    yield from sorted(path.parent.rglob("*.py")) if found.submodule_search_locations else [path]


def _version_of_object(target: Callable[..., Any]) -> str:
    target = inspect.unwrap(target)
    package, _, name = target.__module__.partition(".")
    if package == _PACKAGE and name:
        return _version_of_module(name)
    try:
        text = inspect.getsource(target)
    except (OSError, TypeError):
        code = target.__code__
        text = repr((code.co_code, code.co_consts, code.co_names))
    return sha256(text.encode()).hexdigest()


def _meaning(text: str) -> str:
    """The tokens of a text of Python, without its comments, docstrings and layout.

    It does not use the syntax tree: in some versions of Python, parsing in two threads at once fails (SystemError).
    """
    tokens = [one for one in generate_tokens(StringIO(text).readline) if one.type not in (COMMENT, NL)]
    kept, begins, alone = [], True, False  # whether a statement begins here, and whether it is a mere text
    for token, following in pairwise(tokens):
        if begins:
            alone = token.type == STRING and following.type == NEWLINE
        if not alone:
            kept.append(tok_name[token.type] if token.type in _LAYOUT else token.string)
        begins = token.type in _LAYOUT
        alone = alone and not begins
    return "\n".join(kept)


_LAYOUT = (NEWLINE, INDENT, DEDENT)
