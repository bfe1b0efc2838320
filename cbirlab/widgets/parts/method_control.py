"""The control of a method: a menu of the methods of a registry, and controls of the parameters of the chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from traitlets import Any as AnyTrait

from cbirlab.base.methods import Method
from cbirlab.base.params import Choice, Parameter, Range, parameters
from cbirlab.widgets.parts.controls import AUTO, UNSET, control, menu, on_stop, option_slider, set_option, with_titles
from cbirlab.widgets.parts.guard import Guard

NONE = "none"
LARGEST_STOP = 1024
MANY_STOPS = 64
DOUBLED = (1, 3, 5)
"""A slider of many whole numbers stops at these, twice these, and so on."""


class MethodControl(widgets.VBox):
    """A menu of the methods of a field, and controls of the parameters of the chosen one.

    Parameters
    ----------
    name : of the field.
    kind : the class of its methods.
    default : of the field; "none" is offered too if it is that.
    guard : runs the callbacks.
    offered : names in the menu; by default all methods.
    says : what the menu is for.

    Attributes
    ----------
    value : the method with its parameters, as recipes keep it.
    menu : of the methods.
    parameters : a control for each parameter of the chosen method, by name.
    """

    value = AnyTrait()

    def __init__(
        self,
        name: str,
        kind: type[Method],
        default: str,
        guard: Guard,
        offered: Sequence[str] = (),
        says: str = "",
    ) -> None:
        self._kind, self._guard, self._drawing = kind, guard, False
        self._kept: dict[str, str] = {}
        self._declared: Mapping[str, Parameter] = {}
        titles = with_titles(offered or [*kind.registry], lambda _: kind.registry)
        options = titles if default in kind.registry else [("None", NONE), *titles]
        self.menu = menu(options, description=name, says=says)
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
            moved = values_of_controls(self.parameters, self._declared)
            for name, most in self._limits(moved).items():
                moved[name] = moved[name] and min(moved[name], most)
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
            for parameter, most in self._limits(given).items():
                self.parameters[parameter].options = _stops(self._declared[parameter], most)
            for parameter, widget in self.parameters.items():
                _set(widget, given[parameter])
        finally:
            self._drawing = before

    def _limits(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The largest value of each parameter that may not exceed another one, as `probes` may not exceed `lists`."""
        bounds = self._kind.registry.info(self.menu.value).facts.get("bounds", {}) if given else {}
        return {name: given[by] or LARGEST_STOP for name, by in bounds.items()}

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
    """The widget for a parameter: stops 1, 2, 3, 4, 5, 6, 8, 10, ... for many whole numbers, and "auto" for None."""
    domain, (_, default) = parameter.domain, _option(parameter.default)
    label = parameter.name.replace("_", " ")
    if isinstance(domain, Choice) and None in domain.options:
        return menu([_option(one) for one in domain.options], description=label, says=parameter.says, value=default)
    if isinstance(domain, Range) and _doubles(domain):
        return option_slider(_stops(parameter), description=label, says=parameter.says, value=default)
    return control(parameter, description=label)


def values_of_controls(controls: Mapping[str, Any], declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of parameters by name, as their controls stand."""
    return {name: _value(widget, declared[name]) for name, widget in controls.items()}


def _stops(parameter: Parameter, most: int = LARGEST_STOP) -> list[tuple[str, Any]]:
    """The stops of such a slider, up to `most`."""
    domain: Any = parameter.domain
    doubled = {first * 2**power for first in DOUBLED for power in range(32)}
    within = {stop for stop in doubled if domain.low <= stop <= min(domain.high, most)}
    stops = [*([None] if domain.optional else []), *sorted(within | ({parameter.default} - {None}))]
    return [_option(stop) for stop in stops]


def _doubles(domain: Range) -> bool:
    """Whether the stops of a slider lie the farther apart the larger they are."""
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
