"""Steps: what a panel has shown, one after the other; to go back to, and to tell what a move has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REST = 0.8  # seconds that something stands before it counts as a step: dragging a slider makes one
MOST_STEPS = 100
MOST_FOUND = 2  # steps back and forward whose results are kept; those of others would fill the memory


@dataclass
class Step:
    """Something that was shown.

    Attributes
    ----------
    key : tells it from other steps.
    state : what brings it back.
    found : what was found, to compare with; None once it is too old.
    """

    key: Any
    state: Any
    found: Any = None


class Steps:
    """The steps of a panel, and the one that is shown.

    Parameters
    ----------
    clock : gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since = clock, -REST
        self._steps: list[Step] = []
        self._at = -1

    def keep(self, key: Any, state: Any, found: Any) -> None:
        """Note what is shown now, in place of what did not stand for `REST`; forget what was gone back from."""
        if self._at >= 0 and self._steps[self._at].key == key:
            self._steps[self._at].found = found
            self._forget()
            return
        if self._moving:
            self._at -= 1
        self._steps = self._steps[max(0, self._at + 2 - MOST_STEPS) : self._at + 1]
        if not (self._steps and self._steps[-1].key == key):  # a slider came back to where it was
            self._steps.append(Step(key, state))
        self._steps[-1].found = found
        self._at, self._since = len(self._steps) - 1, self._clock()
        self._forget()

    def _forget(self) -> None:
        for place, step in enumerate(self._steps):
            if abs(place - self._at) > MOST_FOUND:
                step.found = None

    @property
    def _moving(self) -> bool:
        return self._at > 0 and self._clock() - self._since < REST

    def before(self, key: Any) -> Any:
        """What was found at the step before one that is about to be shown; None if there is none."""
        shown = self._at >= 0 and self._steps[self._at].key == key
        place = self._at - (1 if shown or self._moving else 0)
        return self._steps[place].found if place >= 0 else None

    def back(self) -> Any:
        """The state of the step before, which becomes the one that is shown; None if there is none."""
        return self._go(self._at - 1)

    def forward(self) -> Any:
        """The state of the step that was gone back from; None if there is none."""
        return self._go(self._at + 1)

    def _go(self, place: int) -> Any:
        if not 0 <= place < len(self._steps):
            return None
        self._at, self._since = place, -REST
        return self._steps[place].state

    @property
    def ways(self) -> tuple[bool, bool]:
        """Whether one can go back, and forward."""
        return self._at > 0, self._at < len(self._steps) - 1
