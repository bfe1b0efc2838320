"""The explorer: one question, one setting, its ranked gallery and the numbers, all linked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Tuple

from cbirlab.widgets.panels.base_panel import Panel
from cbirlab.widgets.panels.changes import found_by, leads, moves
from cbirlab.widgets.panels.sessions import Sessions, key_of
from cbirlab.widgets.panels.setting_side import Side, make_ready, pinnable
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.comparison import Comparison
from cbirlab.widgets.parts.gallery import Thumbnails, send_ahead
from cbirlab.widgets.parts.metric_bars import MetricBars
from cbirlab.widgets.parts.query_picture import QueryPicture
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.reproduce import screen_as_commands, screen_as_python
from cbirlab.widgets.parts.results import strip_of
from cbirlab.widgets.parts.snapshot import picture_sheet
from cbirlab.widgets.parts.state import RetrievalState, state_of, usual_start
from cbirlab.widgets.parts.steps import Steps
from cbirlab.widgets.parts.tasks import Stop

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.pipeline import Recipe, Run

SHOWN = 24
PREFETCH_AT_MOST = 3000
PAUSE = 0.06  # seconds in which the page paints a gallery, before the mAP of all queries is computed
SETTING = ("tap", "attention", "aggregation", "parameters", "whitening", "dimensions", "stages")


def explore(dataset: Any = "toytown", backbone: str | None = None, *, shown: int = SHOWN, **options: Any) -> Explorer:
    """Extract what is missing, then show the explorer.

    Parameters
    ----------
    dataset, backbone, options : as in `cbirlab.live.session.Session`.
    shown : pictures in the gallery.
    """
    from cbirlab.live import Session

    return Explorer(Session(dataset, backbone, **options), shown=shown)


class Explorer(Panel):
    """Query, controls, ranked gallery and numbers of one setting; pinned settings.

    Parameters
    ----------
    session : dataset and backbone; prepared here if it is not yet.
    state : what to start with; by default the deepest tap, GeM, PCA whitening.
    start : the same as plain values, each replacing a default, as in `SettingPanel`.
    shown : pictures in a gallery.
    prefetch : make and send all thumbnails from a background thread, so that later rankings need no new picture.
    pause : seconds between a new gallery and its numbers, in which the page paints; 0 computes them at once.
    backbones : further backbones on offer, as in `Sessions`.

    Attributes
    ----------
    state : the setting and the query; set it from Python and the panel follows.
    question : the query as the user asks it; also pictures from outside and parts of pictures.
    a : the setting's side: its session, controls, gallery and results.
    steps : what was shown, and what of it one can go back to.
    only : database rows; if there are any, the gallery shows no others.
    """

    only = Tuple()
    code_title, left_flex = "The Python that gives this ranking", "0 0 328px"

    def __init__(
        self,
        session: Session,
        *,
        state: RetrievalState | None = None,
        start: Mapping[str, Any] | None = None,
        shown: int = SHOWN,
        prefetch: bool = True,
        pause: float = PAUSE,
        backbones: Any = (),
    ) -> None:
        session.prepare()
        super().__init__(pause)
        self.shown, self._pause, self._prefetch = shown, pause, prefetch
        self._furnish(Sessions(session, backbones), state_of(state, start, usual_start(session, "pca")))
        self.guard.observe(self, "only", self.ask)

    def _furnish(self, sessions: Sessions, state: RetrievalState) -> None:
        """Lay out everything for one dataset, and draw it.

        Parameters
        ----------
        sessions : the sessions of the dataset.
        state : the setting, and the query to start with.
        """
        sessions.first.learn_ahead()
        self.sessions, self.dataset, self.state, self._stop = sessions, sessions.first.dataset, state, Stop()
        if not self.dataset.queries and state.image is None:
            state.image = 0
        self.question = Question(query=state.query, image=state.image)
        self.thumbnails, self.steps = Thumbnails.of_dataset(self.dataset), Steps()
        self.a = self._side("A", state, sessions.first)
        self._build()
        self.children = self._arranged()
        self._connect()
        self._update.pause = 0.0  # the first numbers appear together with the panel
        self.ask()
        self._update.pause = self._pause
        if self._prefetch and len(self.thumbnails) <= PREFETCH_AT_MOST:
            send_ahead(self.strip, self._stop)

    def _side(self, name: str, state: RetrievalState, session: Session) -> Side:
        side = Side(name, self.sessions, self.thumbnails, state, session=session, on_error=self.show_error)
        self.guard.when_changed(state, SETTING, self.ask)
        self.guard.observe(side.backbone, "value", self.ask)
        self.guard.observe(side.gallery, "clicks", lambda: self.pick(side.gallery.picked))
        return side

    def _build(self) -> None:
        self.strip = strip_of(self.dataset, self.thumbnails, on_error=self.show_error)
        self.picture = QueryPicture(self.dataset, self.thumbnails, self.ask_own, self.show_error)
        self.comparison = Comparison(lambda: pinnable(self.sides), on_error=self.show_error)
        self.metrics, self.code = MetricBars(self.comparison), widgets.HTML()

    def _arranged(self) -> list[Any]:
        self.left = widgets.VBox(self._left(), layout={"flex": self.left_flex, "padding": "0 8px 0 0"})
        room = widgets.HBox([self.left, *self._seen()], layout={"flex_flow": "row wrap", "overflow": "visible"})
        code = widgets.Accordion([self.code], titles=(self.code_title,))
        return [self.strip, self.error, self.work, room, self.comparison, code]

    def _left(self) -> list[Any]:
        return [self.picture, self.a.panel, self.metrics, self.note]

    def _seen(self) -> list[Any]:
        self.a.column.layout.flex = "1 1 360px"
        return [self.a.column]

    def _connect(self) -> None:
        self.guard.observe(self.state, ["query", "image"], self._state_asks)
        self.guard.when_changed(self.question, ["query", "image", "images", "own", "box"], self.ask)
        self.guard.observe(self.strip, "clicks", lambda: self.pick(self.strip.picked))
        self.guard.observe(self.picture, "asked", lambda: self._region_drawn(self.picture.asked["box"]))

    # What is shown

    @property
    def sides(self) -> list[Side]:
        """The sides on show."""
        return [self.a]

    session = property(lambda self: self.a.session, doc="Of the backbone that is shown.")
    controls = property(lambda self: self.a.controls, doc="Of the setting.")
    gallery = property(lambda self: self.a.gallery, doc="The ranked pictures.")
    results = property(lambda self: self.a.results, doc="What these are; None before anything was found.")

    # What is asked

    def pick(self, item: int) -> None:
        """Make a picture the query: a query of the protocol or a database image, by the id of its thumbnail."""
        rows = len(self.dataset.images)
        if item >= rows:
            self.question.ask(query=item - rows)
        else:
            self.question.ask(image=item)

    def ask_own(self, name: str, data: bytes) -> None:
        """Make a picture from outside the query, from the bytes of its file."""
        self.guard.run(self.question.ask_own, name, data)

    def _region_drawn(self, box: Sequence[float]) -> None:
        """Take over a rectangle that was drawn on the query or cleared; ignore one on a picture that cannot be read."""
        if not self._unreadable:
            self.question.ask_part(self.dataset, box)

    def _state_asks(self) -> None:
        """`state` names another query, because it was set from Python."""
        if (self.state.query, self.state.image) != (self.question.query, self.question.image):
            self.question.ask(query=self.state.query, image=self.state.image)

    # How it is drawn

    def _draw(self) -> None:
        with self.state.hold_trait_notifications():
            self.state.query, self.state.image = self.question.query, self.question.image
        slow = [side for side in self.sides if not (side.adopt() and side.ready())]
        waiting = self.question.outside and (self.work.busy or bool(slow))  # the network has to see the picture first
        found = [side for side in self.sides if side not in slow and not waiting]
        for side in found:
            side.find(self.question, shown=self.shown, only=self.only)
        self._show_galleries(found)
        item = self.question.item(self.dataset)
        self.strip.current = -1 if item is None else item
        self.picture.show_question(self.question, self._unreadable)
        if slow or waiting:
            title = f"Computing {' and '.join(side.wish for side in slow)}, this once" if slow else "Waiting"
            self.work.start(tuple(side.key for side in slow), title, lambda: make_ready(slow))
        else:
            self.work.drop()

    @property
    def _asked(self) -> Any:
        return self.question.trait_values(), self.shown, self.only

    @property
    def _key(self) -> Any:
        """Tells what is shown from what was shown at other steps."""
        return self.question.trait_values(), [side.key for side in self.sides]

    @property
    def _state(self) -> dict[str, Any]:
        """The question and the setting of each side, as a step that one can go back to."""
        return {"question": self.question.trait_values(), "sides": {side.name: side.to_json() for side in self.sides}}

    def _show_galleries(self, found: Sequence[Side]) -> None:
        for side in found:
            own = self.question.own_rows(self.dataset)
            side.show(moves(side, self.steps.before(self._key), self._asked, own))

    @property
    def _unreadable(self) -> str:
        """Why the query's picture cannot be read; empty if it can."""
        return self.question.unreadable(self.session)

    def _draw_rest(self) -> None:
        """Draw what needs all queries ranked, and what is read rather than seen."""
        runs = {side.name: side.run() for side in self.sides if side.ready()}
        texts = self._texts({name: run.recipe for name, run in runs.items()}) if runs else []
        self.code.value = "".join(views.code_block(text) for text in texts)
        self._show_numbers(runs)
        if "A" in runs:
            self.steps.keep(self._key, self._state, found_by(self.a, self._asked, runs["A"]))

    def _texts(self, recipes: Mapping[str, Recipe]) -> list[str]:
        """The code that gives what is on screen, one text per block."""
        return [screen_as_python({"result": recipes["A"]}, self.question, self.shown)]

    def _show_numbers(self, runs: Mapping[str, Run]) -> None:
        """Show mAP, and the average precision of the query on every side, or why it has none."""
        self._untested = runs, self.steps.before(self._key) if len(self.sides) == 1 else None
        if "A" in runs:
            self.metrics.show(runs["A"], leads(runs["A"], self._untested[1], tests=False))
        if self._unreadable:
            remark = f"{self._unreadable} So it has no descriptor and finds nothing; pick another picture."
        else:
            remark = self.question.remark(self.dataset)
        several = len(self.sides) > 1
        notes = [views.query_note(self._aps(run), side=name if several else "") for name, run in runs.items()]
        self.note.value = views.note(remark) if remark else "".join(notes)

    def _test(self) -> Callable[[], None] | None:
        runs, before = self._untested
        found = leads(runs["A"], before) if "A" in runs else {}
        return (lambda: self.metrics.show(runs["A"], found)) if found else None

    def _aps(self, run: Run) -> dict[str, float]:
        levels = run.evaluation.per_query if run.evaluation is not None else {}
        return {level: float(ap[self.question.query]) for level, ap in levels.items()}

    def _give_up(self, error: Exception) -> None:
        """Deselect a backbone that cannot be loaded, and say why."""
        for side in self.sides:
            side.backbone.value = key_of(side.session)
        super()._give_up(error)

    def _cancelled(self) -> None:
        """Return to what was shown, because the user does not want to wait."""
        for side in self.sides:
            if not side.ready():
                side.go_back()

    # What is taken home

    def _recipes(self) -> dict[str, Recipe]:
        return {side.name: side.run().recipe for side in self.sides}

    def to_python(self) -> str:
        """Plain calls that give what is shown now, without any widget."""
        return self._texts(self._recipes())[0]

    def to_commands(self) -> str:
        """Command lines that print the numbers shown now."""
        return screen_as_commands(self._recipes())

    def _sheet(self) -> Any:
        metrics = self.a.run().metrics if self.a.ready() else {}
        notes = [self.a.title, views.metrics_line(metrics)]
        return picture_sheet(self.gallery.marked(), title=self.gallery.title, notes=notes)

    def _leave(self) -> list[Any]:
        self._stop.set()
        self.sessions.leave()
        return super()._leave()
