"""Which settings a page holds: the values of its controls, and the setting that each combination of them comes to."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import Aggregation, registry_of
from cbirlab.attention import ATTENTIONS
from cbirlab.base.params import Range, parameters
from cbirlab.live.slider_stops import slider_stops
from cbirlab.pipeline.added import search_fields
from cbirlab.whitening import WHITENINGS, Whitening
from cbirlab.widgets.parts.controls import label_of
from cbirlab.widgets.parts.state import RetrievalState, Setting, settle

if TYPE_CHECKING:
    from cbirlab.live import Session

USUAL_POOLINGS = ("mac", "spoc", "gem")
USUAL_WHITENINGS = ("none", "pca")
CODE, RERANK = "compression", "rerank"
NOT_THERE = -1


@dataclass(frozen=True)
class Choices:
    """The values of a page's controls.

    Attributes
    ----------
    taps, aggregations, whitenings, codes, rerankings : in the order of their sliders and menus.
    dimensions : numbers kept after whitening; None is all of them, and comes last.
    base : other fields of the search, by name.
    """

    taps: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    whitenings: tuple[Whitening, ...]
    dimensions: tuple[int | None, ...]
    codes: tuple[str, ...]
    rerankings: tuple[str, ...]
    base: tuple[tuple[str, Any], ...] = ()

    @property
    def axes(self) -> tuple[Sequence[Any], ...]:
        """The values, axis by axis, in the order of `Plan.numbers`."""
        return self.taps, self.aggregations, self.whitenings, self.dimensions, self.codes, self.rerankings

    def to_page(self) -> dict[str, Any]:
        """Labels of the controls; the poolings are grouped by method, each group with sliders of its parameters."""
        named = {one: _title(WHITENINGS.info(one.name).title, one, one.name) for one in self.whitenings}
        return {
            "tap": [*self.taps],
            "pooling": _pooling_menu(self.aggregations),
            "whitening": [named[one] for one in self.whitenings],
            "dimensions": ["all" if one is None else str(one) for one in self.dimensions],
            "code": [*self.codes],
            "re-ranking": [*self.rerankings],
        }


@dataclass(frozen=True, eq=False)
class Plan:
    """The settings of a page.

    Attributes
    ----------
    settings : each ranking once: choices that come to the same recipe share one.
    numbers : int32, one axis per control; the place in `settings`, or `NOT_THERE` if a choice is impossible.
    """

    choices: Choices
    settings: tuple[Setting, ...]
    numbers: np.ndarray

    def place(self, setting: Setting) -> list[int] | None:
        """The positions of the controls that give a setting; None if none do."""
        wanted = [setting.tap, setting.aggregation, setting.whitening, setting.dimensions]
        stages = dict(self.choices.base) | dict(setting.stages)
        defaults = {name: one.default for name, one in search_fields().items()}
        wanted += [str(stages.get(name, defaults[name])) for name in (CODE, RERANK)]
        try:
            return [values.index(one) for values, one in zip(map(list, self.choices.axes), wanted, strict=True)]
        except ValueError:
            return None


def choose(
    session: Session, sides: Sequence[Setting] = (), values: Mapping[str, Iterable[Any] | None] | None = None
) -> Choices:
    """The values of the controls: those given, or else the usual ones and those of `sides`.

    Parameters
    ----------
    values : by the arguments of `save_page` that name values of controls; None for the usual ones.

    Raises
    ------
    ValueError : no value, or a tap that the network lacks.
    UnknownName, TypeError : a method that is not registered, or a parameter that it lacks.
    """
    given = dict(values or {})
    if (named := given.get("aggregations")) is not None:
        given["aggregations"] = _with_stops(named)
    common = {name: getattr(session.common, name) for name in search_fields()}
    searched = [dict(side.stages) for side in sides] or [common]
    poolings = slider_stops([name for name in USUAL_POOLINGS if name in session.methods])
    found = Choices(
        taps=_values("taps", given, session.taps),
        aggregations=_values("aggregations", given, (*poolings, *(side.aggregation for side in sides))),
        whitenings=tuple(
            Whitening.parse(one)
            for one in _values("whitenings", given, (*USUAL_WHITENINGS, *(side.whitening for side in sides)))
        ),
        dimensions=_dimensions(_values("dimensions", given, (None, *(side.dimensions for side in sides)))),
        codes=_searches(CODE, _values("codes", given, _usual(CODE, searched))),
        rerankings=_searches(RERANK, _values("rerankings", given, _usual(RERANK, searched))),
        base=tuple(
            (name, one)
            for name, one in RetrievalState.of({"stages": searched[0]}).stages.items()
            if name not in (CODE, RERANK)
        ),
    )
    for tap in found.taps:
        if tap not in session.taps:
            raise ValueError(f"save_page: taps must be among {', '.join(session.taps)}, got {tap!r}.")
    return found


def lay_out(session: Session, choices: Choices) -> Plan:
    """All combinations of the choices, those that come to the same recipe once.

    Raises
    ------
    ValueError : none is possible.
    """
    numbers = np.full([len(values) for values in choices.axes], NOT_THERE, np.int32)
    settings: list[Setting] = []
    known: dict[Any, int] = {}
    for place in np.ndindex(numbers.shape):
        tap, spec, whitening, kept, code, rerank = (values[at] for values, at in zip(choices.axes, place, strict=True))
        if not session.allowed(tap, spec):
            continue
        kept = None if kept is not None and kept >= session.dimensions(tap, spec) else kept
        stages = RetrievalState.of({"stages": dict(choices.base) | {CODE: code, RERANK: rerank}}).stages
        setting = settle(tap, spec, whitening, kept, stages)
        number = known.setdefault(session.recipe(*setting), len(settings))
        if number == len(settings):
            settings.append(setting)
        numbers[place] = number
    if not settings:
        raise ValueError("save_page: none of these poolings is possible at any of these taps; name other ones.")
    return Plan(choices, tuple(settings), numbers)


def _values(name: str, values: Mapping[str, Iterable[Any] | None], usual: Iterable[Any]) -> tuple[Any, ...]:
    given = values.get(name)
    found = tuple(dict.fromkeys(usual if given is None else [given] if isinstance(given, str) else given))
    if not found:
        raise ValueError(f"save_page: {name} must hold at least one value, got none; leave it out for the usual ones.")
    return found


def _with_stops(given: Iterable[str]) -> list[Aggregation]:
    """Aggregations; a bare name of a pooling stands for all stops of its sliders, its menus at their defaults."""
    found: list[Aggregation] = []
    for one in [given] if isinstance(given, str) else given:
        spec = Aggregation.parse(one)
        bare = not isinstance(one, Aggregation) and one == spec.name and not spec.encoding
        found += [stop for stop in slider_stops([spec.name]) if _differ_in_numbers(stop, spec)] if bare else [spec]
    return found


def _differ_in_numbers(one: Aggregation, other: Aggregation) -> bool:
    declared = parameters(registry_of(one.name)[one.name])
    different = [name for name, value in one.params if value != other.parameters[name]]
    return all(isinstance(declared[name].domain, Range) for name in different)


def _dimensions(given: Sequence[Any]) -> tuple[int | None, ...]:
    for one in given:
        if one is not None and (isinstance(one, bool) or not isinstance(one, int) or one < 1):
            raise ValueError(f"save_page: dimensions must be whole numbers >= 1, or None for all of them, got {one!r}.")
    return tuple(sorted(given, key=lambda one: (one is None, one)))


def _usual(name: str, searched: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The default of a field of the search, and its values on the sides."""
    default = search_fields()[name].default
    return [default, *(stages.get(name, default) for stages in searched)]


