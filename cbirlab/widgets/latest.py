"""Run one request at a time, and of those that wait only the newest; what can wait, after the page has painted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from traitlets import HasTraits


def when_changed(owner: HasTraits, names: Sequence[str], action: Callable[[], None]) -> None:
    """Call `action` when any of these traits has changed, once for those that change in one step.

    `observe` tells of them one by one even where notifications were held: what is drawn would be drawn again.
    """
    lock = threading.Lock()
    last = [getattr(owner, name) for name in names]

    def told(_change: Any) -> None:
        nonlocal last
        with lock:
            before, last = last, [getattr(owner, name) for name in names]
            changed = before != last
        if changed:
            action()

    owner.observe(told, names=list(names))


class Latest:
    """Calls `action()` behind a lock; requests overtaken while they wait are dropped.

    JupyterLab with ipykernel >= 7 delivers widget messages on the main thread or on a subshell's thread, as it happens,
    so two callbacks can overlap in time. `action` must read what it needs when it runs, not when it was asked for.

    Parameters
    ----------
    action : the work.
    on_error : told of an exception in the work; exceptions in a widget's callback are visible nowhere else.
    afterwards : the rest of the work, done `pause` seconds after `action`, and not at all where a newer request came
        meanwhile: kernel and page are busy enough with what the eye follows.
    pause : in seconds; 0 does the rest at once.
    """

    def __init__(
        self,
        action: Callable[[], None],
        on_error: Callable[[Exception], None],
        *,
        afterwards: Callable[[], None] | None = None,
        pause: float = 0.0,
    ) -> None:
        self._action, self._on_error = action, on_error
        self._afterwards, self.pause = afterwards, pause
        self._work = threading.RLock()  # a callback of the action itself may ask again in the same thread
        self._count = threading.Lock()
        self._newest = 0

    def __call__(self) -> None:
        with self._count:
            self._newest += 1
            mine = self._newest
        if self._do(self._action, mine) and self._afterwards is not None:
            if self.pause:
                rest = threading.Timer(self.pause, self._do, [self._afterwards, mine])
                rest.daemon = True
                rest.start()
            else:
                self._do(self._afterwards, mine)

    def _do(self, work: Callable[[], None], mine: int) -> bool:
        """Whether request `mine` was still the newest, and its work went well."""
        with self._work:
            if mine != self._newest:
                return False
            try:
                work()
            except Exception as error:  # every failure belongs in the panel
                self._on_error(error)
                return False
            return True
