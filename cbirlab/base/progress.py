"""Progress: a bar in the terminal or a notebook cell, or a listener such as a panel's, which can stop the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from threading import Event, Thread
from typing import Any, TypeVar

from cbirlab.base.text import printable

T = TypeVar("T")

Listener = Callable[[str, int, int], None]
"""Called with (name of the work, items finished, items in total); an exception that it raises ends the work."""

_SECOND = 1.0  # how often a stopwatch moves on
_SOON = 0.2  # how often a listener is asked whether to go on waiting

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_shown: ContextVar[bool] = ContextVar("shown", default=True)


class Cancelled(RuntimeError):
    """Raised by a listener to end the work; what was finished until then is in the store."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` instead of drawing bars, for all work that this thread does inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def showing(show: bool) -> Iterator[None]:
    """Draw no bars, unless `show`, for all work that this thread does inside the block; a listener is still called."""
    token = _shown.set(show and _shown.get())
    try:
        yield
    finally:
        _shown.reset(token)


def bar(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    desc: str,
    unit: str,
    show: bool = True,
    delay: float = 1.0,
) -> Any:
    """A progress bar like tqdm's; iterate over it, or call its `update`.

    Parameters
    ----------
    items : to iterate over.
    total : how many there will be, if no `items` are given.
    show : False draws no bar; a listener is still called.
    delay : seconds after which it appears.
    """
    listener, desc = _listener.get(), printable(desc)
    if listener is not None:
        return _Told(listener, items, total, desc)
    return _drawn(items, total=total, desc=desc, unit=unit, delay=delay, show=show)


@contextmanager
def stopwatch(desc: str, *, show: bool = True, delay: float = 1.0) -> Iterator[None]:
    """Show the seconds gone by while work goes on that cannot tell how far it is; a listener hears its start and end.

    Parameters
    ----------
    show, delay : as for `bar`.
    """
    if _listener.get() is not None:
        with bar(total=1, desc=desc, unit="step") as told:
            yield
            told.update()
        return
    ended = Event()
    with _drawn(total=1, desc=printable(desc), delay=delay, show=show, bar_format="{desc}: {elapsed}") as shown:

        def tick() -> None:
            while not ended.wait(max(delay, _SECOND)):
                shown.refresh()

        ticking = Thread(target=copy_context().run, args=(tick,), daemon=True)
        if not shown.disable:
            ticking.start()
        try:
            yield
        finally:
            ended.set()
            if not shown.disable:
                ticking.join()


def wait_for(work: Callable[[], T], *, desc: str) -> T:
    """What `work` returns, with a stopwatch; a listener may end the wait at once, and what comes is thrown away.

    For work that cannot be ended from outside, such as one call of a library that takes seconds.
    """
    if _listener.get() is None:
        with stopwatch(desc):
            return work()
    found: Future[T] = Future()

    def carry_out() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    with bar(total=1, desc=desc, unit="step") as told:
        Thread(target=carry_out, daemon=True).start()
        while True:
            with suppress(TimeoutError):
                found.exception(timeout=_SOON)
            if found.done():
                told.update()
                return found.result()
            told.update(0)


def _drawn(*items: Any, show: bool, **looks: Any) -> Any:
    """A bar of tqdm, in a terminal or a notebook, that leaves nothing behind."""
    from tqdm.auto import tqdm

    return _leaving_nothing(tqdm(*items, disable=not (show and _shown.get()), leave=False, **looks))


def _leaving_nothing(made: Any) -> Any:
    """Make a notebook bar erase its output at the end: a notebook that is opened again would show an error there."""
    container = getattr(made, "container", None)
    if container is not None:
        from IPython.display import DisplayHandle

        handle, shown = DisplayHandle(), []

        def show() -> None:
            shown.append(True)
            handle.display(container._repr_mimebundle_(), raw=True)

        def erase(change: Any) -> None:
            if change["new"] is None and shown:
                handle.update({"text/plain": ""}, raw=True)

        container._ipython_display_ = show
        container.observe(erase, names="comm")
    return made


class _Told:
    """Stands in for tqdm's bar, as far as this package uses it, and calls the listener instead of drawing."""

    def __init__(self, listener: Listener, items: Iterable[Any] | None, total: int | None, desc: str) -> None:
        self._listener, self._items, self._desc = listener, items, desc
        self._total = total if total is not None else len(items)  # pyright: ignore[reportArgumentType]
        self._done = 0
        self.update(0)

    def update(self, count: int = 1) -> None:
        self._done += count
        self._listener(self._desc, self._done, self._total)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items or ():
            yield item
            self.update()

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *error: object) -> None:
        pass
