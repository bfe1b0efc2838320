"""The map panel: descriptors in the plane, by PCA at once, by UMAP or t-SNE when ready, and how far to trust them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from traitlets import Tuple

from cbirlab.base.progress import Listener
from cbirlab.projection import PROJECTIONS, Projection, cached, honesty, project, shared_neighbours
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.facts import Facts
from cbirlab.widgets.parts.gallery import Thumbnails, close_all
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.map_colours import MapColours, Marks
from cbirlab.widgets.parts.map_exports import MapExports, figure_of, paths_of
from cbirlab.widgets.parts.map_worth import honest_line
from cbirlab.widgets.parts.scatter import Scatter
from cbirlab.widgets.parts.tasks import Background, Stop
from cbirlab.widgets.parts.tooltips import titled, tooltip

if TYPE_CHECKING:
    from cbirlab.live import Session

PAUSE = 0.5  # seconds that a setting must stay the same before slow work begins
MOMENT = 0.04  # and before PCA begins: a moving slider asks twenty times a second
KEPT_MAPS = 24
STABILITY_AT_MOST = 3000  # images up to which a second map is made, only to see what another seed gives
FIRST_COMES_AT_ONCE = "pca"


class Wanted(NamedTuple):
    """What the panel is to show."""

    vectors: np.ndarray
    key: str
    method: str
    seed: int

    @property
    def name(self) -> tuple[str, str, int]:
        """The key under which its map is kept."""
        seeded = PROJECTIONS.info(self.method).facts["seeded"]
        return self.key, self.method, self.seed if seeded else 0


class MapPanel(widgets.VBox):
    """Pictures as points of a map, and how far to trust the map.

    Slow maps are made in a thread of their own. Meanwhile PCA stands in for them; a newer request ends an older one,
    and `Cancel` ends the present one. The store keeps finished maps. On UMAP and t-SNE only neighbourhoods mean
    something: the page turns them, and stretches them up to half, so that they fill their frame.

    Parameters
    ----------
    session : for the store, and the names of images and instances.
    thumbnails : as `Thumbnails.of_dataset` numbers them: row i of the vectors is picture i.
    method : first entry shown in the menu.
    pause : seconds that a setting must stay the same before a slow map is begun or a map is measured.

    Attributes
    ----------
    scatter : the map; others can link to its `picked`, `clicks` and `highlight`.
    colours : what colours the points, and which chips keep some of them.
    chosen : ids of the pictures that lasso and chips leave; None for all.
    exports : buttons for the chosen pictures and for figures.
    """

    chosen: tuple[int, ...] | None = Tuple(None, allow_none=True)  # pyright: ignore[reportAssignmentType]

    def __init__(
        self,
        session: Session,
        thumbnails: Thumbnails,
        *,
        method: str = "umap",
        pause: float = PAUSE,
        height: int = 420,
    ) -> None:
        self.session, self.thumbnails, self.pause = session, thumbnails, pause
        titles = [(PROJECTIONS.info(name).title, name) for name in PROJECTIONS]
        self.method = widgets.Dropdown(options=titles, value=method, layout={"width": "200px"}, **titled("map"))
        self.seed = widgets.BoundedIntText(0, min=0, max=9999, description="seed", layout={"width": "150px"})
        self.seed.tooltip = tooltip("seed")
        self.cancel = widgets.Button(description="Cancel", layout={"display": "none", "width": "90px"})
        self.progress = widgets.HTML()
        self.guard = Guard(self._failed)
        self.scatter = Scatter(thumbnails, on_error=self._failed, height=height)
        self.honesty = widgets.HTML()
        self.error = widgets.HTML()
        self._wanted: Wanted | None = None
        self.tasks = Background(self.guard)  # PCA of the new request does not wait until older work has ended
        self._drawing = threading.RLock()  # observers of the drawing may ask for more
        self._maps: OrderedDict[tuple[str, str, int], Projection] = OrderedDict()
        self._lines: dict[tuple[str, str, int], str] = {}
        self._compared: set[tuple[str, str, int]] = set()
        self._shown: Projection | None = None
        self.colours = MapColours(self.scatter, Facts(session.dataset, thumbnails), self.guard, self._say_colours)
        self.exports = MapExports(session.dataset, self.chosen_items, self.figure, self.guard)
        controls = [self.method, self.seed, self.colours, self.cancel, self.progress]
        controls = widgets.HBox(controls, layout={"flex_flow": "row wrap"})
        super().__init__([controls, self.error, self.scatter, self.exports, self.honesty])
        self.add_class("cbirlab-panel")
        self.add_class("cbirlab-map")
        for widget in (self.method, self.seed):
            self.guard.observe(widget, "value", self._ask)
        self.guard.clicked(self.cancel, self.stop)
        self.guard.observe(self.scatter, "selected", self._choose)
        self.guard.observe(self.colours, "kept", self._choose)

    def show(self, vectors: Any, key: str, highlight: Sequence[int] = (), current: int | None = None) -> None:
        """Show these descriptors; returns at once.

        Parameters
        ----------
        vectors : (N, D), row i of picture i: the database first, then the queries, or the database alone.
        key : identifies these vectors; while it stays the same, only the marks change.
        highlight : ids drawn on top, the best first.
        current : id of the query.
        """
        with self._drawing, self.scatter.hold_sync():
            self.scatter.highlight = [int(item) for item in highlight]
            self.scatter.current = -1 if current is None else int(current)
        if self._wanted is None or self._wanted.key != key:
            self._begin(Wanted(np.asarray(vectors), key, str(self.method.value), int(self.seed.value)))

    def ask(self, question: Any, marks: Marks) -> None:
        """Say how another answer marks the database rows: colours and chips of "right / wrong" follow."""
        self.colours.ask(question, marks)

    def keep_all(self) -> None:
        """Clear the lasso's selection and every chip."""
        self.scatter.selected = ()
        self.colours.keep_all()

    def chosen_items(self) -> list[int]:
        """Ids of the chosen pictures; none if nothing was chosen."""
        return list(self.chosen or ())

    @property
    def selected_paths(self) -> list[Path]:
        """The files of the chosen pictures; none if nothing was chosen."""
        return paths_of(self.session.dataset, self.chosen_items())

    def figure(self, kind: str = "png") -> bytes:
        """The map as it is coloured, with results and query, in a kind of `FIGURES`."""
        return figure_of(self.scatter, str(self.colours.menu.value), kind)

    def _choose(self) -> None:
        kept, selected = self.colours.kept, set(self.scatter.selected)
        if kept is not None:
            left = {*np.flatnonzero(kept).tolist()}
            selected = selected & left if selected else left
        self.chosen = tuple(sorted(selected)) if selected or kept is not None else None
        self.exports.offer(self.chosen_items())

    def _ask(self) -> None:
        """Ask for another method or seed for the same vectors."""
        if self._wanted is not None:
            self._begin(self._wanted._replace(method=str(self.method.value), seed=int(self.seed.value)))

    def _begin(self, wanted: Wanted) -> None:
        with self._drawing:  # two may ask at once, from the menu and for another setting: the older one must be told
            self._wanted = wanted
            self.tasks.start(lambda stop: stop.run(lambda: self._make(wanted, stop), self._listener(stop)))

    def stop(self) -> None:
        """End the work that is running; the map on show stays."""
        self.tasks.stop.set()
        with self._drawing:
            self._say("stopped")

    def wait(self, seconds: float = 60) -> bool:
        """Wait until the map is finished; False if it is not within `seconds`."""
        return self.tasks.wait(seconds)

    def _failed(self, error: Exception) -> None:
        with self._drawing:
            self._say("")
            self.error.value = views.error_box(error)

    def _make(self, wanted: Wanted, stop: Stop) -> None:
        """Show the map, or PCA first and the map after a pause; then measure it."""
        stop.check(MOMENT)
        title = PROJECTIONS.info(wanted.method).title
        if not self._at_hand(wanted):
            self._show_made(wanted._replace(method=FIRST_COMES_AT_ONCE), stop, f"{title} is being computed")
        self._show_made(wanted, stop)
        if self._comparable(wanted) and wanted.name not in self._compared:
            self._compare_seeds(wanted, stop)

    def _at_hand(self, wanted: Wanted) -> bool:
        """Whether a map is ready or takes almost no time."""
        if wanted.method == FIRST_COMES_AT_ONCE or wanted.name in self._maps:
            return True
        return cached(wanted.vectors, wanted.method, seed=wanted.seed, store=self.session.store)

    def _show_made(self, wanted: Wanted, stop: Stop, meanwhile: str = "") -> None:
        """Show the map and, once the setting stays the same, how far to trust it."""
        made = self._projected(wanted)
        line = self._lines.get(wanted.name, "")
        self._draw(wanted, made, line, stop, meanwhile)
        stop.check(self.pause)
        if not line:
            line = self._lines[wanted.name] = honest_line(made, honesty(wanted.vectors, made.points))
            self._draw(wanted, made, line, stop, meanwhile)

    def _projected(self, wanted: Wanted) -> Projection:
        if wanted.name not in self._maps:
            store = self.session.store
            made = project(wanted.vectors, wanted.method, seed=wanted.seed, store=store, key=wanted.key)
            self._maps[wanted.name] = made
            while len(self._maps) > KEPT_MAPS:
                self._lines.pop(self._maps.popitem(last=False)[0], None)
        return self._maps[wanted.name]

    def _comparable(self, wanted: Wanted) -> bool:
        return PROJECTIONS.info(wanted.method).facts["seeded"] and len(wanted.vectors) <= STABILITY_AT_MOST

    def _compare_seeds(self, wanted: Wanted, stop: Stop) -> None:
        """Make the map of the next seed too, and say how much of this map it repeats."""
        made, other = self._projected(wanted), self._projected(wanted._replace(seed=wanted.seed + 1))
        shared = shared_neighbours(made.points[made.placed], other.points[other.placed])
        if not np.isnan(shared):
            self._lines[wanted.name] += f" Another seed keeps {shared:.0%} of the neighbours on this map."
        self._compared.add(wanted.name)
        self._draw(wanted, made, self._lines[wanted.name], stop)

    # drawing: always with the lock held, and never for a request that was overtaken

    def _draw(self, wanted: Wanted, made: Projection, line: str, stop: Stop, meanwhile: str = "") -> None:
        labels = None
        with self._drawing:
            stop.check()
            title = PROJECTIONS.info(wanted.method).title
            self.error.value = ""
            if made is not self._shown:
                labels = self._labels(len(made.points))
                with self.scatter.hold_sync():
                    self.scatter.free = PROJECTIONS.info(made.method).facts["seeded"] and bool(made.placed.all())
                    self.scatter.place(made.points, None, labels, title=f"{title} of {len(made.points)} descriptors")
                self._shown = made
            self.honesty.value = views.note(line) if line else ""
            self._say(meanwhile, working=bool(meanwhile))
        if labels is not None:  # outside the lock, here and below: an observer may be waiting for it
            self.colours.draw()
        self.scatter.trim()

    def _labels(self, count: int) -> list[str] | None:
        """Folder and file name of every picture, as on tiles; None if the map has them already."""
        if count == len(self.scatter.positions):
            return None
        return [self.thumbnails.file_name(item) for item in range(count)]

    def _say_colours(self, text: str) -> None:
        if self.cancel.layout.display == "none":  # else the map itself is on its way
            with self._drawing:
                self._say(text)

    def _say(self, text: str, *, working: bool = False) -> None:
        self.progress.value = views.note(text) if text else ""
        self.cancel.layout.display = "" if working else "none"

    def _listener(self, stop: Stop) -> Listener:
        """A listener that reports progress in steps of a tenth."""
        said = [""]

        def listen(what: str, done: int, total: int) -> None:
            text = f"{what}: {10 * (10 * done // max(1, total))} %"
            if text != said[0] and self.cancel.layout.display != "none":
                said[0] = text
                with self._drawing:
                    if not stop.is_set():
                        self._say(text, working=True)

        return listen

    def close(self) -> None:
        """End the work, and free the panel and all its widgets."""
        self.tasks.stop.set()
        self.colours.tasks.stop.set()
        close_all(*self.children)
        super().close()
