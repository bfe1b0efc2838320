"""QueryPath: where expansion moves a query, on a map of its first results, and what drew it there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.evaluation import title_of
from cbirlab.reranking import Reranking
from cbirlab.study.explain.local_map import NEARBY, LocalMap, map_of_results
from cbirlab.study.explain.rerank_lens import Reranked, rerank_one
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel
from cbirlab.widgets.panels.rerank_beside import FIELD
from cbirlab.widgets.parts import map_charts, views
from cbirlab.widgets.parts.drawing import stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.method_control import MethodControl
from cbirlab.widgets.parts.results import count_right
from cbirlab.widgets.parts.snapshot import picture_sheet
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.pipeline import Run

METHODS = "aqe", "decay", "alpha_qe"
ABOUT = (
    "The map is the plane of the two leading principal axes of the query and these results, all in their exact places; "
    "q′ is taken to it by the same projection. It does not move with the sliders of the expansion."
)


class QueryPath(LookPanel):
    """Expansion on the map: a query, its first results, lines to those that are added to it, and where it goes.

    Parameters
    ----------
    session, given : as in `LookPanel`; images have one vector each.
    rerank : the expansion to start with, "aqe", "decay" or "alpha_qe", with its parameters.
    nearby : results on the map.

    Attributes
    ----------
    rerank : the control of the expansion.
    found, seen : the answer before and after, and the `LocalMap`; None before the first drawing.
    moved_to : (2,) where q′ is on the map.
    added : the images that were added, the most similar first; a click makes one the query.
    """

    def __init__(self, session: Session, *, rerank: str = "decay", nearby: int = NEARBY, **given: Any) -> None:
        self.said, self.judged = widgets.HTML(), widgets.HTML()
        self.found: Reranked | None = None
        self.seen: LocalMap | None = None
        self.nearby, self._start = nearby, Reranking.parse(rerank)
        if self._start.name not in METHODS or self._start.before:
            raise ValueError(f"QueryPath: rerank must be one of {', '.join(METHODS)}, got {rerank!r}.")
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.rerank = MethodControl("expansion", Reranking, self._start.name, self.guard, METHODS)
        self.rerank.value = self._start
        self.moved = (self.rerank,)
        self.added = Gallery(self.thumbnails, on_error=self.show_error, arrangement="strip", side=92)
        side = [self.rerank, *self.controls, self.judged, self.said, widgets.HTML(views.note(ABOUT)), self.note]
        return [side_by_side(side, [self.chart, self.added])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.added, "clicks", lambda: self.pick(self.added.picked))

    def _settings(self) -> Sequence[Setting]:
        return [self.state.setting.with_stage(FIELD, chain) for chain in ("none", self.rerank.value)]

    def _draw(self) -> None:
        self.strip.current, self.judged.value = self.item, ""
        self.found = found = rerank_one(self.session, self._settings()[1], self.item)
        self.seen = map_of_results(found.before, self.nearby)
        self.moved_to = self.seen.place(found.moved[None])[0]
        self._kinds = self.question.kinds(self.session.dataset, self.seen.images.tolist())
        alt = f"{self._words()} The query and its first {len(self._kinds)} results in the plane."
        self.chart.value = self._chart().svg(alt)
        self.said.value = views.note(self._words())
        kinds = self.question.kinds(self.session.dataset, list(found.added))
        notes = [f"＋{weight:.2f}" for weight in found.added.values()]
        captions = [str(number) for number in range(1, len(notes) + 1)]
        title = "Added to the query; numbers as on the map" if notes else "No image is added to the query"
        self.added.show(list(found.added), captions=captions, kinds=kinds, notes=notes, title=title)

    def _chart(self) -> Any:
        if self.found is None or self.seen is None:
            return None
        title = f"{self.question.words}: q′ = L2(q + Σ w x) by {self.rerank.value}"
        return map_charts.path_chart(self.seen, self._kinds, self.found.added, self.moved_to, title)

    def _words(self) -> str:
        if self.found is None or self.seen is None:
            return ""
        added = self.found.added
        kinds = self.question.kinds(self.session.dataset, list(added))
        known = f", {count_right(kinds)} of them right" if any(self._kinds) and added else ""
        cosine = float(np.dot(self.found.asked, self.found.moved))
        images = "1 image is" if len(added) == 1 else f"{len(added)} images are"
        return (
            f"{images} added to the query{known}; the cosine of q and q′ is {cosine:.3f}. The plane holds "
            f"{self.seen.share:.0%} of the variance: what is near on the map may still be far."
        )

    def _draw_rest(self) -> None:
        before, after = (self.session.rank(*setting) for setting in self._settings())
        query = self.question.query if self.question.of_protocol else None
        self.judged.value = views.note(judged_words(before, after, query))

    def _sheet(self) -> Any:
        chart = self._chart()
        if chart is None:
            return None
        return stack_pictures([chart.image(), picture_sheet(self.added.marked(), title=self.added.title)])


def judged_words(before: Run, after: Run, query: int | None) -> str:
    """What re-ranking is worth to one query (None for one that nobody judges), and on average."""
    if before.evaluation is None or after.evaluation is None:
        return "There is no ground truth, so nobody says what this is worth."
    protocol = before.evaluation.protocol
    level = protocol.level().name
    old, new = before.evaluation.per_query[level], after.evaluation.per_query[level]
    mean = (
        f"{title_of(protocol.headline)} of all queries: {before.metrics[protocol.headline]:.3f}, then "
        f"{after.metrics[protocol.headline]:.3f}."
    )
    if query is None or np.isnan(old[query]):
        return f"The protocol does not judge this picture. {mean}"
    name = "AP" if protocol.of_query == "ap" else title_of(protocol.of_query)
    return f"{name} of this query: {old[query]:.3f}, then {new[query]:.3f}. {mean}"
