"""Tasks: only the newest of several requests counts; it ends the older ones, and runs at once or in a thread."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

import ipywidgets as widgets
from traitlets import Bool

from cbirlab.base.progress import Cancelled, Listener, listening
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.guard import Guard

BETWEEN_NOTES = 0.2  # seconds: a note per batch would flood the page
SETTLED = 2.0  # seconds until the rest of a step is foretold from what it has taken so far


BEHIND = 10
"""How much nicer than the other threads one is that computes for long."""


def step_back() -> None:
    """Let the other threads go first from now on, where the system tells threads apart; else do nothing.

    A moved slider then waits less for a thread that computes, and that thread still takes what nobody else wants.
    """
    if sys.platform == "linux":
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, min(19, os.getpriority(os.PRIO_PROCESS, here) + BEHIND))


class Stop(threading.Event):
    """Set once nobody wants a piece of work any more."""

    def check(self, seconds: float = 0.0) -> None:
        """Wait this long; raise `Cancelled` as soon as nobody wants the work any more."""
        if self.wait(seconds):
            raise Cancelled("This work is no longer needed.")

    def run(self, work: Callable[[], object], told: Listener | None = None) -> bool:
        """Do the work; setting this ends it at the next step of its progress bar. Return whether it was finished.

        Parameters
        ----------
        told : called at each step, like a listener of `cbirlab.base.progress`.
        """

        def listen(what: str, done: int, total: int) -> None:
            self.check()
            if told is not None:
                told(what, done, total)

        try:
            self.check()
            with listening(listen):
                work()
        except Exception:
            if not self.is_set():
                raise
            return False  # unwanted work may fail
        return True


class Newest:
    """Of several requests only the newest counts.

    Attributes
    ----------
    stop : belongs to the newest request; once it is set, nobody wants anything.
    """

    def __init__(self) -> None:
        self.stop, self._asking = Stop(), threading.RLock()

    def ask(self) -> Stop:
        """Make a new request: nobody wants the one before any more."""
        with self._asking:
            self.stop.set()
            self.stop = Stop()
            return self.stop


class Latest(Newest):
    """Calls `action()` behind a lock in the thread that asks; drops requests that are overtaken while they wait.

    JupyterLab with ipykernel >= 7 delivers widget messages on the main thread or on a subshell's thread, as it happens,
    so two callbacks can overlap in time. `action` must read what it needs when it runs, not when it was asked for.

    Parameters
    ----------
    action : the work.
    on_error : called with an exception that the work raises.
    afterwards : the rest of the work, done `pause` seconds after `action`, and dropped if a newer request comes in
        between: kernel and page are busy enough with what the eye follows.
    apart : what takes long and touches no widget, done after that without the lock, so that no newer request waits for
        it; it returns what draws its result, or None. That is done behind the lock, unless a newer request came.
    pause : in seconds; 0 does the rest at once.
    """

    def __init__(
        self,
        action: Callable[[], None],
        on_error: Callable[[Exception], None],
        *,
        afterwards: Callable[[], None] | None = None,
        apart: Callable[[], Callable[[], None] | None] | None = None,
        pause: float = 0.0,
    ) -> None:
        super().__init__()
        self._action, self.guard = action, Guard(on_error)
        self._afterwards, self._apart, self.pause = afterwards, apart, pause
        self._work = threading.RLock()  # a callback of the action itself may ask again in the same thread

    def __call__(self) -> None:
        stop = self.ask()
        if self._do(self._action, stop) and self._afterwards is not None:
            if self.pause:
                self.guard.later(self.pause, self._finish, self._afterwards, stop)
            else:
                self._finish(self._afterwards, stop)

    def _finish(self, afterwards: Callable[[], None], stop: Stop) -> None:
        if not self._do(afterwards, stop) or self._apart is None:
            return
        draw: list[Callable[[], None] | None] = []
        work = self._apart
        if self.guard.run(stop.run, lambda: draw.append(work())) and draw[0] is not None:
            self._do(draw[0], stop)

    def _do(self, work: Callable[[], None], stop: Stop) -> bool:
        """Do the work; return whether it succeeded and its request was still wanted afterwards."""
        with self._work:
            return self.guard.run(stop.run, work) and not stop.is_set()


class Background(Newest):
    """Does work in threads of its own.

    Parameters
    ----------
    guard : called with an exception that the work raises.
    in_turn : work begins when the older work, which it ends, is finished; else at once.
    behind : it steps back, so that the callbacks of the page go first.
    """

    def __init__(self, guard: Guard, *, in_turn: bool = False, behind: bool = False) -> None:
        super().__init__()
        self.guard, self._in_turn, self._behind = guard, in_turn, behind
        self.thread: threading.Thread | None = None

    def start(self, work: Callable[[Stop], object]) -> None:
        """Begin work, which receives its `Stop`; returns at once."""
        with self._asking:
            before = self.thread if self._in_turn else None
            self.thread = self.guard.thread(self._run, work, self.ask(), before)

    def _run(self, work: Callable[[Stop], object], stop: Stop, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if self._behind:
            step_back()
        work(stop)

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to do; returns whether that took less than `seconds`."""
        end = time.monotonic() + seconds
        while (thread := self.thread) is not None and thread.is_alive() and time.monotonic() < end:
            thread.join(max(0.0, end - time.monotonic()))  # it may have begun the next one
        return thread is None or not thread.is_alive()


