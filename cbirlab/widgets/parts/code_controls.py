"""Controls of a code: a menu of compressions, and sliders for those of their parameters that are worth moving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from cbirlab.base.params import Choice, Parameter, Range, parameters
from cbirlab.compression import COMPRESSIONS, Compression
from cbirlab.widgets.parts.controls import AUTO, UNSET, menu, option_slider, set_option, with_titles

STOPS: Mapping[str, tuple[int, ...]] = {
    "bits": (8, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    "dimensions": (2, 4, 8, 16, 32, 64, 128, 256),
    "m": (UNSET, 1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96),
    "seed": (0, 1, 2, 3, 4, 5, 6, 7),
}
"""Stops of the sliders. Some are not possible everywhere; the panel then says why."""

SHOWN = (*STOPS, "distance")


class CodeControls:
    """A menu of compressions and the controls of their parameters; methods share those that mean the same.

    Parameters
    ----------
    names : compressions on offer.
    start : the one to start with, with parameters.
    hidden : parameters without a control.

    Raises
    ------
    UnknownName, TypeError, ValueError : `start` is no compression.
    """

    def __init__(self, names: Sequence[str], start: str, *, hidden: Sequence[str] = ()) -> None:
        given = Compression.parse(start)
        self.method = menu(with_titles(names, lambda _: COMPRESSIONS), description="code")
        self.method.value = given.name
        self._of: dict[tuple[str, str], Any] = {}
        shared: dict[tuple[str, Any], Any] = {}
        for name in names:
            for one in parameters(COMPRESSIONS[name]).values():
                if one.name in SHOWN and one.name not in hidden:
                    key = (one.name, one.domain)
                    shared[key] = shared.get(key) or _control(one)
                    self._of[name, one.name] = shared[key]
        for (name, parameter), widget in self._of.items():
            if name == given.name:
                _set(widget, given.parameters[parameter])
        self._fixed = {name: value for name, value in given.parameters.items() if (given.name, name) not in self._of}
        self._given = given.name
        self.sliders = list(dict.fromkeys(self._of.values()))
        self.refresh()

    @property
    def widgets(self) -> list[Any]:
        """All controls, top to bottom."""
        return [self.method, *self.sliders]

    @property
    def value(self) -> Compression:
        """The compression that is chosen."""
        name = self.method.value
        chosen = {one: widget.value or None for (owner, one), widget in self._of.items() if owner == name}
        chosen |= {"seed": chosen["seed"] or 0} if "seed" in chosen else {}
        return Compression(name, (self._fixed if name == self._given else {}) | chosen)

    def refresh(self) -> None:
        """Show the controls of the compression that is chosen."""
        mine = {id(widget) for (name, _), widget in self._of.items() if name == self.method.value}
        for widget in self.sliders:
            widget.layout.display = None if id(widget) in mine else "none"


def _control(parameter: Parameter) -> Any:
    looks: dict[str, Any] = {"description": parameter.name, "says": parameter.says}
    if isinstance(parameter.domain, Choice):
        options = [(AUTO if one is None else str(one), one) for one in parameter.domain.options]
        return menu(options, value=parameter.default, **looks)
    fits = isinstance(parameter.domain, Range) and parameter.domain.optional
    stops = [(AUTO if fits and stop == UNSET else str(stop), stop) for stop in STOPS[parameter.name]]
    made = option_slider(stops, **looks)
    _set(made, parameter.default)
    return made


def _set(widget: Any, value: Any) -> None:
    if isinstance(widget, widgets.SelectionSlider):
        set_option(widget, str(value or UNSET), value or UNSET)
    else:
        widget.value = value
