"""Code: which version of the package's own code a stored value was computed with."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE = __name__.partition(".")[0]


def code_version(*parts: str | Callable[..., Any]) -> str:
    """A hash that changes when one of these parts of the package may compute something else.

    Comments, docstrings and the layout of the text do not count, nor do files that are not named.

    >>> code_version("whitening") == code_version("whitening")
    True

    Parameters
    ----------
    parts : modules and sub-packages by their name below ``cbirlab``, "taps" or "extract.walk"; a function or a class
        of this package stands for its module, one that was defined elsewhere, as in a notebook, for its own text.

    Raises
    ------
    ModuleNotFoundError : there is no such module, as after a move: name it anew where it is asked for.
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
    """Python without comments and texts that stand alone, in one layout."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)] or [ast.Pass()]  # pyright: ignore[reportAttributeAccessIssue]
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
