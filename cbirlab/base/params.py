"""Parameters declared once: check, slider, command line, tables and property tests read the same annotation.

A parameter is an annotated keyword argument of a function or of an estimator's ``__init__``::

    def gem(maps, *, p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0): ...
"""

from __future__ import annotations

import inspect
import math
import pydoc
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cbirlab.base.plain import shown
from cbirlab.base.text import did_you_mean


@dataclass(frozen=True)
class Range:
    """A closed interval of numbers; `step` is for the slider only: values in between are allowed.

    Parameters
    ----------
    low, high : bounds, both included.
    step : step of a slider; an integer range has whole steps.
    integer : whole numbers only.
    optional : ``None`` is allowed too and means "decide from the data".
    """

    low: float
    high: float
    step: float | None = None
    integer: bool = False
    optional: bool = False

    def check(self, owner: str, name: str, value: Any) -> Any:
        """Return `value` as a plain number, or raise ValueError or TypeError that says what is allowed."""
        if value is None and self.optional:
            return None
        try:
            number = float(value)  # pyright: ignore[reportArgumentType]
        except OverflowError:  # a whole number beyond all floats
            number = math.inf
        except (TypeError, ValueError):
            raise TypeError(f"{owner}: {name} must be a number {self.describe()}, got {shown(value)}.") from None
        if isinstance(value, bool) or not math.isfinite(number) or (self.integer and number != int(number)):
            raise ValueError(f"{owner}: {name} must be {self.describe()}, got {shown(value)}.")
        if not self.low <= number <= self.high:
            raise ValueError(f"{owner}: {name} must be {self.describe()}, got {shown(value)}.")
        return int(number) if self.integer else number

    def describe(self) -> str:
        """The interval in words."""
        kind = "a whole number in" if self.integer else "in"
        return f"{kind} [{self.low:.12g}, {self.high:.12g}]" + (" or None" if self.optional else "")


@dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    options: tuple[Any, ...]

    def check(self, owner: str, name: str, value: Any) -> Any:
        """Return `value`, or raise ValueError that names the options and the nearest one."""
        if any(value is option or (type(value) is type(option) and value == option) for option in self.options):
            return value
        hint = did_you_mean(str(value), map(str, self.options))
        raise ValueError(f"{owner}: {name} must be {self.describe()}, got {shown(value)}.{hint}")

    def describe(self) -> str:
        """The options in words."""
        return "one of " + ", ".join(repr(option) for option in self.options)


@dataclass(frozen=True)
class Word:
    """A name of the user's own: small letters, digits and underscores, a letter first."""

    longest: int = 40

    def check(self, owner: str, name: str, value: Any) -> str:
        """Return `value`, or raise ValueError that says what is allowed."""
        if isinstance(value, str) and len(value) <= self.longest and re.fullmatch(r"[a-z][a-z0-9_]*", value):
            return value
        raise ValueError(f"{owner}: {name} must be {self.describe()}, got {shown(value)}.")

    def describe(self) -> str:
        """What is allowed, in words."""
        return f"a name of at most {self.longest} characters a-z, 0-9 and _, starting with a letter"


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: its name, what is allowed, its default, and what it is in one sentence."""

    name: str
    domain: Range | Choice | Word
    default: Any
    says: str = ""


def parameters(target: Callable[..., Any]) -> dict[str, Parameter]:
    """The declared parameters of a function, or of a class's ``__init__``, in the order of its signature."""
    return dict(_declared(target))


@lru_cache(maxsize=1024)
def _declared(target: Callable[..., Any]) -> dict[str, Parameter]:
    """Cached, because reading a signature takes 0.1 ms and a slider asks a dozen times per move."""
    function = target.__init__ if inspect.isclass(target) else target
    hints, said = _hints(function), sentences(target)
    found = {}
    for name, argument in inspect.signature(function).parameters.items():
        domain = _domain(hints.get(name))
        if domain is not None:
            found[name] = Parameter(name, domain, argument.default, said.get(name, ""))
    return found


_ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*) : (?P<text>.*(?:\n .*)*)", re.MULTILINE)
_SENTENCE = re.compile(r"(.+?)(?:\.(?= [^a-z0-9])|\.?$)")
_ELSEWHERE = re.compile(r"(?:see|as for|as in) `([\w.]+)`")


def sentences(target: Any) -> dict[str, str]:
    """What a docstring says of each parameter or attribute, its first sentence; "see `other`" is looked up there.

    >>> from cbirlab.aggregation import AGGREGATIONS
    >>> sentences(AGGREGATIONS["rmac"])["levels"]
    'number of region sizes, from the whole map to ever smaller squares; 3 as published.'
    """
    said: dict[str, str] = {}
    for owner in reversed(inspect.getmro(target)[:-1] if inspect.isclass(target) else (target,)):
        for entry in _ENTRY.finditer(inspect.cleandoc(getattr(owner, "__doc__", None) or "")):
            text = " ".join(entry["text"].split())
            other, first = _ELSEWHERE.match(text), _SENTENCE.match(text.replace("`", ""))
            there = sentences(_named(other[1], owner)) if other else {}
            said |= {name: there.get(name) or (f"{first[1]}." if first else "") for name in entry["names"].split(", ")}
    return said


def _named(name: str, owner: Any) -> Any:
    """What a docstring calls by name: an object of its own module, or one by its full path."""
    scope = getattr(inspect.unwrap(owner), "__globals__", None) or vars(sys.modules[owner.__module__])
    return scope.get(name) or pydoc.locate(name)


def check_parameters(target: Callable[..., Any], given: Mapping[str, Any], *, owner: str) -> dict[str, Any]:
    """All declared parameters of `target`, the `given` ones checked and the rest at their defaults.

    Raises
    ------
    TypeError : an unknown parameter name, or a value that is not a number where one is needed.
    ValueError : a value outside the declared range or options.
    """
    declared = parameters(target)
    for name in given:
        if name not in declared:
            allowed, hint = ", ".join(declared) or "none", did_you_mean(name, declared)
            raise TypeError(f"{owner}: unknown parameter {name!r}; parameters: {allowed}.{hint}")
    return {
        name: parameter.domain.check(owner, name, given[name]) if name in given else parameter.default
        for name, parameter in declared.items()
    }


def _domain(hint: Any) -> Range | Choice | Word | None:
    if get_origin(hint) is not Annotated:
        return None
    return next((part for part in get_args(hint)[1:] if isinstance(part, Range | Choice | Word)), None)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotated parameters, resolved one by one: names imported for type checkers alone may stay unresolved."""
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    resolved = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        if not isinstance(hint, str):
            resolved[name] = hint
        elif hint.startswith("Annotated"):
            holder = type("holder", (), {"__annotations__": {name: hint}})
            resolved.update(get_type_hints(holder, globalns=scope, include_extras=True))
    return resolved
