"""Fields: what is declared about each field of a recipe, once, for the check, the command line, tables and panels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self

from cbirlab.backbones import split_backbone, usual_backbone
from cbirlab.base.methods import Method
from cbirlab.base.params import Choice, Range
from cbirlab.base.plain import check_texts, shown
from cbirlab.base.registry import load_extensions

DATA, NETWORK, MAPS, SETTING = "data", "network", "maps", "setting"
LEARNING, SEARCH, JUDGING, ADDED = "learning", "search", "judging", "added"

ABOUT = "about"

SCALE_SETS = {
    "single": (1.0,),
    "down": (1.0, 2**-0.5, 0.5),
    "up_down": (1.0, 2**0.5, 2**-0.5),
}
"""Scales of multi-scale descriptors: "down" of Radenović et al. (TPAMI 2019), "up_down" of their training code."""

MOST_SCALES = 16
"""Limit for scales: each one is a pass of its own, or descriptors of its own beside the others."""


@dataclass(frozen=True)
class About:
    """What is declared about a field of a recipe.

    Attributes
    ----------
    decides : what a change of the field changes first: the "data"; the "network"; the "maps" that it gives; the
        "setting" that the controls of a panel change; the images to learn on ("learning"); the "search"; the "judging";
        or a stage that was "added". Recipes that differ only in the last five share their maps.
    check : turns a value into what the recipe keeps; raises ValueError or TypeError that says what is allowed.
    help : for the command line, without the default.
    unset : what None means, in words.
    metavar, read, several : of its option: the placeholder, the function that reads a text, and whether it takes many.
    plural : the argument of `compare` that takes several; "" for a field that the rows of a table share.
    compared : default of that argument, if it is not the field's own default.
    offers : what a panel makes its control of: the class of its methods (`base.methods.Method`), or a `Range`.
    later : recipes once lacked this field, so its default is not written, and the keys of old recipes stay the same.
    lacking : what a saved recipe without the field means, if not its default; this is what is not written then.
    """

    decides: str
    check: Callable[[Any], Any] | None = None
    help: str = ""
    unset: str = ""
    metavar: str = "NAME"
    read: Callable[[str], Any] = str
    several: bool = False
    plural: str = ""
    compared: str = ""
    offers: Any = None
    later: bool = False
    lacking: Any = None


class Extensible:
    """A record to which extensions may add fields; extensions are loaded before the first record is made."""

    def __new__(cls, *_: Any, **fields: Any) -> Self:
        load_extensions()
        return super().__new__(cls)


def declared(default: Any, decides: str, check: Callable[[Any], Any] | None = None, help: str = "", **more: Any) -> Any:
    """A field of a recipe with its default and its declaration, see `About`; the check may be a class of methods."""
    if isinstance(check, type) and issubclass(check, Method):
        more, check = {"offers": check, **more}, check.parse
    return field(default=default, metadata={ABOUT: About(decides, check, help, **more)})


def whole(default: Any, decides: str, name: str, allowed: Range, help: str, metavar: str, **more: Any) -> Any:
    """A field that is a whole number, and that recipes once lacked."""
    more = {"offers": allowed, **more} if more.get("plural") else more
    return declared(default, decides, checked_by(name, allowed), help, metavar=metavar, read=int, later=True, **more)


def about(one: Field[Any]) -> About:
    """What is declared about a field."""
    return one.metadata[ABOUT]


def each(record: Any, *decides: str) -> Iterator[tuple[str, About]]:
    """Name and declaration of the fields of a recipe, or only of those that decide this."""
    for one in fields(record):
        if not decides or about(one).decides in decides:
            yield one.name, about(one)


def names(record: Any, *decides: str) -> tuple[str, ...]:
    """Names of the fields that decide this."""
    return tuple(name for name, _ in each(record, *decides))


def checked_by(name: str, allowed: Range | Choice, owner: str = "Recipe") -> Callable[[Any], Any]:
    """The check of a field that is a number of a range or one of some options."""
    return lambda value: allowed.check(owner, name, value)


def optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The check of a field that may be None."""
    return lambda value: None if value is None else check(value)


def one_of(what: str, allowed: Choice) -> str:
    """Say what a field may be."""
    return f"{what}: {', '.join(allowed.options)}"


def help_of(default: Any, field: About, *, several: bool = False) -> str:
    """The help of a field's option with its default; `several` is that of `compare`."""
    usual = (several and field.compared) or field.unset or default
    if isinstance(usual, tuple | bool):
        usual = ", ".join(f"{one:g}" for one in usual) if isinstance(usual, tuple) else "on" if usual else "off"
    return f"{field.help} (default: {usual})".strip() if usual not in (None, "") else field.help


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


def check_scales(given: str | Sequence[float]) -> tuple[float, ...]:
    """The check of scales: numbers, or the name of a set of them."""
    if isinstance(given, str):
        Choice(tuple(SCALE_SETS)).check("Recipe", "scales", given)
        return SCALE_SETS[given]
    if isinstance(given, Mapping) or not hasattr(given, "__len__") or not 1 <= len(given) <= MOST_SCALES:
        raise ValueError(
            f"Recipe: scales must be 1 to {MOST_SCALES} numbers or one of {', '.join(SCALE_SETS)}, got {shown(given)}."
        )
    return tuple(Range(0.05, 8).check("Recipe", "scales", scale) for scale in given)


def settle(record: Any, pictures: str) -> None:
    """Check a new frozen record with a backbone, and put in its fields what their checks return.

    Parameters
    ----------
    pictures : the dataset for which a network is chosen where none is named, see `usual_backbone`.
    """
    if record.backbone is None:
        object.__setattr__(record, "backbone", usual_backbone(pictures))
    check_texts(record)
    backbone, weights = split_backbone(str(record.backbone), record.weights)
    clean: dict[str, Any] = {"backbone": backbone, "weights": weights}
    for name, declaration in each(record):
        if declaration.check is not None:
            clean[name] = declaration.check(getattr(record, name))
    for name, value in clean.items():
        object.__setattr__(record, name, value)
