"""The workbench: the explorer plus a second setting, a map, other datasets, and a file that keeps everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Bool

from cbirlab.pipeline.search import NO_ROW
from cbirlab.widgets.panels import saved
from cbirlab.widgets.panels.changes import differences
from cbirlab.widgets.panels.explorer import PAUSE, SHOWN, Explorer
from cbirlab.widgets.panels.sessions import Sessions, backbone_options, on_dataset
from cbirlab.widgets.panels.setting_side import Side, difference
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.dataset_menu import DatasetMenu
from cbirlab.widgets.parts.gallery import close_all
from cbirlab.widgets.parts.map_panel import MapPanel
from cbirlab.widgets.parts.reproduce import screen_as_commands, screen_as_python
from cbirlab.widgets.parts.results import count_rows, show_in_strip
from cbirlab.widgets.parts.splitter import beside
from cbirlab.widgets.parts.state import RetrievalState, usual_start
from cbirlab.widgets.parts.tooltips import tooltip
from cbirlab.widgets.parts.view_bar import ViewBar

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.live import Session
    from cbirlab.pipeline import Recipe, Run

NARROW, WIDE = "3 1 310px", "3 1 560px"  # room for one gallery next to the controls, and for two
CHANGES = "On B: ▲ and ▼ are places moved since A, new (its place in A). On A: gone (its place in B)."


class Workbench(Explorer):
    """Query, controls, ranked gallery, map and numbers of one dataset; two settings side by side; pinned settings.

    >>> Workbench("toytown")

    Parameters
    ----------
    dataset : a name, a folder, a loaded dataset, or a session.
    backbone : a name in `BACKBONES`, unless a session is given.
    backbones : those on offer, names or names with their weights; by default those whose weights are on this machine.
    state, start, shown, prefetch, pause : as in `Explorer`.
    options : options of `Session`: `weights`, `store`, `image_size`, ...

    Attributes
    ----------
    state : the setting of A and the query; set it from Python and the panel follows.
    a, b : the two sides; b is None until it is first asked for.
    compared : whether B is shown next to A.
    only : database rows chosen on the map; if there are any, the galleries show no others.
    """

    compared = Bool(False)
    code_title, left_flex = "The Python and the command line that give this", "0 0 304px"

    def __init__(
        self,
        dataset: str | Path | Dataset | Session = "toytown",
        backbone: str | None = None,
        *,
        backbones: Any = None,
        state: RetrievalState | None = None,
        start: Mapping[str, Any] | None = None,
        shown: int = SHOWN,
        prefetch: bool = True,
        pause: float = PAUSE,
        **options: Any,
    ) -> None:
        if backbone is None and backbones:  # the first on offer
            backbone = next(iter(backbones))
        session = saved.session_of(dataset, backbone, options)
        self.datasets = DatasetMenu(
            session.common.dataset, session.dataset.name, lambda name: on_dataset(name, self.session), self.show
        )
        self.view = ViewBar(self.datasets, shown=shown)
        self.compare = self.view.compare
        given = {"state": state, "start": start, "shown": shown, "prefetch": prefetch, "pause": pause}
        super().__init__(session, backbones=backbones, **given)
        self.add_class("cbirlab-workbench")
        self.guard.observe(self, "compared", self._sides_changed)
        widgets.link((self, "compared"), (self.compare, "value"))
        self.guard.clicked(self.view.back, lambda: self._go(self.steps.back()))
        self.guard.clicked(self.view.forward, lambda: self._go(self.steps.forward()))
        self.guard.observe(
            self.view.find, "value", lambda: show_in_strip(self.strip, self.dataset, self.view.find.value)
        )
        for control in (self.view.side, self.view.count, self.view.settings, self.view.map):
            self.guard.observe(control, "value", self._look)

    def show(self, session: Session) -> None:
        """Show another dataset instead of this one, with a setting of its own; the backbones on offer stay."""
        with self.held():
            self.only, self.compared, self.view.find.value = (), False, ""
            leaving = [part for part in self._leave() if part is not self.view]
            self._renew()
            self._furnish(Sessions(session, self.sessions.weights), RetrievalState.of(usual_start(session, "pca")))
            self.datasets.take(session.common.dataset, session.dataset.name)
        close_all(*leaving)

    def _build(self) -> None:
        super()._build()
        self.b: Side | None = None
        self.map = MapPanel(self.session, self.thumbnails)
        looks = {"tooltip": tooltip("settings of"), "style": {"button_width": "60px"}}
        self.tabs = widgets.ToggleButtons(options=["A", "B"], description="settings of", **looks)
        self.clear = widgets.Button(description="Show all", icon="times", layout={"width": "auto"})
        self.selection, self.tests = widgets.HTML(), widgets.HTML()
        self.controls_box = widgets.VBox()
        self.columns = widgets.HBox(layout={"overflow": "visible", "grid_gap": "14px"}).add_class("cbirlab-columns")
        self.downloads = saved.buttons(self)

    def _arranged(self) -> list[Any]:
        *above, code = super()._arranged()
        return [self.view, *above, self.downloads, code]

    def _left(self) -> list[Any]:
        return [self.picture, self.tabs, self.controls_box, self.metrics, self.note]

    def _seen(self) -> list[Any]:
        self.selected_box = widgets.HBox([self.selection, self.clear], layout={"align_items": "center"})
        wide = {"min_width": "0", "overflow": "visible"}
        self.centre = widgets.VBox([self.selected_box, self.tests, self.columns], layout={"flex": NARROW, **wide})
        self.beside = widgets.VBox([self.map], layout={"flex": "2 1 360px", **wide})
        return [beside("settings"), self.centre, beside("map"), self.beside]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.tabs, "value", self._sides_changed)
        self.guard.observe(self.map.scatter, "clicks", lambda: self.pick(self.map.scatter.picked))
        self.guard.observe(self.map, "chosen", self._choose)
        self.guard.clicked(self.clear, self.map.keep_all)
        self.guard.clicked(self.map.exports.ask, self._ask_chosen)
        self._look()
        self.sessions.told.append(self.offer_more)
        self._arrange_sides()

    def side_b(self) -> Side:
        """Side B, which begins as a copy of A."""
        if self.b is None:
            self.b = self._side("B", RetrievalState.of(self.state.to_json()), self.session)
            self.b.gallery.side = self.view.side.value
        return self.b

    def offer_more(self) -> None:
        """Let the menus hold what has come on offer."""
        for side in filter(None, (self.a, self.b)):
            side.backbone.offer(*backbone_options(self.sessions.names))

    def _arrange_sides(self) -> None:
        if self.compared:
            self.side_b()
        self.tabs.layout.display = None if self.compared else "none"
        self.metrics.layout.display = "none" if self.compared else None
        self.centre.layout.flex = WIDE if self.compared else NARROW
        self.controls_box.children = [self.active.panel]
        self.columns.children = [side.column for side in self.sides]

    def _sides_changed(self) -> None:
        self._arrange_sides()
        self.ask()

    def _look(self) -> None:
        """Follow the bar: sizes, counts, and what is folded away."""
        for side in filter(None, (self.a, self.b)):
            side.gallery.side = self.view.side.value
        for pane, wanted in ((self.left, self.view.settings.value), (self.beside, self.view.map.value)):
            pane.layout.display = None if wanted else "none"
        if self.shown != self.view.count.value:
            self.shown = self.view.count.value
            self.ask()

    def _go(self, state: Any) -> None:
        """Show what was shown at another step."""
        if state is None:
            return
        with self.held():
            self.question.take(state["question"])
            self.compared = "B" in state["sides"]
            for side in self.sides:
                side.take_over(state["sides"][side.name])

    def _choose(self) -> None:
        """React to pictures being chosen on the map, or to the choice being cleared."""
        kept = self.map.colours.kept
        self.only = tuple(self._chosen_rows()) or (() if kept is None else (NO_ROW,))

    def _ask_chosen(self) -> None:
        """Make the chosen images the query, which finds others: so nothing is chosen any more."""
        rows = self._chosen_rows()
        with self.held():
            self.map.keep_all()
            self.question.ask(images=rows)

    def _chosen_rows(self) -> list[int]:
        return [item for item in self.map.chosen_items() if item < len(self.dataset.images)]

    def _draw(self) -> None:
        self.map.ask(self.question.trait_values(), lambda: self.question.kinds(self.dataset))
        super()._draw()

    @property
    def sides(self) -> list[Side]:
        """The sides on show: A, or A and B."""
        return [self.a, self.b] if self.compared and self.b else [self.a]

    @property
    def active(self) -> Side:
        """The side whose controls and map are shown."""
        return self.sides[-1] if self.tabs.value == "B" else self.a

    def _show_galleries(self, found: Sequence[Side]) -> None:
        if not self.compared:
            super()._show_galleries(found)
        else:
            notes = differences(self.a, self.sides[-1], self.question.own_rows(self.dataset)) if len(found) > 1 else {}
            for side in self.sides:
                side.show(notes.get(side.name, ()))
        chosen = count_rows(self.only)
        self.selection.value = views.note(f"{chosen} images are chosen on the map; the others are left out.")
        self.selected_box.layout.display = None if self.only else "none"

    def _show_numbers(self, runs: Mapping[str, Run]) -> None:
        for side in self.sides:
            side.head(runs.get(side.name), compared=self.compared)
        if len(runs) < 2:
            self.tests.value = views.note(CHANGES) if self.compared else ""
        super()._show_numbers(runs)
        if (side := self.active).name in runs and side.results:
            item = self.question.item(self.dataset)
            self.map.show(*side.session.vectors(*side.setting), highlight=list(side.results.rows), current=item)

    def _test(self) -> Callable[[], None] | None:
        runs, _ = self._untested
        if len(runs) < 2:
            return super()._test()
        tested = views.paired_table(*difference(runs["A"], runs["B"])) + views.note(CHANGES)
        return lambda: self.tests.set_trait("value", tested)

    def _draw_rest(self) -> None:
        super()._draw_rest()
        self.view.back.disabled, self.view.forward.disabled = (not way for way in self.steps.ways)

    def _texts(self, recipes: Mapping[str, Recipe]) -> list[str]:
        return [screen_as_python(recipes, self.question, self.shown), screen_as_commands(recipes)]

    def _leave(self) -> list[Any]:
        sides = [side for side in (self.a, self.b) if side is not None]  # only one of them is shown
        return [*super()._leave(), *(part for side in sides for part in (side.panel, side.column))]

    # A file that keeps it all

    def to_json(self) -> dict[str, Any]:
        """Question, settings and pinned rows as plain data."""
        return saved.state_of(self)

    def from_json(self, state: Mapping[str, Any]) -> None:
        """Take over what `to_json` kept, for the same dataset.

        Raises
        ------
        ValueError : something else, or a state of another dataset.
        """
        saved.bring_back(self, state)

    def save(self, path: str | Path) -> Path:
        """Write the state to a file, for `restore`."""
        return saved.write(self.to_json(), path)

    def save_page(self, path: str | Path, **options: Any) -> Path:
        """Write a page that needs no kernel and opens on what is shown, as far as it is of A's backbone.

        Parameters
        ----------
        options : those of `cbirlab.widgets.shared_page.save_page`, which says what is raised.
        """
        return saved.write_page(self, path, options)

    @classmethod
    def restore(cls, path: str | Path, dataset: Any = None, **options: Any) -> Workbench:
        """Open the workbench that was saved.

        Parameters
        ----------
        dataset : used instead of the saved name or folder.
        options : as in the class.

        Raises
        ------
        ValueError : the file holds something else.
        """
        state = saved.read(path)
        workbench = cls(saved.session_in(state, options, dataset), **options)
        workbench.from_json(state)
        return workbench
