"""The only way from the page and from threads into a panel's Python: the panel shows whatever is raised there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from traitlets import HasTraits
from traitlets.log import get_logger


class Guarded:
    """A callback with the guard that runs it.

    Attributes
    ----------
    action : what it does.
    guard : shows what the action raises.
    """

    def __init__(self, guard: Guard, action: Callable[..., Any]) -> None:
        self.guard, self.action = guard, action

    def __call__(self, *given: Any) -> None:
        self.guard.run(self.action, *given)


class Guard:
    """Runs callbacks and threads, whose exceptions are visible nowhere else.

    Parameters
    ----------
    show : called with an exception, whose traceback goes to the kernel's log; None lets it through.
    """

    def __init__(self, show: Callable[[Exception], None] | None) -> None:
        self.show = show

    def run(self, action: Callable[..., Any], *given: Any) -> bool:
        """Call `action`; return whether it succeeded."""
        try:
            action(*given)
        except Exception as error:  # every failure belongs in the panel
            if self.show is None:
                raise
            get_logger().error("cbirlab: shown in the panel, raised in %r", action, exc_info=error)
            self.show(error)
            return False
        return True

    def observe(self, owner: HasTraits, names: str | Sequence[str], action: Callable[[], Any]) -> None:
        """Call `action` whenever one of these traits changes."""
        owner.observe(Guarded(self, _without_event(action)), names=names)

    def when_changed(self, owner: HasTraits, names: Sequence[str], action: Callable[[], Any]) -> None:
        """Call `action` when any of these traits has changed, once for those that change in one step.

        `observe` reports them one by one even if notifications were held, so the panel would draw several times.
        """
        lock = threading.Lock()
        last = [getattr(owner, name) for name in names]

        def told() -> None:
            nonlocal last
            with lock:
                before, last = last, [getattr(owner, name) for name in names]
                changed = before != last
            if changed:
                action()

        self.observe(owner, list(names), told)

    def clicked(self, button: Any, action: Callable[[], Any]) -> None:
        """Call `action` when a button is pressed."""
        button.on_click(Guarded(self, _without_event(action)))

    def received(self, widget: Any, action: Callable[[Any, dict[str, Any], Any], Any]) -> None:
        """Call `action` with the widget, the content and the buffers of each message from the page."""
        widget.on_msg(Guarded(self, action))

    def thread(self, action: Callable[..., Any], *given: Any) -> threading.Thread:
        """Start `action` in a thread of its own."""
        made = threading.Thread(target=Guarded(self, action), args=given, daemon=True)
        made.start()
        return made

    def later(self, seconds: float, action: Callable[..., Any], *given: Any) -> None:
        """Start `action` in a thread of its own, after a while."""
        timer = threading.Timer(seconds, Guarded(self, action), given)
        timer.daemon = True
        timer.start()


def _without_event(action: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda _event: action()
