"""Ahead: a thread makes what a slider may reach next before it is asked for, the nearest first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

QUIET = 0.3  # seconds


class Ahead(Generic[T]):
    """Makes things in a thread of its own, one at a time, starting with those nearest to what was asked for last.

    Parameters
    ----------
    moves : how many moves of a control lead from one thing to another.
    yielding : lock that callers hold while someone waits for them; nothing new begins meanwhile.
    quiet : seconds after the last request in which nothing new begins either: a user who moves a slider needs the
        whole machine.
    """

    def __init__(self, moves: Callable[[T, T], float], yielding: threading.RLock, *, quiet: float = QUIET) -> None:
        self._moves, self._yielding, self.quiet = moves, yielding, quiet
        self._lock = threading.Lock()
        self._left: list[T] = []
        self._wanted = 0
        self._asked: T | None = None
        self._sorted_for: T | None = None
        self._begin_at = 0.0
        self._thread: threading.Thread | None = None

    def begin(self, things: Iterable[T], make: Callable[[T], object]) -> None:
        """Make these too; returns at once. An error ends nothing: whoever asks for the thing itself gets it again."""
        with self._lock:
            self._wanted += 1
            self._make = make
            self._left += [thing for thing in things if thing not in self._left]
            self._sorted_for = None
            if self._left and self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def end(self) -> None:
        """A caller of `begin` wants nothing more; after the last caller, only the thing being made is finished."""
        with self._lock:
            self._wanted = max(0, self._wanted - 1)
            if not self._wanted:
                self._left.clear()

    def near(self, asked: T) -> None:
        """Continue with the things nearest to this one."""
        self._asked, self._begin_at = asked, time.monotonic() + self.quiet

    def wait(self, seconds: float = 60) -> bool:
        """Wait until everything is made; returns whether that took less than `seconds`."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._thread is None

    def _work(self) -> None:
        while True:
            while (left := self._begin_at - time.monotonic()) > 0:
                time.sleep(left)
            with self._lock:
                if not self._left:
                    self._thread = None
                    return
                thing = self._nearest()
            with self._yielding:
                pass
            with suppress(Exception):  # raised again when the thing itself is asked for
                self._make(thing)

    def _nearest(self) -> T:
        if self._asked is not None and self._asked != self._sorted_for:
            asked = self._sorted_for = self._asked
            self._left.sort(key=lambda thing: self._moves(asked, thing))
        return self._left.pop(0)
