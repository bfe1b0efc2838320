"""Run one request at a time, and of those that wait only the newest; what can wait, after the page has painted."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cbirlab.widgets.guard import Guard


class Latest:
    """Calls `action()` behind a lock; requests overtaken while they wait are dropped.

    JupyterLab with ipykernel >= 7 delivers widget messages on the main thread or on a subshell's thread, as it happens,
    so two callbacks can overlap in time. `action` must read what it needs when it runs, not when it was asked for.

    Parameters
    ----------
    action : the work.
    on_error : told of an exception in the work.
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
        self._action, self.guard = action, Guard(on_error)
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
                self.guard.later(self.pause, self._do, self._afterwards, mine)
            else:
                self._do(self._afterwards, mine)

    def _do(self, work: Callable[[], None], mine: int) -> bool:
        """Whether request `mine` was still the newest, and its work went well."""
        with self._work:
            return mine == self._newest and self.guard.run(work)
