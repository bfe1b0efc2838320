"""A menu that shows what is on this machine first; one last entry unfolds the many that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.guard import Guard

FEW = 3
"""Entries that are not on this machine, up to which the menu is not folded."""

MORE = ""
"""Value of the entry that unfolds; nothing on offer has this name."""


class FoldedMenu(widgets.VBox):
    """A menu of names, hidden while there is only one.

    Parameters
    ----------
    description : label in front of it.
    kind : what the entries are, in the plural.
    value : name of the entry that is chosen first.
    options, here : as for `offer`.
    on_error : called with an exception that a callback raises.

    Attributes
    ----------
    value : name of the chosen one; it has an entry even if it is not on this machine. It is never `MORE`.
    options : pairs of title and name of all on offer, those on this machine first.
    """

    value = traitlets.Unicode()

    def __init__(
        self,
        description: str,
        kind: str,
        value: str,
        options: Sequence[tuple[str, str]],
        here: Iterable[str],
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.guard = Guard(on_error)
        self.description, self.kind, self.options, self._here = description, kind, [], set()
        self._menu = menu([], description=description)
        self._unfolded, self._drawing = False, False
        super().__init__([self._menu])
        self.value = value
        self.guard.observe(self._menu, "value", self._picked)
        self.guard.observe(self, "value", self._chosen)
        self.offer(options, here)

    def offer(self, options: Sequence[tuple[str, str]], here: Iterable[str]) -> None:
        """Let the menu have these entries; the chosen one stays.

        Parameters
        ----------
        options : pairs of title and name.
        here : the names that are on this machine.
        """
        self._here = {*here}
        self.options = sorted(options, key=lambda option: option[1] not in self._here)
        self.layout.display = None if len(options) > 1 else "none"
        self._draw()

    def _draw(self) -> None:
        """Bring the menu in line with what is on offer and chosen."""
        absent = [option for option in self.options if option[1] not in self._here]
        shown = self.options
        if len(absent) > FEW and not self._unfolded:
            shown = [option for option in self.options if option not in absent or option[1] == self.value]
            shown = [*shown, (f"{len(self.options) - len(shown)} more {self.kind}, not on this machine …", MORE)]
        self._drawing = True  # a menu with new options chooses by itself first
        try:
            if list(self._menu.options) != shown:
                self._menu.options = shown
            self._menu.value = self.value
        finally:
            self._drawing = False

    def _picked(self) -> None:
        if self._drawing:
            return
        if self._menu.value == MORE:
            self._unfolded = True
            self._draw()
        else:
            self.value = self._menu.value

    @traitlets.validate("value")
    def _known(self, proposal: Any) -> str:
        names = [name for _, name in self.options]
        if names and proposal["value"] not in names:
            raise traitlets.TraitError(f"{self.description} must be one of {names}, got {proposal['value']!r}.")
        return proposal["value"]

    def _chosen(self) -> None:
        if self.options:
            self._draw()
