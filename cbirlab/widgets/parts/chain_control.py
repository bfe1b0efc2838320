"""A control of a chain of methods: a menu for each step, with the controls of its parameters, and one for the next."""

from __future__ import annotations

import ipywidgets as widgets
from traitlets import Any as AnyTrait

from cbirlab.reranking import Reranking
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.method_control import NONE, MethodControl

NEXT = "then"


class ChainControl(widgets.VBox):
    """Menus of the steps of re-ranking, one more than there are.

    Parameters
    ----------
    name : of the field.
    default : the chain to start with.
    guard : runs the callbacks.
    says : what the menus are for.

    Attributes
    ----------
    value : the chain, as recipes keep it.
    steps : a `MethodControl` for each step, and one for the next.
    """

    value = AnyTrait()

    def __init__(self, name: str, default: str, guard: Guard, says: str = "") -> None:
        self._name, self._guard, self._says, self._drawing = name, guard, says, False
        self.steps: list[MethodControl] = []
        super().__init__([], value=Reranking.parse(default))
        self._show()
        guard.observe(self, "value", self._show)

    def _moved(self) -> None:
        """Take what the menus say; steps after one that was set to none stay."""
        if not self._drawing:
            chosen = [Reranking.parse(step.value) for step in self.steps]
            try:
                self.value = Reranking.chained([one for one in chosen if one.used])
            except ValueError:
                self._show()  # the menus go back to the chain that is used
                raise

    def _show(self) -> None:
        before, self._drawing = self._drawing, True
        try:
            chain = Reranking.parse(self.value)
            wanted = [*(step for step in chain.steps if step.used), NONE]
            while len(self.steps) < len(wanted):
                name = NEXT if self.steps else self._name
                step = MethodControl(name, Reranking, NONE, self._guard, says=self._says)
                self._guard.observe(step, "value", self._moved)
                self.steps.append(step)
            for step, value in zip(self.steps, wanted, strict=False):
                step.value = value
            for gone in self.steps[len(wanted) :]:
                gone.close()
            del self.steps[len(wanted) :]
            self.children = self.steps
        finally:
            self._drawing = before
