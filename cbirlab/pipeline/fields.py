"""Fields: what is declared of each field of a recipe, once, for the check, the command line, tables and panels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self

from cbirlab.params import Choice, Range
from cbirlab.registry import load_extensions

DATA, NETWORK, MAPS, SETTING = "data", "network", "maps", "setting"
LEARNING, SEARCH, JUDGING, ADDED = "learning", "search", "judging", "added"

ABOUT = "about"


@dataclass(frozen=True)
class About:
    """What is declared of a field of a recipe.

    Attributes
    ----------
    decides : what a change of it changes first: the "data"; the "network"; the "maps" that it gives; the "setting",
        which the controls of a panel change; what is learned on ("learning"); the "search"; the "judging"; or a stage
        that was "added". Recipes that differ in the last five alone share their maps.
    check : takes a value and gives it as the recipe keeps it; raises ValueError or TypeError that says what is allowed.
    help : for the command line.
    metavar, read, several : of the option: its placeholder, what reads a text, and whether it takes many.
    plural : the argument of `compare` that takes several; "" for a field that the rows of a table share.
    later : recipes once had no such field: at its default it is not written, so the keys of recipes stay as they were.
    """

    decides: str
    check: Callable[[Any], Any] | None = None
    help: str = ""
    metavar: str = "NAME"
    read: Callable[[str], Any] = str
    several: bool = False
    plural: str = ""
    later: bool = False


class Extensible:
    """A record to which extensions may add fields: they are loaded before the first one is made."""

    def __new__(cls, *_: Any, **fields: Any) -> Self:
        load_extensions()
        return super().__new__(cls)


def declared(default: Any, decides: str, check: Callable[[Any], Any] | None = None, help: str = "", **more: Any) -> Any:
    """A field of a recipe with its default and what is declared of it, see `About`."""
    return field(default=default, metadata={ABOUT: About(decides, check, help, **more)})


def about(one: Field[Any]) -> About:
    """What is declared of a field."""
    return one.metadata[ABOUT]


def each(record: Any, *decides: str) -> Iterator[tuple[str, About]]:
    """Name and declaration of the fields of a recipe, of those that decide this where that is given."""
    for one in fields(record):
        if not decides or about(one).decides in decides:
            yield one.name, about(one)


def names(record: Any, *decides: str) -> tuple[str, ...]:
    """Names of the fields that decide this."""
    return tuple(name for name, _ in each(record, *decides))


def checked_by(name: str, allowed: Range | Choice) -> Callable[[Any], Any]:
    """The check of a field that is a number of a range or one of some options."""
    return lambda value: allowed.check("Recipe", name, value)


def optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The check of a field that may be None."""
    return lambda value: None if value is None else check(value)


def one_of(what: str, allowed: Choice) -> str:
    """What a field may be, its default first."""
    return f"{what}: {', '.join(allowed.options)} (default: {allowed.options[0]})"


def on_or_off(text: str) -> bool:
    """Whether a text says on."""
    words = {"on": True, "true": True, "off": False, "false": False}
    if text.lower() not in words:
        raise ValueError(f"must be on or off, got {text!r}")
    return words[text.lower()]


def number_or_name(text: str) -> float | str:
    """A number, or the text itself."""
    try:
        return float(text)
    except ValueError:
        return text
