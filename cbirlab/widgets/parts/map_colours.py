"""What the points of a map are coloured by, and which of them the chips keep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from traitlets import Instance

from cbirlab.base.progress import Listener
from cbirlab.widgets.parts.colouring import Colouring
from cbirlab.widgets.parts.facts import RIGHT_OR_WRONG, Facts
from cbirlab.widgets.parts.gallery import close_all
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.scatter import Scatter
from cbirlab.widgets.parts.tasks import Background, Stop
from cbirlab.widgets.parts.tooltips import titled

Marks = Callable[[], Sequence[str]]
"""Gives the mark of each database row in the present answer."""


class MapColours(widgets.HBox):
    """A menu of what colours the points. The legend's chips keep groups; they stay when something else colours the map.

    Parameters
    ----------
    scatter : the map.
    facts : what its pictures can be coloured by.
    guard : shows errors.
    say : called with what is being computed, and with "" afterwards.

    Attributes
    ----------
    kept : (N,) bool, the points that all chips together keep; None for all.
    """

    kept: np.ndarray | None = Instance(np.ndarray, allow_none=True)  # pyright: ignore[reportAssignmentType]

    def __init__(self, scatter: Scatter, facts: Facts, guard: Guard, say: Callable[[str], None]) -> None:
        self.scatter, self.facts, self.guard, self._say = scatter, facts, guard, say
        looks = {"layout": {"width": "240px"}, **titled("colour by")}
        self.menu = widgets.Dropdown(options=facts.names, value=facts.usual, **looks)
        self.chips: dict[str, frozenset[str]] = {}
        self._chips_shown: dict[str, frozenset[str]] = {}
        self.tasks = Background(guard)
        self._marks: Marks = tuple
        self._last: Sequence[str] = ()
        self._question: Any = None
        self._lock = threading.RLock()
        self._drawn = ""
        super().__init__([self.menu])
        self.add_class("cbirlab-map-row")
        guard.observe(self.menu, "value", self.draw)
        guard.observe(scatter, "kept", self._chosen_in_legend)

    def ask(self, question: Any, marks: Marks) -> None:
        """Take over the answer to another question; it is looked at only where colours or chips depend on it.

        Parameters
        ----------
        question : equal for the same question, whose marks are then known.
        """
        self._marks, before, self._question = marks, self._question, question
        if question == before or RIGHT_OR_WRONG not in (self._drawn, self.menu.value, *self.chips):
            return
        if self._drawn:  # at once, even while something else that is to colour the map is computed
            self._draw(self._drawn)
        else:
            self.draw()

    def draw(self) -> None:
        """Colour the points that are on the map by what the menu says."""
        name = str(self.menu.value)
        if self.facts.ready(name):
            self.tasks.ask()
            self._draw(name)
        else:
            self.tasks.start(lambda stop: stop.run(lambda: self._fetch(name, stop), self._listener(name, stop)))

    def keep(self, name: str, groups: Sequence[str]) -> None:
        """Keep the pictures of these groups of a fact; none of them for all.

        Raises
        ------
        ValueError : no such fact.
        """
        if name not in self.facts.names:
            raise ValueError(f"keep: name must be one of {', '.join(self.facts.names)}, got {name!r}.")
        self.chips = {one: kept for one, kept in {**self.chips, name: frozenset(groups)}.items() if kept}
        if name == RIGHT_OR_WRONG:
            self._last = list(self._marks())
        self._sift()

    def keep_all(self) -> None:
        """Take every chip off."""
        if self.chips:
            self.chips = {}
            self._sift()

    def _fetch(self, name: str, stop: Stop) -> None:
        try:
            self.facts.colouring(name)
        finally:
            self._say("")
        stop.check()
        self._draw(name)

    def _listener(self, name: str, stop: Stop) -> Listener:
        def listen(_what: str, done: int, total: int) -> None:
            if not stop.is_set():
                self._say(f"{name}: {10 * (10 * done // max(1, total))} %")

        return listen

    def _draw(self, name: str) -> None:
        with self._lock, self.scatter.hold_sync():
            self._last = list(self._marks()) if RIGHT_OR_WRONG in (name, *self.chips) else ()
            self._drawn = ""  # until then, what the map says of its chips is about another fact
            self.scatter.colour(self._colouring(name))
            self._drawn = name
            kept = self._sift_points()
        self.kept = kept

    def _sift(self) -> None:
        """Tell the map, and who listens, what all chips together keep."""
        kept = self._sift_points()
        self.kept = kept  # outside the lock: who listens may be waiting for it

    def _sift_points(self) -> np.ndarray | None:
        with self._lock, self.scatter.hold_sync():
            name, self._drawn = self._drawn, ""
            count = len(self.scatter.positions)
            masks = {one: self._mask(one, groups, count) for one, groups in self.chips.items()}
            others = [mask for one, mask in masks.items() if one != name and mask is not None]
            own = self.chips.get(name, frozenset())
            self.scatter.kept = tuple(number for number, one in enumerate(self.scatter.names) if one in own)
            self.scatter.left_out = (~np.logical_and.reduce(others)).astype(np.uint8).tobytes() if others else b""
            self._show_chips([one for one in self.chips if one != name])
            self._drawn = name
        kept = [mask for mask in masks.values() if mask is not None]
        return np.logical_and.reduce(kept) if kept else None

    def _colouring(self, name: str) -> Colouring:
        return self.facts.colouring(name, self._last)

    def _mask(self, name: str, groups: frozenset[str], count: int) -> np.ndarray | None:
        """The points that the chips of a fact keep; None if no picture has such a value now."""
        shown = self._colouring(name).first(count)
        numbers = [number for number, one in enumerate(shown.names) if one in groups]
        return np.isin(shown.numbers, numbers) if numbers else None

    def _show_chips(self, names: Sequence[str]) -> None:
        """Show the chips of these facts beside the menu, unless they are there."""
        wanted = {name: self.chips[name] for name in names}
        if wanted != self._chips_shown:
            gone, self._chips_shown = self.children[1:], wanted
            self.children = [self.menu, *(self._chip(name) for name in names)]
            close_all(*gone)

    def _chip(self, name: str) -> widgets.Button:
        """Takes the chips of a fact off that is not on show."""
        groups = sorted(self.chips[name])
        text = f"{name}: {groups[0]}" if len(groups) == 1 else f"{name}: {len(groups)} kept"
        chip = widgets.Button(description=text, icon="times", tooltip=f"No longer keep {', '.join(groups)}")
        self.guard.clicked(chip, lambda: self.keep(name, ()))
        return chip

    def _chosen_in_legend(self) -> None:
        if self._drawn:
            names = self.scatter.names
            self.keep(self._drawn, [names[number] for number in self.scatter.kept if number < len(names)])

    def close(self) -> None:
        """End the work, and free the widgets."""
        self.tasks.stop.set()
        super().close()
