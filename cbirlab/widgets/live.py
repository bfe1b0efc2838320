"""What live panels share: a session, a state, newest request wins, errors as a sentence; pictures with their words."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Bool

from cbirlab.widgets import views
from cbirlab.widgets.controls import RetrievalControls
from cbirlab.widgets.gallery import page_text
from cbirlab.widgets.guard import Guard
from cbirlab.widgets.state import RetrievalState, Setting, state_of, usual_start
from cbirlab.widgets.still import WithStill, data_uri, jpeg_bytes
from cbirlab.widgets.tasks import Latest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

    from cbirlab.session import Session


class LivePanel(WithStill, widgets.VBox):
    """A panel on one session: `_draw` at once, `_draw_rest` when nothing newer was asked for within a pause.

    Parameters
    ----------
    session : dataset and backbone; prepared here if it is not yet.
    state : of another panel, to follow: the controls are there.
    pause : in seconds.
    start : without a `state`, what the panel's own controls start with, as {"aggregation": "crow", "query": 4}; names
        are those of `RetrievalState`.

    Attributes
    ----------
    controls : of the setting, top to bottom; none where another panel has them.
    """

    live = Bool(True)

    def __init__(
        self,
        session: Session,
        state: RetrievalState | None,
        pause: float,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        session.prepare()
        session.learn_ahead()
        self.session = session
        self.state = state_of(state, start, self._usual(session))
        self.error, self.note, self.chart = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.guard = Guard(self._failed)
        self.controls = self._own_controls(self.state) if state is None else []
        self._asked = self._drawn = 0
        self._update = Latest(self._draw, on_error=self._failed, afterwards=self._draw_rest, pause=pause)
        super().__init__([_style(), *self._arranged()])
        self.add_class("cbirlab-panel")
        self._connect()
        self._ask()

    @staticmethod
    def _usual(session: Session) -> dict[str, Any]:
        """What the panel starts with, where nothing else is said."""
        return usual_start(session)

    def _own_controls(self, state: RetrievalState) -> list[Any]:
        session = self.session
        offered = {"taps": session.taps, "aggregations": session.methods, "dimensions": session.dimensions}
        return RetrievalControls(state, **offered, on_error=self._failed).widgets

    def _arranged(self) -> list[Any]:
        raise NotImplementedError

    def _connect(self) -> None:
        self.guard.observe(self, "live", self._ask)

    def _draw(self) -> None:
        raise NotImplementedError

    def _draw_rest(self) -> None:
        raise NotImplementedError

    def _ask(self) -> None:
        if self.live:
            self._asked += 1
            self._update()

    def _overtaken(self) -> bool:
        """Whether something newer was asked for since `_draw` began: long work stops then."""
        return self._asked != self._drawn

    def _failed(self, error: Exception) -> None:
        self.note.value = ""
        self.error.value = views.error_box(error)

    def _say_what_is_computed(self, setting: Setting) -> None:
        if not self.session.ready(*setting):
            self.note.value = views.waiting(f"Computing {setting.aggregation} at {setting.tap}, this once ...")

    def close(self) -> None:
        """Free the panel with all that is in it."""
        if self.comm is not None:
            self.session.learn_no_more()
        self.live = False
        self._asked += 1
        waiting = list(self.children)
        while waiting:
            widget = waiting.pop()
            waiting += getattr(widget, "children", ())
            widget.close()
        super().close()


def _style() -> Any:
    """The style sheet, which otherwise comes with a gallery."""
    return widgets.HTML(f"<style>{page_text('widgets.css')}</style>", layout={"display": "none"})


def picture_html(image: Image.Image, alt: str, caption: str) -> str:
    """A picture with a caption."""
    source = data_uri(jpeg_bytes(image))
    text = f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure class='cbirlab-figure'><img alt='{escape(alt)}' src='{source}'>{text}</figure>"


def figure_html(ax: Axes) -> str:
    """A figure as a picture, with its words for those who do not see it."""
    from base64 import b64encode

    from cbirlab.plots import described, png

    source = "data:image/png;base64," + b64encode(png(ax)).decode("ascii")
    return f"<img class='cbirlab-chart' alt='{escape(described(ax), quote=True)}' src='{source}'>"
