"""CodeBeside: the answer by full descriptors beside the answer by a code, with what has moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.index import ExactIndex
from cbirlab.widgets.panels.base_panel import in_columns, side_by_side
from cbirlab.widgets.panels.code_panel import CodePanel, names_of
from cbirlab.widgets.panels.look_panel import whole_slider
from cbirlab.widgets.panels.setting_side import gone, moved
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.drawing import stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.snapshot import picture_sheet

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.study.explain.code_lens import Coded

SHOWN, TILE, COLUMN = 16, 88, 280
MOST_RESCORED = 200


class CodeBeside(CodePanel):
    """Float beside code on one query: two galleries, the second with the places that each image has moved.

    Parameters
    ----------
    session, given : as in `CodePanel`.

    Attributes
    ----------
    rescored : slider of how many first places are scored again with full descriptors.
    full, by_code : the galleries.
    """

    @staticmethod
    def offered() -> Sequence[str]:
        """All codes."""
        return names_of()

    def __init__(self, session: Session, *, rescored: int = 0, **given: Any) -> None:
        self.rescored = whole_slider("re-scored", 0, MOST_RESCORED, rescored)
        self.moved = (self.rescored,)
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.heads = [widgets.HTML() for _ in range(2)]
        self.galleries = [Gallery(self.thumbnails, on_error=self.show_error, side=TILE) for _ in self.heads]
        both = in_columns(zip(self.heads, self.galleries, strict=True), COLUMN)
        return [side_by_side(self._side(self.rescored), [both])]

    def _show(self, coded: Coded) -> None:
        row, own = self._row(coded), self.question.own_rows(self.session.dataset)
        rankings = ExactIndex().fit(coded.images).search(row[None]), coded.rank(row, self.rescored.value)
        full, by_code = (self._results(ranking, SHOWN) for ranking in rankings)
        full.show_in(self.galleries[0], notes=gone(full, by_code, rankings[1], own))
        by_code.show_in(self.galleries[1], notes=moved(by_code, full, rankings[0], own))
        again = f", {self.rescored.value} re-scored" if self.rescored.value else ""
        sides = (
            ("float", f"{4 * coded.images.shape[1]} bytes for each image"),
            ("code", f"{self.compression}{again}: {coded.code.row_bytes} bytes"),
        )
        for head, side in zip(self.heads, sides, strict=True):
            head.value = views.side_heading(*side, {})
        kept = len({*full.rows[:10]} & {*by_code.rows[:10]})
        said = f"{kept} of the first {min(10, len(full.rows))} stay."
        if self.rescored.value:
            said += " To re-score, full descriptors must lie somewhere, on a disk perhaps; memory holds the codes."
        self.said.value = views.note(said)

    def _still(self, coded: Coded) -> Any:
        names = f"float: {4 * coded.images.shape[1]} bytes", f"{self.compression}: {coded.code.row_bytes} bytes"
        sheets = [
            picture_sheet(gallery.marked(), title=f"{name}. {gallery.title}")
            for name, gallery in zip(names, self.galleries, strict=True)
        ]
        return stack_pictures(sheets)
