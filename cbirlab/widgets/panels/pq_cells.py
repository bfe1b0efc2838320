"""PQCells: a product quantiser from near: the cells of one group, the query's distance table, an image's path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.base.recent import Recent
from cbirlab.compression.quantisers import ROWS_PER_CENTRE
from cbirlab.study.explain.cells import GroupView, cells_of, distance_table, group_view
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.code_panel import CodePanel
from cbirlab.widgets.panels.look_panel import whole_slider
from cbirlab.widgets.parts import code_charts, views
from cbirlab.widgets.parts.drawing import Drawing, stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.snapshot import picture_sheet

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.study.explain.code_lens import Coded

SHOWN = 10
KEPT_VIEWS = 256


class PQCells(CodePanel):
    """Product quantisation under the loupe.

    Parameters
    ----------
    session, given : as in `CodePanel`; the code is "pq" or "opq", which need faiss.

    Attributes
    ----------
    group : slider of the group of dimensions that is drawn.
    results : the first results by code; a click chooses the image whose path is shown.
    image : its row.
    seen : the `GroupView` that is drawn.
    """

    usual = "pq(m=16, bits=4)"

    @staticmethod
    def offered() -> Sequence[str]:
        """Product quantisation."""
        return ("pq", "opq")

    def __init__(self, session: Session, **given: Any) -> None:
        self.group = whole_slider("group", 0, 0, 0)
        self.plane, self.table = widgets.HTML(), widgets.HTML()
        self.image: int | None = None
        self.seen: GroupView | None = None
        self._asked = -1  # the query to which `image` belongs
        self._views = Recent(KEPT_VIEWS)
        self.moved = (self.group,)
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.results = Gallery(self.thumbnails, on_error=self.show_error, arrangement="strip", side=92)
        return [side_by_side(self._side(self.group), [self.results, self.table, self.plane])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.results, "clicks", lambda: self.follow(self.results.picked))

    def follow(self, image: int) -> None:
        """Show the path of another image."""
        self.image = image
        self.ask()

    def _show(self, coded: Coded) -> None:
        row = self._row(coded)
        code: Any = coded.code
        groups = len(code.centres_)
        if self.group.max != groups - 1:
            self.group.value, self.group.max = min(self.group.value, groups - 1), groups - 1
        found = self._results(coded.rank(row), SHOWN)
        found.show_in(self.results)
        if self.image is None or self._asked != self.item:
            self.image, self._asked = found.rows[0], self.item
        self.results.current = self.image
        group = self.group.value
        self._table, self._path = distance_table(code, row), cells_of(code, coded.codes)[self.image]
        key = (self.state.setting, self.compression, group)
        self.seen = self._views.get(key, lambda: group_view(code, coded.images, coded.codes, group))
        self._place = self.seen.place(code.prepare(row[None])[0])
        for html, (drawing, alt) in zip((self.table, self.plane), self._charts(), strict=True):
            html.value = drawing.svg(alt)
        self.said.value = views.note(self._words(coded, code, self.seen))

    def _charts(self) -> list[tuple[Drawing, str]]:
        """Drawings, and the words that describe them."""
        if self.seen is None or self.image is None:
            return []
        group, cell = self.group.value, int(self._path[self.group.value])
        words = (
            f"Distance table of {len(self._table)} groups by {self._table.shape[1]} centres, path of image {self.image}"
        )
        drawn = f"Group {group} in the plane: image {self.image} lies in cell {cell}"
        return [
            (code_charts.table_chart(self._table, self._path, group), words),
            (code_charts.group_chart(self.seen, self._place, self.image, group), drawn),
        ]

    def _words(self, coded: Coded, code: Any, seen: GroupView) -> str:
        groups, centres, width = code.centres_.shape
        said = [
            f"{groups} groups of {width} dimensions with {centres} centres each: {coded.code.row_bytes} bytes instead "
            f"of {4 * coded.images.shape[1]}, and {centres:,}^{groups} different codes."
        ]
        if width > 2:
            said.append(
                f"The plane holds {seen.share:.0%} of this group's variance; {seen.agree:.0%} of the images are drawn "
                "in the cell that they are in."
            )
        wanted = ROWS_PER_CENTRE * centres
        if len(coded.train) < wanted:
            said.append(f"Learned on {len(coded.train):,} rows; {ROWS_PER_CENTRE} for each centre would be {wanted:,}.")
        return " ".join(said)

    def _still(self, coded: Coded) -> Any:
        pictures = [drawing.image() for drawing, _ in self._charts()]
        return stack_pictures([picture_sheet(self.results.marked(), title=self.results.title), *pictures])
