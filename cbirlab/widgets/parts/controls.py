"""Controls made from declarations: sliders from ranges, menus from choices and registries, bound to a state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets

from cbirlab.aggregation import registry_of
from cbirlab.attention import ATTENTIONS
from cbirlab.base.params import Choice, Parameter, Range, Word, parameters
from cbirlab.base.registry import Registry
from cbirlab.whitening import WHITENINGS, Whitening
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.state import RetrievalState
from cbirlab.widgets.parts.tooltips import titled, tooltip

DESCRIPTION = {"description_width": "6.5em"}  # widths follow the size of the text
LAYOUT = {"width": "22.3em"}
MOST_STOPS = 4096
UNSET, AUTO = 0, "auto"  # value and label of a control for None, "decide from the data": a selection cannot hold None
ALL = UNSET


def control(parameter: Parameter, *, description: str = "") -> Any:
    """The widget for one declared parameter.

    A slider for a range, a field for one too wide for a slider, a tick box for yes and no, a menu for other choices, a
    line for a name.
    """
    label, domain = description or parameter.name, parameter.domain
    looks: dict[str, Any] = {"description": label, "style": DESCRIPTION, "layout": LAYOUT}
    looks["tooltip"] = tooltip(label, parameter.says)
    if isinstance(domain, Choice) and set(domain.options) == {False, True}:
        return widgets.Checkbox(value=parameter.default, indent=True, **looks | titled(label, parameter.says))
    if isinstance(domain, Choice):
        offered = [(str(option), option) for option in domain.options]
        return menu(offered, description=label, says=parameter.says, value=parameter.default)
    if isinstance(domain, Word):
        return widgets.Text(value=parameter.default, continuous_update=False, **looks)
    numbers = {
        "min": domain.low,
        "max": domain.high,
        "value": domain.low if parameter.default is None else parameter.default,
    }
    if domain.integer:
        numbers = {name: int(number) for name, number in numbers.items()}
        if numbers["max"] - numbers["min"] > MOST_STOPS:
            return widgets.BoundedIntText(step=int(domain.step or 1), **numbers, **looks)
        return widgets.IntSlider(step=int(domain.step or 1), **numbers, **looks)
    if domain.step is None and domain.low > 0 and domain.high / domain.low > MOST_STOPS:
        return widgets.BoundedFloatText(**numbers, **looks)
    return widgets.FloatSlider(
        step=domain.step or (domain.high - domain.low) / 100, readout_format=".3g", **numbers, **looks
    )


def on_stop(domain: Range | Choice | Word, value: Any) -> Any:
    """The slider's stop nearest to `value`: pages send 6.999999999999999 for 7, which would be another setting."""
    if not isinstance(domain, Range) or domain.step is None:
        return value
    stop = domain.low + round((value - domain.low) / domain.step) * domain.step
    return int(stop) if domain.integer else round(stop, 10)


def menu(options: Sequence[tuple[str, Any]], *, description: str, says: str = "", **given: Any) -> Any:
    """A menu of pairs (title, name); `says` explains it if `SAID` does not."""
    looks: dict[str, Any] = {"style": DESCRIPTION, "layout": LAYOUT, **titled(description, says)}
    return widgets.Dropdown(options=list(options), **looks | given)


def option_slider(options: Sequence[Any], *, description: str, says: str = "", **given: Any) -> Any:
    """A slider whose stops are options: values, or pairs of label and value."""
    looks: dict[str, Any] = {"style": DESCRIPTION, "layout": LAYOUT, "tooltip": tooltip(description, says)}
    return widgets.SelectionSlider(options=options, description=description, **looks, **given)


def label_of(method: str, parameter: str) -> str:
    """What a control of a parameter of a pooling or an encoding is called: "GeM p"."""
    return f"{registry_of(method).info(method).title.split(' (')[0]} {parameter}".replace("_", " ")


def with_titles(names: Sequence[str], registry: Callable[[str], Registry[Any]]) -> list[tuple[str, str]]:
    """Pairs of title and name of registered methods."""
    return [(registry(name).info(name).title, name) for name in names]


def values_of(widget: Any) -> list[Any]:
    """What a menu or a slider of options has to offer."""
    return [option[1] if isinstance(option, tuple) else option for option in widget.options]


def set_option(widget: Any, label: str, value: Any) -> None:
    """Set a menu or a slider of options; it gets an option, in order, for a value that it lacks."""
    if value not in values_of(widget):  # set from Python, between two stops
        widget.options = sorted([*widget.options, (label, value)], key=lambda option: option[1])
    if widget.value != value:
        widget.value = value