def _searches(name: str, given: Sequence[Any]) -> tuple[str, ...]:
    """The canonical texts of methods of a field of the search."""
    default = search_fields()[name].default
    checked = (RetrievalState.of({"stages": {name: one}}).stages.get(name, default) for one in given)
    return tuple(dict.fromkeys(map(str, checked)))


def _title(title: str, text: str, name: str) -> str:
    """The title of a method; its text if it has parameters of its own."""
    return title if text == name else f"{title}: {text}"


def _pooling_menu(specs: Sequence[Aggregation]) -> list[dict[str, Any]]:
    groups: dict[str, list[Aggregation]] = {}
    for spec in specs:
        groups.setdefault(" > ".join([*spec.attentions, spec.name]), []).append(spec)
    return [_pooling_group(members, specs) for members in groups.values()]


def _pooling_group(members: Sequence[Aggregation], specs: Sequence[Aggregation]) -> dict[str, Any]:
    """A method's entry in the menu, its sliders, and the place in `specs` of each combination of their stops."""
    first, own = members[0], {name for name, _ in members[0].params}
    varied = [name for name in sorted(own) if len({one.parameters[name] for one in members}) > 1]
    stops = {name: sorted({one.parameters[name] for one in members}, key=_in_order) for name in varied}
    place = {tuple(one.parameters[name] for name in varied): specs.index(one) for one in members}
    info = registry_of(first.name).info(first.name)
    bare = varied or first == Aggregation(first.name, {}, first.attentions)
    title = info.title if bare else f"{info.title}: {Aggregation(first.name, first.params)}"
    before = [ATTENTIONS.info(one.name).title for one in first.attentions]
    declared = parameters(registry_of(first.name)[first.name])
    return {
        "label": " > ".join([*before, title]),
        "sliders": [
            {
                "label": label_of(first.name, name),
                "stops": [_shown(one) for one in stops[name]],
                "start": stops[name].index(declared[name].default) if declared[name].default in stops[name] else 0,
            }
            for name in varied
        ],
        "places": [place.get(values, NOT_THERE) for values in itertools.product(*stops.values())],
    }


def _in_order(value: Any) -> tuple[bool, Any]:
    return (isinstance(value, str), value)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
