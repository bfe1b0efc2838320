"""Methods: a registered name with all its parameters, as tables print it, menus set it and the store keys it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

from cbirlab.params import checked, parameters
from cbirlab.plain import shown
from cbirlab.registry import Registry


@dataclass(frozen=True)
class Method:
    """A method of a registry with its parameters; each stage of the pipeline has its own subclass.

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
    params: tuple[tuple[str, Any], ...] | Mapping[str, Any] = ()

    registry: ClassVar[Registry[Any]]
    terse: ClassVar[bool] = False
    """Whether `key` leaves out parameters at their defaults."""

    def __post_init__(self) -> None:
        complete = checked(self.target(), dict(self.params), owner=self.name)
        object.__setattr__(self, "params", tuple(complete.items()))

    def target(self) -> Any:
        """What is registered: a function, or an estimator's class."""
        return self.registry[self.name]

    @classmethod
    def parse(cls, text: str | Self) -> Self:
        """Read ``"gem"`` or ``"gem(p=4)"``, as on the command line and in tables.

        Raises
        ------
        ValueError : `text` is neither a name nor a name with ``parameter=value`` pairs in parentheses.
        UnknownName, TypeError : as the class does.
        """
        return text if isinstance(text, cls) else cls(*parsed(cls.registry.kind, str(text)))

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters and their values."""
        return dict(self.params)

    @cached_property
    def key(self) -> str:
        """Canonical text, read back by `parse`."""
        return self._text()

    def _text(self) -> str:
        declared = parameters(self.target())
        shown = {name: value for name, value in self.params if not self.terse or value != declared[name].default}
        values = ", ".join(f"{name}={plain(value)}" for name, value in shown.items())
        return f"{self.name}({values})" if values else self.name

    def fact(self, name: str, default: Any = None) -> Any:
        """What the registry notes of this method."""
        return self.registry.info(self.name).facts.get(name, default)

    def __str__(self) -> str:
        return self.key


def parsed(kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """Name and given parameters of ``"gem(p=4)"``.

    Raises
    ------
    ValueError : as `Method.parse`.
    """
    name, _, arguments = text.strip().partition("(")
    name = name.strip()
    if not arguments:
        return name, {}
    try:
        call = ast.parse(f"f({arguments}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise SyntaxError
        params = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        if len(params) < len(call.keywords) or "None" in params:
            raise SyntaxError
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two of brackets and signs without end
        raise ValueError(f"{kind}: expected a form like 'gem' or 'gem(p=4)', got {shown(text)}.") from None
    return name, params


def plain(value: Any) -> str:
    """A float that is whole prints without its point: p=3, not p=3.0."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)
