"""Registry: a mapping from names to methods that refuses duplicates and suggests near names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class UnknownName(KeyError):
    """A name that is not registered; prints as a sentence."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Info:
    """What is known of an entry without loading it: title, reference, and facts that this registry keeps."""

    name: str
    title: str
    reference: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Registry(Mapping[str, T], Generic[T]):
    """An ordered mapping from name to method.

    >>> from cbirlab.registry import Registry
    >>> FRUIT = Registry("fruit")
    >>> FRUIT.add("apple", object(), title="Apple")
    >>> list(FRUIT), "pear" in FRUIT
    (['apple'], False)

    An entry may be given as ``"package.module:attribute"``; it is imported at first use, so that listing stays fast.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T | str] = {}
        self._info: dict[str, Info] = {}

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
        if name not in self._info:
            raise UnknownName(self._unknown(name))
        return self._info[name]

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise UnknownName(self._unknown(name))
        entry = self._entries[name]
        if isinstance(entry, str):
            module, attribute = entry.split(":")
            entry = self._entries[name] = getattr(import_module(module), attribute)
        return cast(T, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def list(self) -> list[str]:
        """All names, in the order in which they were registered."""
        return [*self._entries]

    def _unknown(self, name: object) -> str:
        near = get_close_matches(str(name).lower(), self._entries, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"Unknown {self.kind} {name!r}.{hint} Known: {', '.join(self._entries) or 'none'}."
