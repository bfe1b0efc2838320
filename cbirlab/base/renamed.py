"""Renamed: former names of public things and modules, which still work for a while and warn with the present name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

UNTIL = "0.3"
"""The version that drops the former names."""


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module, under which its former names still work and warn.

    Parameters
    ----------
    names : former name to present one.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is called {names[name]} now; the former name works until version {UNTIL}.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(sys.modules[module], names[name])

    return find


MOVED = {
    **{
        one: f"base.{one}"
        for one in ("cells", "downloads", "methods", "params", "plain", "progress", "registry", "text")
    },
    **{one: f"images.{one}" for one in ("decoding", "preprocessing")},
    **{one: f"backbones.{one}" for one in ("taps", "weights")},
    **{one: f"study.{one}" for one in ("choices", "grid", "literature")},
    "foreign": "imported_features",
    "lists": "index.lists",
    "looking": "study.explain",
    "probe": "study.perturbation",
    "session": "live.session",
    "toynet": "backbones.networks.toynet",
}
"""Former name of a module, or of a room with all its modules, to its present one; both below ``cbirlab``."""


class MovedModules(MetaPathFinder, Loader):
    """Finds the modules of `MOVED` under their former names: the import gives the present module, and a warning."""

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """A specification for a former name, None for all others."""
        package, _, name = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == "cbirlab" and name.partition(".")[0] in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The present module, as it is."""
        room, dot, rest = spec.name.partition(".")[2].partition(".")
        present = f"cbirlab.{MOVED[room]}{dot}{rest}"
        module = import_module(present)
        spec.loader_state = module.__spec__
        warnings.warn(
            f"{spec.name} is called {present} now; the former name works until version {UNTIL}.",
            DeprecationWarning,
            stacklevel=2,  # frames of the import machinery do not count
        )
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Only undo what the import machinery wrote into a module that it took for a new one."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state
