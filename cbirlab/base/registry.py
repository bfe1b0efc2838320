"""Registry: a mapping from names to methods that refuses duplicates and suggests near names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from threading import RLock
from typing import Any, Generic, TypeVar, cast

from cbirlab.base.text import did_you_mean

T = TypeVar("T")


class UnknownName(KeyError):
    """A name that is not registered; prints as a sentence."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Info:
    """What the registry knows about an entry without loading it: its title, its reference and further facts."""

    name: str
    title: str
    reference: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Registry(Mapping[str, T], Generic[T]):
    """An ordered mapping from name to method.

    >>> from cbirlab.base.registry import Registry
    >>> FRUIT = Registry("fruit")
    >>> FRUIT.add("apple", object(), title="Apple")
    >>> list(FRUIT), "pear" in FRUIT
    (['apple'], False)

    An entry may be given as ``"package.module:attribute"``; it is imported at first use, so that listing stays fast.
    Names that begin with the prefix of a family (see `add_family`) are registered when they are first asked for. Asking
    for a missing name, or for all names, loads the extensions first (see `cbirlab.base.extensions`).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T | str] = {}
        self._info: dict[str, Info] = {}
        self._families: dict[str, tuple[str, str]] = {}
        self._former: dict[str, str] = {}
        self._meeting = RLock()

    def add(self, name: str, entry: T | str, *, title: str, reference: str = "", **facts: Any) -> None:
        """Register `entry` under `name`.

        Raises
        ------
        ValueError : the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already; choose another name.")
        self._entries[name] = entry
        self._info[name] = Info(name, title, reference, facts)

    def add_family(self, prefix: str, finder: str, *, title: str) -> None:
        """Add a family of names that begin with `prefix`, too many to list; `finder` registers each on request.

        Parameters
        ----------
        finder : ``"package.module:attribute"`` of a function that is called with the whole name and registers it, or
            raises an error that says what is wrong.
        title : what the family is, for lists.

        Raises
        ------
        ValueError : the prefix is taken.
        """
        if prefix in self._families:
            raise ValueError(f"{self.kind} family {prefix!r} is registered already; choose another prefix.")
        self._families[prefix] = (finder, title)

    def rename(self, former: str, name: str) -> None:
        """Keep accepting `former`, the earlier name of `name`."""
        self._former[former] = self.info(name).name

    def present(self, name: str) -> str:
        """The present name of `name`, which may be a former one."""
        return self._former.get(name, name)

    @property
    def families(self) -> dict[str, str]:
        """Prefix and title of every family of names."""
        return {prefix: title for prefix, (_, title) in self._families.items()}

    def register(self, name: str, *, title: str, reference: str = "", **facts: Any) -> Callable[[T], T]:
        """Decorator form of `add`."""

        def decorate(entry: T) -> T:
            self.add(name, entry, title=title, reference=reference, **facts)
            return entry

        return decorate

    def remove(self, name: str) -> None:
        """Take `name` out again (for tests and for notebooks that define a method twice)."""
        self.info(name)
        del self._entries[name], self._info[name]

    def info(self, name: str) -> Info:
        """Title, reference and facts of `name`, without importing it."""
        return self._info[self._meet(name)]

    def __getitem__(self, name: str) -> T:
        name = self._meet(name)
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = _imported(entry)
        return cast(T, entry)

    def __iter__(self) -> Iterator[str]:
        load_extensions()
        return iter(self._entries)

    def __len__(self) -> int:
        load_extensions()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self.list()

    def list(self) -> list[str]:
        """All names, in the order in which they were registered."""
        return [*self]

    def so_far(self) -> list[str]:
        """The names that are registered by now, for modules that ask while they are imported."""
        return [*self._entries]

    def _meet(self, name: str) -> str:
        """The present name of `name`; registers a name of a family when it is first asked for."""
        if self.present(name) not in self._entries:
            load_extensions()
            with self._meeting:  # two threads may ask for the same one
                for prefix, (finder, _) in self._families.items():
                    if isinstance(name, str) and name.startswith(prefix) and name not in self._entries:
                        _imported(finder)(name)
        name = self.present(name)
        if name not in self._entries:
            raise UnknownName(self._unknown(name))
        return name

    def _unknown(self, name: object) -> str:
        hint = did_you_mean(str(name), self._entries, most=3, cutoff=0.5)
        shown = name if len(repr(name)) <= 100 else f"{str(name)[:80]}..."
        return f"Unknown {self.kind} {shown!r}.{hint} Known: {', '.join(self._entries) or 'none'}."


def load_extensions() -> None:
    """Load what other packages bring, the first time; inside an extension it does nothing."""
    import cbirlab.base.extensions  # noqa: F401  (its first import loads them, in one thread)


def _imported(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
