"""The control of a method: a menu of the methods of a registry, and controls of the parameters of the chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from traitlets import Any as AnyTrait

from cbirlab.base.methods import Method
from cbirlab.base.params import Choice, Parameter, Range, parameters
from cbirlab.widgets.parts.controls import (
    AUTO,
    DESCRIPTION,
    LAYOUT,
    UNSET,
    control,
    menu,
    on_stop,
    set_option,
    with_titles,
)
from cbirlab.widgets.parts.guard import Guard

NONE = "none"
LARGEST_STOP = 1024
MANY_STOPS = 64


class MethodControl(widgets.VBox):
    """A menu of the methods of a field, and controls of the parameters of the chosen one.

    Parameters
    ----------
    name : of the field.
    kind : the class of its methods.
    default : of the field; "none" is offered too if it is that.
    guard : runs the callbacks.
    offered : names in the menu; by default all methods.

    Attributes
    ----------
    value : the method with its parameters, as recipes keep it.
    menu : of the methods.
    parameters : a control for each parameter of the chosen method, by name.
    """

    value = AnyTrait()

    def __init__(self, name: str, kind: type[Method], default: str, guard: Guard, offered: Sequence[str] = ()) -> None:
        self._kind, self._guard, self._drawing = kind, guard, False
        self._kept: dict[str, str] = {}
        self._declared: Mapping[str, Parameter] = {}
        titles = with_titles(offered or [*kind.registry], lambda _: kind.registry)
        self.menu = menu(titles if default in kind.registry else [("None", NONE), *titles], description=name)
        self.parameters: dict[str, Any] = {}
        super().__init__([self.menu], value=self._method(default))
        self._show()
        guard.observe(self.menu, "value", self._chosen)
        guard.observe(self, "value", self._show)

    def _method(self, name: str, given: Mapping[str, Any] | None = None) -> str:
        return self._kind(name, given or {}) if name in self._kind.registry else NONE

    def _chosen(self) -> None:
        """Take the method that the menu names, as it was set when it was chosen last."""
        if not self._drawing:
            self.value = self._kept.get(self.menu.value) or self._method(self.menu.value)

    def _moved(self) -> None:
        if not self._drawing:
            moved = {name: _value(widget, self._declared[name]) for name, widget in self.parameters.items()}
            self.value = self._method(self.menu.value, {**dict(getattr(self.value, "params", ())), **moved})

    def _show(self) -> None:
        before, self._drawing = self._drawing, True
        try:
            name, given = getattr(self.value, "name", NONE), dict(getattr(self.value, "params", ()))
            self._kept[name] = self.value
            self.menu.value = name
            declared = parameters(self._kind.registry[name]) if given else {}
            if declared != self._declared:
                self._offer(declared)
            for parameter, widget in self.parameters.items():
                _set(widget, given[parameter])
        finally:
            self._drawing = before

    def _offer(self, declared: Mapping[str, Parameter]) -> None:
        """Make the controls of a method's parameters."""
        gone, self._declared = [*self.parameters.values()], declared
        self.parameters = {name: parameter_control(one) for name, one in declared.items() if _offered(one)}
        for widget in self.parameters.values():
            self._guard.observe(widget, "value", self._moved)
        self.children = [self.menu, *self.parameters.values()]
        for widget in gone:
            widget.close()


def parameter_control(parameter: Parameter) -> Any:
    """The widget for a parameter: powers of two for a wide range of whole numbers, and "auto" for None."""
    domain = parameter.domain
    looks = {"description": parameter.name.replace("_", " "), "style": DESCRIPTION, "layout": LAYOUT}
    if isinstance(domain, Choice) and None in domain.options:
        return widgets.Dropdown(options=[_option(one) for one in domain.options], **looks)
    if isinstance(domain, Range) and _doubles(domain):
        powers = {2**power for power in range(32) if domain.low <= 2**power <= min(domain.high, LARGEST_STOP)}
        stops = [*([None] if domain.optional else []), *sorted(powers | ({parameter.default} - {None}))]
        return widgets.SelectionSlider(options=[_option(stop) for stop in stops], **looks)
    return control(parameter, description=looks["description"])


def _doubles(domain: Range) -> bool:
    """Whether a slider goes by powers of two."""
    return domain.integer and domain.low >= 1 and (domain.optional or domain.high / domain.low > MANY_STOPS)


def _offered(parameter: Parameter) -> bool:
    """Whether a parameter gets a control: a real number without a step (the memory of a block) does not."""
    domain = parameter.domain
    return not isinstance(domain, Range) or domain.integer or domain.step is not None


def _option(value: Any) -> tuple[str, Any]:
    return (AUTO, UNSET) if value is None else (str(value), value)


def _set(widget: Any, value: Any) -> None:
    label, wanted = _option(value)
    if hasattr(widget, "options"):
        set_option(widget, label, wanted)
    elif widget.value != wanted:
        widget.value = wanted


def _value(widget: Any, parameter: Parameter) -> Any:
    if parameter.default is None and widget.value == UNSET:
        return None
    return on_stop(parameter.domain, widget.value) if isinstance(widget, widgets.FloatSlider) else widget.value
