"""Controls of the search, made from the declarations of the recipe's fields: a fold of menus, sliders and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cbirlab.base.params import Parameter, Range
from cbirlab.pipeline.added import search_fields
from cbirlab.pipeline.fields import about
from cbirlab.reranking import Reranking
from cbirlab.widgets.parts.chain_control import ChainControl
from cbirlab.widgets.parts.controls import LAYOUT, control
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.method_control import MethodControl
from cbirlab.widgets.parts.state import RetrievalState


class SearchControls(widgets.Accordion):
    """A closed fold, whose title tells the search, with a control for each of its fields and for each added stage.

    Parameters
    ----------
    state : the controls set its `stages`, and follow it when they are set elsewhere.
    on_error : called with an exception that a callback raises.

    Attributes
    ----------
    fields : the controls, by the name of their field; each has a `value`.
    """

    def __init__(self, state: RetrievalState, *, on_error: Callable[[Exception], None] | None = None) -> None:
        self.state, self.guard = state, Guard(on_error)
        self._defaults: dict[str, Any] = {name: one.default for name, one in search_fields().items()}
        self.fields: dict[str, Any] = {}
        for name, one in search_fields().items():
            offers, says = about(one).offers, about(one).help
            if isinstance(offers, Range):
                self.fields[name] = control(Parameter(name, offers, one.default, says))
            elif offers is Reranking:
                self.fields[name] = ChainControl(name, self._defaults[name], self.guard, says)
            else:
                self.fields[name] = MethodControl(name, offers, self._defaults[name], self.guard, says=says)
        super().__init__([widgets.VBox([*self.fields.values()])], selected_index=None, layout=LAYOUT)
        self.add_class("cbirlab-search")
        self._follow()
        for name, field in self.fields.items():
            self.guard.observe(field, "value", lambda name=name: self._chosen(name))
        self.guard.observe(state, "stages", self._follow)

    def _chosen(self, name: str) -> None:
        self.state.stages = {**self.state.stages, name: self.fields[name].value}

    def _follow(self) -> None:
        for name, field in self.fields.items():
            wanted = self.state.stages.get(name, self._defaults[name])
            if field.value != wanted:
                field.value = wanted
        self.titles = (f"Search: {', '.join(self.state.setting.searched) or 'exact'}",)
