"""Missed: the right answers that a query did not find among the first K, with their ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.study.explain import Positive, find_missed, positives
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel, offer_levels, whole_slider
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.result_marks import MARKS
from cbirlab.widgets.parts.snapshot import data_uri, picture_sheet

if TYPE_CHECKING:
    from cbirlab.live import Session

FIRST, MOST_FIRST = 20, 100
SHOWN = 48


class Missed(LookPanel):
    """The right answers of a query that stand below rank K, the nearest miss first.

    Parameters
    ----------
    session, given : as in `LookPanel`; the dataset has ground truth.

    Attributes
    ----------
    first : slider of K.
    level : a level of the protocol, if it has several.
    found : the missed answers that are shown.
    """

    searches = True

    def __init__(self, session: Session, *, first: int = FIRST, **given: Any) -> None:
        self.first = whole_slider("first K", 1, MOST_FIRST, first)
        self.level = menu([("level", "")], description="level")
        self.picture, self.said = widgets.HTML(), widgets.HTML()
        self.found: list[Positive] = []
        self.moved = self.first, self.level
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.gallery = Gallery(self.thumbnails, on_error=self.show_error)
        side = [self.picture, *self.controls, self.level, self.first, self.said, self.note]
        return [side_by_side(side, [self.gallery])]

    def _draw(self) -> None:
        if self.state.image is not None:
            raise ValueError("Missed: a database image has no ground truth of its own; choose a query in the strip.")
        setting, query = self.state.setting, self.state.query
        run = self.session.rank(*setting)
        offer_levels(self.level, run)
        level, k = self.level.value or None, self.first.value
        every = positives(run, query, level)
        self.found = find_missed(run, query, k, level)
        shown = self.found[:SHOWN]
        more = f", the first {SHOWN} of them shown" if len(self.found) > SHOWN else ""
        title = f"Query {query}: {len(self.found)} of {len(every)} right answers are missed among the first {k}{more}"
        captions = [f"rank {one.rank}" if one.rank else "not in the list" for one in shown]
        kinds = [one.label if one.label in MARKS else "positive" for one in shown]
        legend = [name for name in MARKS if name in {one.label for one in every}]
        self.gallery.show([one.row for one in shown], captions=captions, kinds=kinds, title=title, legend=legend)
        self.said.value = views.note(self._ranks_in_words(every, k))
        self.picture.value = f"<img alt='Query {query}' src='{data_uri(self.thumbnails[self.item])}'>"
        self.strip.current = self.item

    @staticmethod
    def _ranks_in_words(every: list[Positive], k: int) -> str:
        hit = [str(one.rank) for one in every if one.rank is not None and one.rank <= k]
        if not every:
            return "This query has no right answer at this level."
        ranks = f", at rank{'s' * (len(hit) > 1)} {', '.join(hit)}" if hit else ""
        return f"Found among the first {k}: {len(hit)}{ranks}."

    def _sheet(self) -> Any:
        if not self.gallery.title:
            return None
        pictures = self.gallery.marked()
        ranks = "Ranks: " + ", ".join(caption.removeprefix("rank ") for caption in self.gallery.captions[:24])
        return picture_sheet(pictures, title=self.gallery.title, notes=[ranks] if pictures else [])
