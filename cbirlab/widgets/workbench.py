"""The workbench: one question, one or two settings, their galleries, a map and the numbers, all linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Tuple

from cbirlab import images
from cbirlab.widgets import saved, views
from cbirlab.widgets.dataset_menu import DatasetMenu
from cbirlab.widgets.desk import NARROW, PICTURE_SIDE, WIDE, Desk
from cbirlab.widgets.gallery import close_all, send_ahead
from cbirlab.widgets.panel import PAUSE, PREFETCH_AT_MOST, SHOWN
from cbirlab.widgets.question import OwnPicture
from cbirlab.widgets.reproduce import screen_as_commands, screen_as_python
from cbirlab.widgets.sessions import Sessions
from cbirlab.widgets.sides import Side, difference, gone, make_ready, moved
from cbirlab.widgets.state import RetrievalState, state_of, usual_start
from cbirlab.widgets.tasks import Latest

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.pipeline import Run
    from cbirlab.session import Session

SETTING = ("tap", "attention", "aggregation", "parameters", "whitening", "dimensions", "stages")
CHANGES = "On B: ▲ and ▼ are places moved since A, new (its place in A). On A: gone (its place in B)."


class Workbench(Desk):
    """Query, controls, ranked gallery, map and numbers of one dataset; two settings side by side; pinned settings.

    >>> Workbench("toytown")

    Parameters
    ----------
    dataset : a name, a folder, a loaded dataset, or a session.
    backbone : a name in `BACKBONES`, where no session is given.
    backbones : those on offer, names or names with their weights; by default those whose weights are on this machine.
    state : what A starts with; by default the deepest tap, GeM, PCA whitening.
    start : the same as plain values, each in place of a default, as of `LivePanel`.
    shown : pictures in a gallery.
    prefetch : make and send all thumbnails from a background thread, so that later rankings need no new picture.
    pause : seconds between a new gallery and its numbers, in which the page paints; 0 computes them at once.
    options : of `Session`: `weights`, `store`, `image_size`, ...

    Attributes
    ----------
    state : the setting of A and the query; set it from Python and the panel follows.
    question : what is asked; also pictures from outside and parts of pictures.
    a, b : the two sides; b is None until it was asked for.
    compared : whether B is shown beside A.
    only : database rows chosen on the map; while there are any, the galleries show no others.
    live : while False nothing moves; the newest state is drawn when it becomes True.
    """

    only = Tuple()

    def __init__(
        self,
        dataset: str | Path | Dataset | Session = "toytown",
        backbone: str = "toynet",
        *,
        backbones: Any = None,
        state: RetrievalState | None = None,
        start: Mapping[str, Any] | None = None,
        shown: int = SHOWN,
        prefetch: bool = True,
        pause: float = PAUSE,
        **options: Any,
    ) -> None:
        session = saved.session_of(dataset, backbone, options)
        session.prepare()
        self._pause, self._prefetch = pause, prefetch
        menu = DatasetMenu(session.common.dataset, session.dataset.name, self._session_on, self.show)
        super().__init__(menu, shown)
        self._begin(session, backbones, state_of(state, start, usual_start(session, "pca")))
        self.guard.observe(self, ["live", "only"], self.ask)
        self.guard.observe(self, "compared", self._arrange_sides)

    def show(self, session: Session) -> None:
        """Show another dataset in place of this one, with a setting of its own; the backbones on offer stay."""
        live, self.live = self.live, False  # nothing is drawn on the way
        self.only, self.compared = (), False
        self._compared.unlink()
        leaving = self.leave()
        self._begin(session, self.sessions.weights, RetrievalState.of(usual_start(session, "pca")))
        self.live = live
        close_all(*leaving)

    def _begin(self, session: Session, backbones: Any, state: RetrievalState) -> None:
        session.learn_ahead()
        if not session.dataset.queries and state.image is None:
            state.image = 0
        self.furnish(Sessions(session, backbones), state)
        self._update = Latest(self._draw, on_error=self._failed, afterwards=self._draw_numbers)
        self._connect()
        self.ask()
        self._update.pause = self._pause
        if self._prefetch and len(self.thumbnails) <= PREFETCH_AT_MOST:
            send_ahead(self.strip, self._stop)

    def _session_on(self, dataset: str) -> Session:
        """A session of another dataset with the backbone that is shown now."""
        from cbirlab.session import Session

        shown = self.a.session
        return Session(dataset, shown.backbone, shown.common.weights, store=shown.store, device=shown.device)

    # How it is linked

    def _connect(self) -> None:
        self._connect_side(self.a)
        self.guard.observe(self.state, ["query", "image"], self._state_asks)
        self.guard.when_changed(self.question, ["query", "image", "own", "box"], self.ask)
        self._compared = widgets.link((self, "compared"), (self.compare, "value"))
        self.guard.observe(self.tabs, "value", self._arrange_sides)
        for shown in (self.strip, self.map.scatter):
            self.guard.observe(shown, "clicks", lambda shown=shown: self.pick(shown.picked))
        self.guard.observe(self.map.scatter, "selected", lambda: self._choose(self.map.scatter.selected))
        self.guard.clicked(self.clear, lambda: self._choose(()))
        self.guard.observe(self.picture, "asked", lambda: self._region_drawn(self.picture.asked["box"]))
        self._arrange_sides()

    def _connect_side(self, side: Side) -> None:
        self.guard.when_changed(side.state, SETTING, self.ask)
        self.guard.observe(side.backbone, "value", self.ask)
        self.guard.observe(side.gallery, "clicks", lambda: self.pick(side.gallery.picked))

    def side_b(self) -> Side:
        """B, which begins as A is."""
        if self.b is None:
            state = RetrievalState.of(self.state.to_json())
            self.b = Side("B", self.sessions, self.thumbnails, state, session=self.a.session, on_error=self.show_error)
            self._connect_side(self.b)
        return self.b

    def _arrange_sides(self) -> None:
        if self.compared:
            self.side_b()
        self.tabs.layout.display = None if self.compared else "none"
        self.metrics.layout.display = "none" if self.compared else None
        self.centre.layout.flex = WIDE if self.compared else NARROW
        self.controls_box.children = [self.active.panel]
        self.columns.children = [side.column for side in self.sides]
        self.ask()

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
        own = OwnPicture(name, data)
        try:
            own.image  # noqa: B018  raises where it is no picture
        except images.ImageError as error:
            self.show_error(error)
            return
        self.question.ask(own=own)

    def _region_drawn(self, box: Sequence[float]) -> None:
        """Take over the rectangle that was drawn on the query, or cleared; a picture that cannot be read takes none."""
        if self._unreadable:
            return
        height, width = images.size(self.question.picture(self.dataset))
        if box:
            x0, y0, x1, y1 = (round(edge * side) for edge, side in zip(box, (width, height) * 2, strict=True))
            self.question.box = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
        else:
            self.question.box = None

    def _state_asks(self) -> None:
        """`state` names another query: it was set from Python."""
        if (self.state.query, self.state.image) != (self.question.query, self.question.image):
            self.question.ask(query=self.state.query, image=self.state.image)

    def _choose(self, items: Any) -> None:
        """Pictures were chosen on the map, or none any more."""
        if not items:
            self.map.scatter.selected = ()
        self.only = tuple(sorted(int(item) for item in items if item < len(self.dataset.images)))

    def ask(self) -> None:
        """Draw what is asked now, unless the panel is held."""
        if self.live:
            self._update()

    # What is shown

    def _draw(self) -> None:
        with self.state.hold_trait_notifications():
            self.state.query, self.state.image = self.question.query, self.question.image
        slow = [side for side in self.sides if not (side.adopt() and side.ready())]
        waiting = bool(slow) or (self.question.outside and self.work.busy)
        for side in self.sides:
            if not waiting or (side not in slow and not self.question.outside):
                side.find(self.question, shown=self.shown, only=self.only)
        self._show(compared=len(self.sides) > 1 and not slow)
        if slow:
            titles = " and ".join(side.title for side in slow)
            keys = tuple(side.key for side in slow)
            self.work.start(keys, f"Computing {titles}, this once", lambda: make_ready(slow))
        elif self.work.busy:
            self.work.drop()
        self.error.value = ""

    def _show(self, *, compared: bool) -> None:
        notes: dict[str, list[str]] = {}
        if compared and self.b and self.b.ranking and self.a.ranking and self.a.results and self.b.results:
            own = self.question.own_row(self.dataset)
            notes["A"] = gone(self.a.results, self.b.results, self.b.ranking, own)
            notes["B"] = moved(self.b.results, self.a.results, self.a.ranking, own)
        for side in self.sides:
            side.show(notes.get(side.name, ()), compared=self.compared)
        item = self.question.item(self.dataset)
        self.strip.current = -1 if item is None else item
        self.selection.value = views.note(f"{len(self.only)} images are chosen on the map; the others are left out.")
        self.selected_box.layout.display = None if self.only else "none"
        self._show_picture(item)

    @property
    def _unreadable(self) -> str:
        """Why the query's picture cannot be read; empty where it can."""
        return self.question.unreadable(self.a.session)

    def _show_picture(self, item: int | None) -> None:
        if item is not None and self._unreadable:
            words = f"{self.question.words}, which cannot be read"
            self.picture.show(self.large[item], description=words, given=None, box=None)
            return
        picture = self.question.picture(self.dataset)
        height, width = images.size(picture)
        jpeg = images.thumbnail(picture, PICTURE_SIDE) if item is None else self.large[item]
        boxes = [
            box and (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
            for box in (self.question.given(self.dataset), self.question.box)
        ]
        self.picture.show(jpeg, description=self.question.words, given=boxes[0], box=boxes[1])

    def _draw_numbers(self) -> None:
        """What needs all queries ranked, and what is read rather than seen."""
        ready = [side for side in self.sides if side.ready()]
        runs = {side.name: side.run() for side in ready}
        for side in self.sides:
            side.head(runs.get(side.name), compared=self.compared)
        self._show_tests(runs)
        recipes = {name: run.recipe for name, run in runs.items()}
        blocks = [screen_as_python(recipes, self.question, self.shown), screen_as_commands(recipes)] if runs else []
        self.code.value = "".join(views.code_block(text) for text in blocks)
        side = self.active
        if side in ready and side.results:
            item = self.question.item(self.dataset)
            self.map.show(*side.session.vectors(*side.setting), highlight=list(side.results.rows), current=item)

    def _show_tests(self, runs: Mapping[str, Run]) -> None:
        """mAP of one side, or how two sides differ; and the AP of the query."""
        if "A" in runs:
            self.metrics.value = views.metrics_table(runs["A"].metrics)
        tested = views.paired_table(*difference(runs["A"], runs["B"])) if len(runs) > 1 else ""
        self.tests.value = tested + (views.note(CHANGES) if self.compared else "")
        aps = {name: self._aps(run) for name, run in runs.items()}
        remark = self.question.remark(self.dataset)
        if self._unreadable:
            remark = f"{self._unreadable} So it has no descriptor and finds nothing; pick another picture."
        notes = [views.query_note(values, side=name if self.compared else "") for name, values in aps.items()]
        self.note.value = views.note(remark) if remark else "".join(notes)

    def _aps(self, run: Run) -> dict[str, float]:
        levels = run.evaluation.per_query if run.evaluation is not None else {}
        return {level: float(ap[self.question.query]) for level, ap in levels.items()}

    def go_back(self) -> None:
        """The user does not want to wait: back to what was shown."""
        for side in self.sides:
            if not side.ready():
                side.go_back()

    def _failed(self, error: Exception) -> None:
        self.note.value = ""
        self.show_error(error)

    @classmethod
    def restore(cls, path: str | Path, dataset: Any = None, **options: Any) -> Workbench:
        """The workbench that was saved.

        Parameters
        ----------
        dataset : in place of the name or the folder that was saved.
        options : of the class.

        Raises
        ------
        ValueError : the file holds something else.
        """
        state = saved.read(path)
        workbench = cls(saved.session_in(state, options, dataset), **options)
        workbench.from_json(state)
        return workbench
