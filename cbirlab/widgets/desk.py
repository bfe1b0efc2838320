"""The desk of a workbench: its widgets, how they are laid out, and what is taken home from it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Bool

from cbirlab.widgets import saved, views
from cbirlab.widgets.comparison import Comparison
from cbirlab.widgets.gallery import Thumbnails, close_all
from cbirlab.widgets.guard import Guard
from cbirlab.widgets.map import MapPanel
from cbirlab.widgets.question import Question
from cbirlab.widgets.region import QueryPicture
from cbirlab.widgets.reproduce import screen_as_commands, screen_as_python
from cbirlab.widgets.results import strip_of
from cbirlab.widgets.sessions import Sessions, key_of
from cbirlab.widgets.sides import Side
from cbirlab.widgets.state import RetrievalState
from cbirlab.widgets.still import WithStill, jpeg_bytes, picture_sheet
from cbirlab.widgets.tasks import Work

if TYPE_CHECKING:
    from cbirlab.evaluation import Evaluation

PICTURE_SIDE = 320
NARROW, WIDE = "3 1 310px", "3 1 560px"  # room of one gallery beside the controls, and of two
WORDS = "The Python and the command line that give this"


class Desk(WithStill, widgets.VBox):
    """What a `Workbench` shows; it moves nothing by itself.

    Parameters
    ----------
    datasets : the menu above all.
    shown : pictures in a gallery.
    """

    compared = Bool(False)
    live = Bool(True)

    def __init__(self, datasets: widgets.Widget, shown: int) -> None:
        self.datasets, self.shown, self.guard = datasets, shown, Guard(self.show_error)
        super().__init__()
        self.add_class("cbirlab-panel")
        self.add_class("cbirlab-workbench")

    def furnish(self, sessions: Sessions, state: RetrievalState) -> None:
        """Lay out everything for one dataset.

        Parameters
        ----------
        sessions : of the dataset.
        state : the setting of A, and the query to start with.
        """
        self._stop = threading.Event()
        self.sessions, self.dataset, self.state = sessions, sessions.first.dataset, state
        self.question = Question(query=state.query, image=state.image)
        self.thumbnails = Thumbnails.of_dataset(self.dataset)
        self.large = Thumbnails(self.thumbnails.paths, side=PICTURE_SIDE)
        self.a, self.b = Side("A", sessions, self.thumbnails, state, on_error=self.show_error), None
        self._build()
        self.children = [self.datasets, *self._arranged()]

    def leave(self) -> list[Any]:
        """End the background work; all that `furnish` has laid out, to be closed when it is seen no more."""
        if not self._stop.is_set():
            self.sessions.leave()
        self._stop.set()
        sides = [side for side in (self.a, self.b) if side is not None]
        return [*self.children[1:], *(part for side in sides for part in (side.panel, side.column))]

    def _build(self) -> None:
        self.strip = strip_of(self.dataset, self.thumbnails, on_error=self.show_error)
        self.picture = QueryPicture(self.ask_own, self.show_error)
        self.metrics, self.note, self.tests, self.error, self.code = (widgets.HTML() for _ in range(5))
        self.work = Work(done=self.ask, failed=self.give_up, cancelled=self.go_back)
        self.map = MapPanel(self.a.session, self.thumbnails)
        self.compare = widgets.ToggleButton(description="Compare A | B", icon="columns")
        self.tabs = widgets.ToggleButtons(options=["A", "B"], description="settings of", style={"button_width": "60px"})
        self.clear = widgets.Button(description="Show all", icon="times", layout={"width": "auto"})
        self.selection = widgets.HTML()
        self.comparison = Comparison(self._pinnable, on_error=self.show_error)
        self.downloads = saved.buttons(self)

    def _arranged(self) -> list[Any]:
        self.controls_box = widgets.VBox([self.a.panel])
        side = [self.picture, self.compare, self.tabs, self.controls_box, self.metrics, self.note]
        left = widgets.VBox(side, layout={"flex": "0 0 304px", "padding": "0 8px 0 0"})
        self.selected_box = widgets.HBox([self.selection, self.clear], layout={"align_items": "center"})
        self.columns = widgets.HBox([self.a.column], layout={"overflow": "visible", "grid_gap": "14px"})
        wide = {"min_width": "0", "overflow": "visible"}
        self.centre = widgets.VBox([self.selected_box, self.tests, self.columns], layout={"flex": NARROW, **wide})
        right = widgets.VBox([self.map], layout={"flex": "2 1 360px", **wide})
        room = widgets.HBox([left, self.centre, right], layout={"flex_flow": "row wrap", "overflow": "visible"})
        code = widgets.Accordion([self.code], titles=(WORDS,))
        return [self.strip, self.error, self.work, room, self.comparison, self.downloads, code]

    def ask(self) -> None:
        """Draw what is asked now."""
        raise NotImplementedError

    def ask_own(self, name: str, data: bytes) -> None:
        """Make a picture from outside the query, from the bytes of its file."""
        raise NotImplementedError

    def side_b(self) -> Side:
        """B, which begins as A is."""
        raise NotImplementedError

    def go_back(self) -> None:
        """Return to what was shown before something slow was asked for."""
        raise NotImplementedError

    def give_up(self, error: Exception) -> None:
        """Something slow failed: a backbone that cannot be had is not chosen any more, and the panel says why."""
        for side in self.sides:
            side.backbone.value = key_of(side.session)
        self.show_error(error)

    @property
    def sides(self) -> list[Side]:
        """What is shown: A, or A and B."""
        return [self.a, self.b] if self.compared and self.b else [self.a]

    @property
    def active(self) -> Side:
        """The side whose controls and map are shown."""
        return self.sides[-1] if self.tabs.value == "B" else self.a

    def show_error(self, error: Exception) -> None:
        """Show an error in the panel, where it is seen."""
        self.error.value = views.error_box(error)

    # What is taken home

    def _pinnable(self) -> list[tuple[Mapping[str, Any], Evaluation | None]]:
        for side in self.sides:
            if not side.ready():
                raise ValueError(f"{side.title} is still being computed; pin it when its gallery is there.")
        runs = [(side, side.run()) for side in self.sides]
        return [(side.session.table_row(run), run.evaluation) for side, run in runs]

    def to_python(self) -> str:
        """The plain calls that give what is shown now, without any widget."""
        return screen_as_python({side.name: side.run().recipe for side in self.sides}, self.question, self.shown)

    def to_commands(self) -> str:
        """The command lines that print the numbers shown now."""
        return screen_as_commands({side.name: side.run().recipe for side in self.sides})

    def to_json(self) -> dict[str, Any]:
        """Question, settings and pinned rows as plain data."""
        return saved.to_json(self)

    def from_json(self, state: Mapping[str, Any]) -> None:
        """Take over what `to_json` kept, of the same dataset.

        Raises
        ------
        ValueError : something else, or of another dataset.
        """
        saved.take_over(self, state)

    def save(self, path: str | Path) -> Path:
        """Write the state to a file, for `restore`."""
        return saved.write(self, path)

    def still(self) -> bytes:
        """The gallery, the setting and its mAP as one JPEG, for readers without a kernel."""
        pictures = [(self.thumbnails[row], kind) for row, kind in self.a.results.marked()] if self.a.results else []
        metrics = self.a.run().metrics if self.a.ready() else {}
        notes = [self.a.title, views.metrics_line(metrics)]
        title = self.a.results.title if self.a.results else ""
        return jpeg_bytes(picture_sheet(pictures, title=title, notes=notes))

    def close(self) -> None:
        """End the background work, and free the panel with all that is in it."""
        close_all(*self.leave(), self.datasets)
        super().close()
