"""The base of all panels: one drawing at a time, the newest first; slow work in a thread; errors as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets as widgets
from traitlets import Bool

from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import RetrievalControls
from cbirlab.widgets.parts.gallery import close_all, page_text
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.search_controls import SearchControls
from cbirlab.widgets.parts.snapshot import WithStill
from cbirlab.widgets.parts.state import RetrievalState, Setting, state_of, usual_start
from cbirlab.widgets.parts.tasks import Latest, Work

if TYPE_CHECKING:
    from cbirlab.live import Session

PAUSE = 0.08  # seconds in which the page paints the first drawing, before the rest is computed


class Panel(WithStill, widgets.VBox):
    """A panel that draws on request: `_draw` at once, `_draw_rest` if no newer request comes within a pause.

    Parameters
    ----------
    pause : in seconds; 0 draws the rest at once.

    Attributes
    ----------
    live : while False, the panel stands still; once True, it draws the newest state.
    work : runs what is too slow to wait for; the panel then draws the result.
    """

    live = Bool(True)

    def __init__(self, pause: float) -> None:
        self.guard = Guard(self.show_error)
        self._renew()
        self._update = Latest(
            self._redraw, on_error=self._failed, afterwards=self._redraw_rest, apart=self._test, pause=pause
        )
        super().__init__()
        self.add_class("cbirlab-panel")
        self.guard.observe(self, "live", self.ask)

    def _renew(self) -> None:
        """Make the widgets that every panel has; they are closed with the others."""
        self.error, self.note = widgets.HTML(), widgets.HTML()
        self.work = Work(done=self.ask, failed=self._give_up, cancelled=self._cancelled)
        self.guard.observe(self.work, "working", self._dim)

    def _dim(self) -> None:
        """Dim what is older than the controls, while what they ask for is computed."""
        (self.add_class if self.work.working else self.remove_class)("cbirlab-stale")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Draw nothing inside the block, and the newest state after it."""
        live, self.live = self.live, False
        try:
            yield
        finally:
            self.live = live

    def ask(self) -> None:
        """Draw the present state, unless the panel is held."""
        if self.live:
            self._update()

    def _redraw(self) -> None:
        self.error.value = ""  # first, because work begun in a thread may fail at once
        self._draw()

    def _redraw_rest(self) -> None:
        self._draw_rest()

    def _draw(self) -> None:
        raise NotImplementedError

    def _draw_rest(self) -> None:
        """Draw nothing: this is for panels that draw everything at once."""

    def _test(self) -> Callable[[], None] | None:
        """Test what is drawn now, if that takes long; returns what draws the result. The panel may change meanwhile."""

    def show_error(self, error: Exception) -> None:
        """Show an error in the panel, where the user sees it."""
        self.error.value = views.error_box(error)

    def _failed(self, error: Exception) -> None:
        self.note.value = ""
        self.show_error(error)

    def _give_up(self, error: Exception) -> None:
        """React when slow work has failed."""
        self.show_error(error)

    def _cancelled(self) -> None:
        self.note.value = views.note("Cancelled: what is shown is older than the controls. Move one to go on.")

    def _leave(self) -> list[Any]:
        """End the work in the background; return everything that is to be closed with the panel."""
        self.work.drop()
        self._update.stop.set()
        return [*self.children, self.work]

    def close(self) -> None:
        """End the work in the background, and free the panel and all its widgets."""
        self.live = False
        if self.comm is not None:  # else it is already closed
            close_all(*self._leave())
        super().close()


class SettingPanel(Panel):
    """A panel on one session, with a setting of its own or the setting of another panel.

    Parameters
    ----------
    session : dataset and backbone; prepared here if it is not yet.
    state : another panel's state to follow; that panel has the controls.
    start : without a `state`, the values that the panel's own controls start with, like {"aggregation": "crow",
        "query": 4}; the names are those of `RetrievalState`.
    pause : as in `Panel`.

    Attributes
    ----------
    controls : for the setting, top to bottom; empty if another panel has them.
    moved : further controls; moving any of them draws again.
    """

    moved: Sequence[Any] = ()
    searches: ClassVar[bool] = False
    """Whether controls of the search are among the panel's own."""

    def __init__(
        self,
        session: Session,
        *,
        state: RetrievalState | None = None,
        start: Mapping[str, Any] | None = None,
        pause: float = PAUSE,
    ) -> None:
        super().__init__(pause)
        session.prepare()
        session.learn_ahead()
        self.session, self.chart = session, widgets.HTML()
        self.state = state_of(state, start, self._usual(session))
        self.controls = self._own_controls(self.state) if state is None else []
        self._slow: Sequence[Setting] = ()
        style = widgets.HTML(f"<style>{page_text('widgets.css')}</style>", layout={"display": "none"})
        self.children = [style, self.error, self.work, *self._arranged()]
        self._connect()
        self.ask()

    @staticmethod
    def _usual(session: Session) -> dict[str, Any]:
        """The values that the panel starts with unless others are given."""
        return usual_start(session)

    def _own_controls(self, state: RetrievalState) -> list[Any]:
        session = self.session
        offered = {"taps": session.taps, "aggregations": session.methods, "dimensions": session.dimensions}
        made = RetrievalControls(state, **offered, on_error=self.show_error).widgets
        return [*made, *([SearchControls(state, on_error=self.show_error)] if self.searches else [])]

    def _arranged(self) -> list[Any]:
        raise NotImplementedError

    def _connect(self) -> None:
        """Draw again whenever something has changed."""
        for widget in self.moved:
            self.guard.observe(widget, "value", self.ask)

    def _settings(self) -> Sequence[Setting]:
        """The settings that the session ranks for the panel."""
        return [self.state.setting]

    def _redraw(self) -> None:
        self._slow = [one for one in dict.fromkeys(self._settings()) if not self.session.ready(*one)]
        if self._slow:
            self.error.value = ""
            slow = tuple(self._slow)
            titles = " and ".join(one.slow for one in slow)
            self.work.start(slow, f"Computing {titles}, this once", lambda: self._make_ready(slow))
        else:
            self.work.drop()
            self.note.value = ""
            super()._redraw()

    def _redraw_rest(self) -> None:
        if not self._slow:
            super()._redraw_rest()

    def _make_ready(self, settings: Sequence[Setting]) -> None:
        for one in settings:
            self.session.make_ready(*one)

    def _leave(self) -> list[Any]:
        self.session.learn_no_more()
        return super()._leave()


def side_by_side(side: list[Any], seen: list[Any]) -> Any:
    """Controls on the left, pictures on the right; below each other in a narrow window."""
    left = widgets.VBox(side, layout={"flex": "0 0 320px"})
    right = widgets.VBox(seen, layout={"flex": "1 1 320px", "min_width": "0"})
    return widgets.HBox([left, right], layout={"flex_flow": "row wrap"})


def in_columns(parts: Iterable[Iterable[Any]], least: int = 320) -> Any:
    """Columns of the same width, in pixels at `least` that; below each other in a narrow window."""
    columns = [widgets.VBox([*part], layout={"flex": f"1 1 {least}px", "min_width": "0"}) for part in parts]
    return widgets.HBox(columns, layout={"flex_flow": "row wrap"})
