"""The menu of systems: sets the controls of a side to what a system of the survey is on the network that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets

from cbirlab.aggregation import Aggregation
from cbirlab.pipeline.added import search_fields
from cbirlab.study.systems import SYSTEMS, System
from cbirlab.widgets.panels.sessions import key_of, shared
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.state import RetrievalState

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.pipeline import Recipe

OWN = ""


class SystemMenu(widgets.VBox):
    """Systems by their year; the menu goes back to "as set below" once a control is moved.

    Parameters
    ----------
    state : what a chosen system sets.
    session : gives the session that is shown now.
    on_error : called with the reason why a panel cannot show a system.

    Attributes
    ----------
    systems : the menu itself, whose value is a name in `SYSTEMS`, or "".
    """

    def __init__(
        self,
        state: RetrievalState,
        session: Callable[[], Session],
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.state, self.session, self.guard = state, session, Guard(on_error)
        found = sorted((SYSTEMS[name] for name in SYSTEMS), key=lambda one: (one.year, one.title))
        named = [(f"{one.title}, {one.year}", one.name) for one in found]
        self.systems = menu([("as set below", OWN), *named], description="system")
        self.note = widgets.HTML()
        super().__init__([self.systems, self.note])
        self._placed: dict[str, Any] = {}
        self.guard.observe(self.systems, "value", self._chosen)
        self.guard.observe(state, [*state.trait_names()], self._let_go)

    def _chosen(self) -> None:
        if not self.systems.value:
            self.note.value = ""
            return
        system, session = SYSTEMS[self.systems.value], self.session()
        try:
            placed = state_of_system(system, session)
        except ValueError:
            self.systems.value = OWN
            raise
        self._placed = {}  # while the state changes step by step
        self.state.from_json(placed)
        self._placed = {name: getattr(self.state, name) for name in placed}
        self.note.value = views.note(f"{system.paper}. It departs: {system.departs}.")

    def _let_go(self) -> None:
        """Say that the setting is the user's own once it differs from the system's."""
        if any(getattr(self.state, name) != value for name, value in self._placed.items()):
            self._placed, self.systems.value = {}, OWN


def state_of_system(system: System, session: Session) -> dict[str, Any]:
    """The values of a `RetrievalState` that are a system on the network of a session.

    Raises
    ------
    ValueError : no setting of this session is that system: it stays out, fuses several recipes, learns first, or sees
        pictures or pools in another way; the message says how to run it.
    """
    backbone = key_of(session)
    call = f"cbirlab.run({system.name!r}, dataset={session.common.dataset!r}, backbone={backbone!r}"
    if system.training:
        raise ValueError(f"{system.title}: its network learns first; {call}, train=True) trains and runs it.")
    if len(system.parts) > 1:
        raise ValueError(f"{system.title}: it fuses {len(system.parts)} rankings, a side shows one; {call}) runs it.")
    here = shared(session.common)
    free = {name: value for name, value in here.items() if not (system.parts and name in system.parts[0])}
    plan = cast("Recipe", system.plan(session.dataset, session.common.dataset, backbone, **free))
    other = {name: value for name, value in shared(plan).items() if value != here[name]}
    if other:
        said = ", ".join(f"{name}={value!r}" for name, value in other.items())
        raise ValueError(f"{system.title}: it needs {said}, which this panel was not opened with; {call}) runs it.")
    aggregation = Aggregation.parse(plan.aggregation)
    if aggregation.name not in session.methods:
        raise ValueError(
            f"{system.title}: it pools by {aggregation.name}; on offer here are {', '.join(session.methods)}."
        )
    return {
        "tap": plan.tap,
        "attention": aggregation.attentions[0] if aggregation.attentions else "none",
        "aggregation": aggregation.name,
        "parameters": {aggregation.name: dict(aggregation.parameters)},
        "whitening": plan.whitening,
        "dimensions": plan.dimensions,
        "stages": {name: getattr(plan, name) for name in search_fields()},
    }
