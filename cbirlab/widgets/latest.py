"""Run one request at a time, and of those that wait only the newest."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Latest:
    """Calls `action()` behind a lock; requests overtaken while they wait are dropped.

    JupyterLab with ipykernel >= 7 delivers widget messages on the main thread or on a subshell's thread, as it happens,
    so two callbacks can overlap in time. `action` must read what it needs when it runs, not when it was asked for.

    Parameters
    ----------
    action : the work.
    on_error : told of an exception in `action`; exceptions in a widget's callback are visible nowhere else.
    """

    def __init__(self, action: Callable[[], None], on_error: Callable[[Exception], None]) -> None:
        self._action, self._on_error = action, on_error
        self._work = threading.RLock()  # a callback of the action itself may ask again in the same thread
        self._count = threading.Lock()
        self._newest = 0

    def __call__(self) -> None:
        with self._count:
            self._newest += 1
            mine = self._newest
        with self._work:
            if mine != self._newest:
                return
            try:
                self._action()
            except Exception as error:  # every failure belongs in the panel
                self._on_error(error)