class TimeLeft:
    """What progress amounts to in words, and whether it is time to say so; one for all steps of a piece of work."""

    def __init__(self) -> None:
        self._what, self._since, self._said = "", 0.0, 0.0
        self._from = 0

    def due(self, what: str, done: int, total: int) -> bool:
        """Whether the last words are old enough; a new step is said at once. Call it at each step."""
        now = time.monotonic()
        if what != self._what or done < self._from:
            self._what, self._since, self._from, self._said = what, now, done, 0.0
        if now - self._said <= BETWEEN_NOTES:
            return False
        self._said = now
        return True

    def text(self, what: str, done: int, total: int) -> str:
        """How much is done and, once the step has gone on for `SETTLED` seconds, how long the rest will take."""
        gone, count = time.monotonic() - self._since, done - self._from
        told = f"{what}, {done:,} of {total:,}"
        return f"{told}, {duration(gone * (total - done) / count)} left" if count > 0 and gone > SETTLED else told


def duration(seconds: float) -> str:
    """A time in words, no more exact than a guess is: "about 40 s", "about 3 min", "about 2 h"."""
    if seconds < 90:
        return f"about {max(1, round(seconds, -1 if seconds > 20 else 0)):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.0f} h"


class Work(widgets.HBox):
    """Slow work in a thread: shows its progress and a Cancel button; hidden while there is nothing to do.

    A cancelled or overtaken task ends at its next step; the store keeps what it has finished.

    Parameters
    ----------
    done : called in the thread when a task has ended well.
    failed : called with an exception that a task raises, or that `done` or `cancelled` raises after it.
    cancelled : called when the user has ended a task.

    Attributes
    ----------
    working : whether it shows that a task runs.
    """

    working = Bool(False)

    def __init__(
        self, done: Callable[[], None], failed: Callable[[Exception], None], cancelled: Callable[[], None]
    ) -> None:
        self._done, self._cancelled, self.guard = done, cancelled, Guard(failed)
        self.tasks = Background(self.guard, in_turn=True)
        self._lock = threading.Lock()
        self._key: Hashable = None
        self._title, self._left, self._by_user = "", TimeLeft(), False
        self.note = widgets.HTML(layout={"flex": "1 1 auto", "min_width": "0"})
        self.button = widgets.Button(description="Cancel", icon="times", layout={"width": "90px"})
        self.guard.clicked(self.button, self.cancel)
        super().__init__([self.note, self.button], layout={"display": "none", "align_items": "center"})

    @property
    def busy(self) -> bool:
        """Whether a task is running, even if it will end at its next step."""
        return self._key is not None

    def start(self, key: Hashable, title: str, task: Callable[[], None]) -> None:
        """Run `task` in the thread, unless it is running already; end any other task that runs."""
        with self._lock:
            if self._key == key and not self.tasks.stop.is_set():
                return
            self._key, self._by_user = key, False
            self.tasks.start(lambda stop: self._do(title, task, stop))

    def drop(self) -> None:
        """End the running task, because nobody wants it any more."""
        self.tasks.stop.set()

    def cancel(self) -> None:
        """End the running task, because the user says so."""
        with self._lock:
            if not self.busy:  # the task has just ended
                return
            self._by_user = True
            self.drop()
        self.note.value = views.waiting(f"Cancelling: {self._title} ...")

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to do; returns whether that took less than `seconds`."""
        return self.tasks.wait(seconds)

    def _do(self, title: str, task: Callable[[], None], stop: Stop) -> None:
        """Do the task, and then whatever follows it."""
        self._title, self._left = title, TimeLeft()
        self.note.value = views.waiting(f"{title} ...")
        self.working, self.layout.display = True, None
        ended: list[bool] = []
        self.guard.run(lambda: ended.append(stop.run(task, self._tell)))
        with self._lock:
            newest = stop is self.tasks.stop
            self._key = None if newest else self._key
            by_user = newest and self._by_user
        if by_user:
            self.guard.run(self._cancelled)
        elif ended == [True]:
            self.guard.run(self._done)
        if stop is self.tasks.stop:
            self.working, self.layout.display = False, "none"

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._left.due(what, done, total):
            self.note.value = views.waiting(f"{self._title}: {self._left.text(what, done, total)}")

    def close(self) -> Any:
        """End the running task, and free the widgets."""
        self.drop()
        return super().close()
