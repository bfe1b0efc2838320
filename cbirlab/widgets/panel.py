"""The explorer: query strip, controls, ranked gallery, mAP with its interval, comparison table, the plain call."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Bool

from cbirlab.widgets import views
from cbirlab.widgets.comparison import Comparison
from cbirlab.widgets.controls import RetrievalControls
from cbirlab.widgets.gallery import Gallery, Thumbnails, close_all, send_ahead
from cbirlab.widgets.guard import Guard
from cbirlab.widgets.reproduce import to_python
from cbirlab.widgets.results import Results, results_of_image, results_of_query, strip_of
from cbirlab.widgets.state import RetrievalState, state_of, usual_start
from cbirlab.widgets.still import WithStill, data_uri, jpeg_bytes, picture_sheet
from cbirlab.widgets.tasks import Latest

if TYPE_CHECKING:
    from cbirlab.evaluation import Evaluation
    from cbirlab.session import Session

SHOWN = 24
PREFETCH_AT_MOST = 3000
PAUSE = 0.06  # seconds in which the page paints a gallery, before the mAP of all queries is computed


def explore(dataset: Any = "toytown", backbone: str = "toynet", *, shown: int = SHOWN, **options: Any) -> Explorer:
    """Extract what is missing, then show the explorer.

    Parameters
    ----------
    dataset, backbone, options : as for `cbirlab.pipeline.Session`.
    shown : pictures in the gallery.
    """
    from cbirlab.session import Session

    return Explorer(Session(dataset, backbone, **options), shown=shown)


class Explorer(WithStill, widgets.VBox):
    """A live panel on one session.

    Parameters
    ----------
    session : dataset and backbone; prepared here if it is not yet.
    state : what to start with; by default the deepest tap, GeM, PCA whitening.
    start : the same as plain values, each in place of a default, as of `LivePanel`.
    shown : pictures in the gallery.
    prefetch : make and send all thumbnails from a background thread, so that later rankings need no new picture.
    pause : seconds between a new gallery and its mAP, in which the page paints; 0 computes it at once.

    Attributes
    ----------
    state : tap, pooling, whitening, query; set it from Python and the panel follows.
    live : while False the gallery stands still; the newest state is drawn when it becomes True.
    """

    live = Bool(True)

    def __init__(
        self,
        session: Session,
        *,
        state: RetrievalState | None = None,
        start: Mapping[str, Any] | None = None,
        shown: int = SHOWN,
        prefetch: bool = True,
        pause: float = PAUSE,
    ) -> None:
        self._stop = threading.Event()
        session.prepare()
        session.learn_ahead()
        self.session, self.shown = session, shown
        self.state = state_of(state, start, usual_start(session, "pca"))
        if not session.dataset.queries and self.state.image is None:
            self.state.image = 0
        self.guard = Guard(self._show_error)
        offered = {"taps": session.taps, "aggregations": session.methods, "dimensions": session.dimensions}
        self.controls = RetrievalControls(self.state, **offered, on_error=self._show_error)
        self.thumbnails = Thumbnails.of_dataset(session.dataset)
        self._large = Thumbnails.of_dataset(session.dataset, side=280)
        self._build_views()
        self._update = Latest(self._draw, on_error=self._failed, afterwards=self._draw_numbers)
        super().__init__(self._arranged())
        self.add_class("cbirlab-panel")
        self._connect()
        self._update()
        self._update.pause = pause
        if prefetch and len(self.thumbnails) <= PREFETCH_AT_MOST:
            send_ahead(self.gallery, self._stop)

    def _build_views(self) -> None:
        self.strip = strip_of(self.session.dataset, self.thumbnails, on_error=self._show_error)
        self.gallery = Gallery(self.thumbnails, on_error=self._show_error)
        self.picture = widgets.HTML()
        self.metrics = widgets.HTML()
        self.note = widgets.HTML()
        self.error = widgets.HTML()
        self.code = widgets.HTML()
        self.results = Results("", (), (), ())
        self.comparison = Comparison(self._pinnable, on_error=self._show_error)

    def _arranged(self) -> list[Any]:
        side = [self.picture, *self.controls.widgets, self.metrics, self.note]
        left = widgets.VBox(side, layout={"flex": "0 0 320px"})
        right = widgets.VBox([self.gallery], layout={"flex": "1 1 360px", "min_width": "0", "overflow": "visible"})
        room = widgets.HBox([left, right], layout={"flex_flow": "row wrap", "overflow": "visible"})
        code = widgets.Accordion([self.code], titles=("The Python that gives this ranking",))
        return [self.strip, self.error, room, self.comparison, code]

    def _connect(self) -> None:
        self.guard.when_changed(self.state, self.state.trait_names(), self._ask)
        self.guard.observe(self, "live", self._ask)
        for gallery in (self.strip, self.gallery):
            self.guard.observe(gallery, "clicks", lambda gallery=gallery: self._picked(gallery.picked))

    def _ask(self) -> None:
        if self.live:
            self._update()

    def _picked(self, item: int) -> None:
        """A picture was clicked: a query of the strip, or a result that becomes the query."""
        images = len(self.session.dataset.images)
        with self.state.hold_trait_notifications():
            if item >= images:
                self.state.query, self.state.image = item - images, None
            else:
                self.state.image = item

    def _draw(self) -> None:
        setting, query, image = self.state.setting, self.state.query, self.state.image
        if not self.session.ready(*setting):
            self.error.value = ""
            self.note.value = views.waiting(f"Computing {setting.aggregation} at {setting.tap}, this once ...")
        if image is None:
            ranking = self.session.rank_query(query, *setting)
            self.results = results_of_query(self.session.dataset, ranking, query, shown=self.shown)
        else:
            ranking = self.session.rank_image(image, *setting)
            self.results = results_of_image(self.session.dataset, ranking, image, shown=self.shown)
        self.results.show_in(self.gallery)
        item = query + len(self.session.dataset.images) if image is None else image
        self.strip.current = item
        self.picture.value = f"<img alt='{escape(self.results.query)}' src='{data_uri(self._large[item])}'>"
        self.error.value = ""

    def _draw_numbers(self) -> None:
        """What needs all queries ranked, and what is read rather than seen."""
        run = self.session.rank(*self.state.setting)
        self.metrics.value = views.metrics_table(run.metrics)
        self.code.value = views.code_block(to_python(run.recipe))
        if self.state.image is None and run.evaluation is not None:
            values = {level: float(ap[self.state.query]) for level, ap in run.evaluation.per_query.items()}
            self.note.value = views.query_note(values)
        else:
            self.note.value = "" if self.state.image is None else views.note(self._remark_on_image(self.state.image))

    def _remark_on_image(self, image: int) -> str:
        known = bool(self.session.dataset.instances and self.session.dataset.instances[image])
        judged = "frames compare instances" if known else "no result is marked"
        return (
            f"A database image is the query. The protocol has no ground truth for it, so it has no AP and {judged}; "
            "the mAP above is still that of all benchmark queries. Pick a query in the strip to go back."
        )

    def _failed(self, error: Exception) -> None:
        self.note.value = ""
        self._show_error(error)

    def _show_error(self, error: Exception) -> None:
        self.error.value = views.error_box(error)

    def _pinnable(self) -> list[tuple[Mapping[str, Any], Evaluation | None]]:
        run = self.session.rank(*self.state.setting)
        return [(self.session.table_row(run), run.evaluation)]

    def to_python(self) -> str:
        """The plain call that gives the setting shown now, without any widget."""
        return to_python(self.session.rank(*self.state.setting).recipe)

    def still(self) -> bytes:
        """Gallery, setting and mAP as one JPEG, for readers without a kernel."""
        run = self.session.rank(*self.state.setting)
        notes = [
            f"{self.session.backbone} {self.state.setting.words}",
            views.metrics_line(run.metrics),
        ]
        pictures = [(self.thumbnails[row], kind) for row, kind in self.results.marked()]
        return jpeg_bytes(picture_sheet(pictures, title=self.results.title, notes=notes))

    def close(self) -> None:
        """Stop the background work, and free the panel with all that is in it."""
        if not self._stop.is_set():
            self.session.learn_no_more()
        self._stop.set()
        close_all(*self.children)
        super().close()
