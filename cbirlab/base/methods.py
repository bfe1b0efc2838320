"""Methods: a registered name with all its parameters, as tables print it, menus set it and the store keys it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from cbirlab.base.params import Choice, check_parameters, parameters
from cbirlab.base.plain import literal, shown
from cbirlab.base.registry import Registry
from cbirlab.base.text import split_list, split_outside

_WORD = re.compile(r"[^\W\d][\w.-]*")


class Method(str):
    """A method of a registry with its parameters; each stage of the pipeline has its own subclass.

    A method is its canonical text: it prints, compares, hashes and serialises as ``"gem(p=3)"``, which `parse` reads.

    Parameters
    ----------
    name : in the registry of the stage.
    params : values of some of its parameters, a mapping or pairs; the others take their defaults.

    Raises
    ------
    UnknownName : no such method.
    TypeError, ValueError : an unknown parameter, or a value that is not allowed.
    """

    name: str
    params: tuple[tuple[str, Any], ...]

    registry: ClassVar[Registry[Any]]
    terse: ClassVar[bool] = False
    """Whether the text leaves out parameters at their defaults, except those in the registry's fact `named`."""

    def __new__(cls, name: str, params: Iterable[tuple[str, Any]] | Mapping[str, Any] = ()) -> Self:
        registry = cls.registry_of(name)
        name = registry.present(name)
        complete = check_parameters(registry[name], dict(params), owner=name)
        named = registry.info(name).facts.get("named", ())
        self = super().__new__(cls, _text(name, complete, registry[name], named if cls.terse else complete))
        self.name, self.params = name, tuple(complete.items())
        return self

    @classmethod
    def registry_of(cls, name: str) -> Registry[Any]:
        """The registry that holds `name`."""
        return cls.registry

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.name, self.params

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"gem"`` or ``"gem(p=4)"``, as on the command line and in tables; words need no quotes.

        Raises
        ------
        ValueError : `text` is neither a name nor a name with ``parameter=value`` pairs in parentheses.
        UnknownName, TypeError : as the class does.
        """
        return text if isinstance(text, cls) else cls(*parse_method(cls.registry.kind, str(text)))

    def target(self) -> Any:
        """The registered object: a function, or an estimator's class."""
        return self.registry_of(self.name)[self.name]

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters and their values."""
        return dict(self.params)

    @property
    def key(self) -> str:
        """The canonical text, as a plain `str`."""
        return str(self)

    def fact(self, name: str, default: Any = None) -> Any:
        """A fact that the registry holds about this method; `default` if it has none."""
        return self.registry_of(self.name).info(self.name).facts.get(name, default)


class MethodChoice(Choice):
    """A parameter that names a method of another registry, with parameters of its own if they are not the defaults.

    It holds the canonical text of the method; a menu offers the methods at their defaults.
    """

    kind: type[Method]

    def __init__(self, kind: type[Method]) -> None:
        object.__setattr__(self, "kind", kind)  # the base class is frozen

    @property
    def options(self) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The methods that are registered."""
        return tuple(self.kind.registry)

    def check(self, owner: str, name: str, value: Any) -> str:
        """The canonical text of `value`; raises ValueError that says what is wrong with it."""
        try:
            return self.kind.parse(value).key
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{owner}: {name}: {error}") from None


def _text(name: str, params: Mapping[str, Any], target: Any, always: Container[str]) -> str:
    """The method as `Method.parse` reads it, with the parameters of `always` even where they are at their defaults."""
    declared = parameters(target)
    values = [
        f"{one}={plain(value)}" for one, value in params.items() if one in always or value != declared[one].default
    ]
    return f"{name}({', '.join(values)})" if values else name


def parse_method(kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """Name and given parameters of ``"gem(p=4)"``.

    Raises
    ------
    ValueError : as `Method.parse`.
    """
    name, bracket, arguments = text.strip().partition("(")
    name = name.strip()
    if not bracket:
        return name, {}
    try:
        if not arguments.endswith(")"):
            raise ValueError(arguments)
        given = [part.partition("=") for part in split_outside(arguments[:-1], ",")]
        if not "".join(given[-1]).strip():  # gem(), or a comma at the end
            del given[-1]
        params = {parameter.strip(): _value(value.strip()) for parameter, _, value in given}
        if len(params) < len(given) or not all(map(str.isidentifier, params)):
            raise ValueError(arguments)
    except ValueError:
        raise ValueError(f"{kind}: expected a form like 'gem' or 'gem(p=4)', got {shown(text)}.") from None
    return name, params


def split_names(text: str) -> list[str]:
    """The names in ``"mac,gem(p=4)"``; a comma inside the name of an existing file does not separate."""
    place = text.partition("@")[2] or text.removeprefix("hub:").rpartition(":")[0]
    return [text] if "," in place and Path(place).expanduser().exists() else split_list(text)


def _value(text: str) -> Any:
    """A value as Python writes it; a word that Python does not know is a text.

    Raises
    ------
    ValueError : neither.
    """
    try:
        return literal(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):  # literal_eval documents all of these
        if _WORD.fullmatch(text):
            return text
        raise ValueError(text) from None


def plain(value: Any) -> str:
    """A float that is whole prints without its point: p=3, not p=3.0."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)