def dimension_steps(full: int) -> list[int]:
    """Numbers of dimensions worth comparing: 2, 3, 4, 6, 8, 12, ... and `full`."""
    powers = [2**power for power in range(1, 16)]
    steps = sorted({*powers, *(power * 3 // 2 for power in powers)})
    return [step for step in steps if step < full] + [full]


class RetrievalControls:
    """Tap slider, menus of attention, pooling and whitening, parameters of the pooling, dimensions; bound to a state.

    Parameters
    ----------
    state : the controls set it, and follow it when it is set elsewhere.
    taps : shallow to deep.
    aggregations : names of the pooling methods and encodings on offer.
    dimensions : largest number of dimensions at a tap with an aggregation.
    whitenings : names on offer.
    on_error : called with an exception that a callback raises.

    Raises
    ------
    ValueError : the state has a tap or a pooling that is not on offer.
    """

    def __init__(
        self,
        state: RetrievalState,
        *,
        taps: Sequence[str],
        aggregations: Sequence[str],
        dimensions: Callable[[str, str], int],
        whitenings: Sequence[str] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.state, self.guard = state, Guard(on_error)
        self._drawing = False
        self._full = dimensions
        self.tap = option_slider(list(taps), description="tap")
        attention = [("None", "none"), *with_titles([*ATTENTIONS], lambda _: ATTENTIONS)]
        self.attention = menu(attention, description="attention")
        self.aggregation = menu(with_titles(aggregations, registry_of), description="pooling")
        offered = [Whitening.parse(one) for one in whitenings or WHITENINGS]
        whitened = [(WHITENINGS.info(one.name).title, one) for one in offered]  # values as in the state
        self.whitening = menu(whitened, description="whitening")
        self.dimensions = option_slider([("all", ALL)], description="dimensions")
        self.parameters = {
            (method, name): control(parameter, description=label_of(method, name))
            for method in aggregations
            for name, parameter in parameters(registry_of(method)[method]).items()
            if parameter.default is not None
        }
        for name in ("tap", "attention", "aggregation", "whitening"):
            self._follow(name)
            self._bind(name)
        for key, widget in self.parameters.items():
            self._bind_parameter(key, widget)
        self.guard.observe(self.dimensions, "value", self._dimensions_moved)
        self.guard.observe(state, ["tap", "aggregation", "whitening", "dimensions", "parameters"], self._refresh)
        self._refresh()

    @property
    def widgets(self) -> list[Any]:
        """All controls, top to bottom."""
        pooled = [self.tap, self.attention, self.aggregation, *self.parameters.values()]
        return [*pooled, self.whitening, self.dimensions]

    def offer_taps(self, taps: Sequence[str], tap: str) -> None:
        """Offer the taps of another network, and set one of them."""
        with self._quietly():
            self.tap.options = list(taps)
        self.state.tap = tap
        self._follow("tap")

    def check(self, values: Mapping[str, Any], taps: Sequence[str]) -> None:
        """Raise ValueError if values of a state name something that is not on offer; `taps` are the taps on offer."""
        for name, offered in (("tap", taps), ("aggregation", values_of(self.aggregation))):
            if values[name] not in offered:
                raise ValueError(f"panel: {name} must be one of {', '.join(offered)}, got {values[name]!r}.")

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Keep the state unchanged inside the block, because menus with new options choose a value by themselves."""
        before, self._drawing = self._drawing, True
        try:
            yield
        finally:
            self._drawing = before

    def _bind(self, name: str) -> None:
        """Let the state follow a menu, and the menu the state."""
        self.guard.observe(getattr(self, name), "value", lambda: self._chosen(name))
        self.guard.observe(self.state, name, lambda: self._follow(name))

    def _chosen(self, name: str) -> None:
        if not self._drawing:
            setattr(self.state, name, getattr(self, name).value)

    def _follow(self, name: str) -> None:
        widget, value = getattr(self, name), getattr(self.state, name)
        if name == "whitening" and value not in values_of(widget):  # a whitening with parameters
            with self._quietly():
                widget.options = [*widget.options, (value, value)]
        self.check(self.state.to_json(), values_of(self.tap))
        widget.value = value

    def _bind_parameter(self, key: tuple[str, str], widget: Any) -> None:
        domain = parameters(registry_of(key[0])[key[0]])[key[1]].domain
        self.guard.observe(widget, "value", lambda: self.state.set_parameter(*key, on_stop(domain, widget.value)))

    def _dimensions_moved(self) -> None:
        if not self._drawing:
            self.state.dimensions = self.dimensions.value or None

    def _refresh(self) -> None:
        """Show the controls that apply, and let the sliders follow a state that was set elsewhere."""
        for (method, name), widget in self.parameters.items():
            widget.disabled = method != self.state.aggregation
            widget.layout.display = "none" if widget.disabled else None
            wanted = self.state.parameter(method, name)
            if isinstance(wanted, bool | str) or not math.isclose(widget.value, wanted, rel_tol=1e-9):
                widget.value = wanted
        with self._quietly():
            self._refresh_dimensions()

    def _refresh_dimensions(self) -> None:
        setting = self.state.setting
        self.whitening.disabled = setting.whitening != self.state.whitening
        self.dimensions.disabled = not setting.whitening.fact("ordered")
        full = self._full(setting.tap, setting.aggregation)
        *fewer, most = dimension_steps(full)
        options = [*((str(step), step) for step in fewer), (f"{most} (all)", ALL)]
        if tuple(options) != tuple(self.dimensions.options):
            self.dimensions.options = options
        # If the user wishes for more dimensions than this tap has, keep the wish: a deeper tap may have them. Where
        # nothing is whitened, nothing is cut.
        wanted = full if self.dimensions.disabled else self.state.dimensions or full
        self.dimensions.value = ALL if wanted >= full or not fewer else min(fewer, key=lambda step: abs(step - wanted))
