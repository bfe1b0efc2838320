"""Extensions: methods and stages that other packages add; the first import of this module loads them.

Registries import it when someone asks them for a name that they lack, or for all their names; never at the top of a
module: an extension may import any room. See EXTENDING.md for what an extension is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

GROUP = "cbirlab"
"""The entry-point group; each entry point names a module, or a function without arguments, that registers things."""


@dataclass(frozen=True)
class Extension:
    """An entry point of an installed package, and whether it loaded.

    Attributes
    ----------
    target : the module, or "module:function".
    error : the error that loading raised; "" if it succeeded.
    """

    name: str
    package: str
    target: str
    error: str


def _find() -> Iterable[EntryPoint]:
    """The entry points of this environment; none, with a warning, if a package has a file that cannot be read."""
    try:
        return entry_points(group=GROUP)
    except Exception as raised:
        warnings.warn(
            f"cbirlab goes on without extensions: a package here has entry points that cannot be read "
            f"({type(raised).__name__}: {raised})",
            stacklevel=2,
        )
        return ()


def _load(point: EntryPoint) -> Extension:
    """Let an extension register what it brings; warn if it fails, whatever it raises."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"
    error = ""
    try:
        register = point.load()
        if callable(register):
            register()
    except (Exception, SystemExit) as raised:
        error = f"{type(raised).__name__}: {raised}"
        warnings.warn(
            f"cbirlab goes on without the extension {point.name!r} of {package} ({point.value}), which failed: {error}",
            stacklevel=2,
        )
    return Extension(point.name, package, point.value, error)


EXTENSIONS = [_load(point) for point in _find()]
"""All extensions of this environment, in the order in which they were loaded; complete once this module is imported."""
