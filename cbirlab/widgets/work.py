"""Slow work in a thread: one task at a time, the newest wins; it says how far it is, and has a button that ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

import ipywidgets as widgets

from cbirlab.progress import Cancelled, listening
from cbirlab.widgets import views
from cbirlab.widgets.guard import Guard

BETWEEN_NOTES = 0.2  # seconds: a note per batch would flood the page


class Work(widgets.HBox):
    """What is being computed, with a Cancel button; not to be seen while there is nothing to do.

    A task ends at its next step after it was cancelled or overtaken; what it has finished stays in the store.

    Parameters
    ----------
    done : called in the thread when a task has ended well.
    failed : told of an exception in a task, and of one in what is called when it has ended.
    cancelled : called when the user has ended a task.
    """

    def __init__(
        self, done: Callable[[], None], failed: Callable[[Exception], None], cancelled: Callable[[], None]
    ) -> None:
        self._done, self._cancelled, self.guard = done, cancelled, Guard(failed)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._key: Hashable = None
        self._next: tuple[Hashable, str, Callable[[], None]] | None = None
        self._stop, self._by_user, self._ended_early = threading.Event(), False, False
        self._title, self._said = "", 0.0
        self.note = widgets.HTML(layout={"flex": "1 1 auto", "min_width": "0"})
        self.button = widgets.Button(description="Cancel", icon="times", layout={"width": "90px"})
        self.guard.clicked(self.button, self.cancel)
        super().__init__([self.note, self.button], layout={"display": "none", "align_items": "center"})

    @property
    def busy(self) -> bool:
        """Whether a task runs."""
        return self._thread is not None

    def start(self, key: Hashable, title: str, task: Callable[[], None]) -> None:
        """Do `task` in the thread, unless it is what is done now; another one that runs is ended."""
        with self._lock:
            if self._key == key and not self._stop.is_set():
                return
            self._next, self._by_user = (key, title, task), False
            self._stop.set()
            if self._thread is None:
                self._thread = self.guard.thread(self._loop)

    def drop(self) -> None:
        """End what runs: nobody wants it any more."""
        with self._lock:
            self._next = None
            self._stop.set()

    def cancel(self) -> None:
        """End what runs because the user says so."""
        with self._lock:
            if self._thread is None:  # it has just ended
                return
            self._next, self._by_user = None, True
            self._stop.set()
        self.note.value = views.waiting(f"Cancelling: {self._title} ...")

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to do; whether that was in time."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return not self.busy

    def _loop(self) -> None:
        while self._take():
            if self.guard.run(self._do) and not (self._by_user or self._ended_early):
                self.guard.run(self._done)
            if self._by_user:
                self._say_cancelled()
        if self._by_user:  # before the task had begun
            self._say_cancelled()

    def _do(self) -> None:
        """The task; that it was ended is no failure."""
        self._ended_early = False
        try:
            with listening(self._told):
                self._task()
        except Exception as error:
            self._ended_early = self._by_user or (self._stop.is_set() and isinstance(error, Cancelled))
            if not self._ended_early:
                raise
        finally:
            with self._lock:
                self._key = None

    def _say_cancelled(self) -> None:
        self._by_user = False
        self.guard.run(self._cancelled)

    def _take(self) -> bool:
        """Begin the next task, if there is one."""
        with self._lock:
            if self._next is None:
                self._thread = self._key = None
                self.layout.display = "none"
                return False
            self._key, self._title, self._task = self._next
            self._next = None
            self._stop.clear()
        self._said = 0.0
        self.note.value = views.waiting(f"{self._title} ...")
        self.layout.display = None
        return True

    def _told(self, what: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Cancelled(f"{self._title} was ended.")
        if time.monotonic() - self._said > BETWEEN_NOTES:
            self._said = time.monotonic()
            self.note.value = views.waiting(f"{self._title}: {what}, {done} of {total}")

    def close(self) -> Any:
        """End what runs, and free the widgets."""
        self.drop()
        return super().close()
