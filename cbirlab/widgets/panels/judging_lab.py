"""JudgingLab: one ranking, judged by rules that menus change: how each result counts, and the resulting mAP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.base.params import Parameter
from cbirlab.evaluation import PROTOCOLS, paired_difference, query_groups
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.index.lists import lists_of
from cbirlab.study.choices.judging import JUNK, OWN_IMAGE, Judging
from cbirlab.widgets.panels.base_panel import PAUSE, Panel, side_by_side
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import control, menu
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
from cbirlab.widgets.parts.result_marks import MARKS
from cbirlab.widgets.parts.results import kinds_of_query, strip_of
from cbirlab.widgets.parts.snapshot import picture_sheet

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.index import Ranking

SHOWN = 24
CUTS = (100, 50, 20, 10, 5)
MEASURES = (*AP_METHODS, "map@r", "over min(right, results)", "over right in results")
ABOUT = "Below each picture: what it counts as; a right one with the precision of the list that ends there."


class JudgingLab(Panel):
    """One ranking under rules that the user can change, next to the usual rules.

    Parameters
    ----------
    ranking : ranks all queries of the dataset, like `Run.ranking`.
    dataset : with ground truth.
    protocol : a name in `PROTOCOLS`, the dataset's own by default.
    query : the query that is shown first.
    shown : pictures in the gallery.
    pause : seconds between the gallery and the mean over all queries; 0 computes it at once.

    Attributes
    ----------
    menus : field of `Judging` to the widget that sets it.
    judging : the rules in force; `usual` are those of the protocol.
    """

    def __init__(
        self,
        ranking: Ranking,
        dataset: Dataset,
        *,
        protocol: str | None = None,
        query: int = 0,
        shown: int = SHOWN,
        pause: float = PAUSE,
    ) -> None:
        super().__init__(pause)
        rules = PROTOCOLS[protocol or dataset.protocol]
        self.ranking, self.lists, self.dataset, self.shown = ranking, lists_of(ranking), dataset, shown
        self.levels = {level.name: level for level in rules.levels}
        self.usual = Judging.of(rules)
        self.query = query
        thumbnails = Thumbnails.of_dataset(dataset)
        self.numbers = widgets.HTML()
        self.strip = strip_of(dataset, thumbnails, on_error=self.show_error)
        self.gallery = Gallery(thumbnails, on_error=self.show_error)
        self.menus = self._menus()
        self._before = self.usual.values(self.lists, dataset)
        about = widgets.HTML(views.note(ABOUT))
        side = [*self.menus.values(), self.numbers, about]
        self.children = [self.strip, self.error, side_by_side(side, [self.gallery])]
        for widget in self.menus.values():
            self.guard.observe(widget, "value", self.ask)
        self.guard.observe(self.strip, "clicks", lambda: self.choose(self.strip.picked - len(dataset.images)))
        self.ask()

    def _menus(self) -> dict[str, Any]:
        """One menu per choice; a choice that cannot matter on this dataset is greyed out."""
        length = self.lists.shape[1]
        cuts = [("all", 0), *((f"the first {cut}", cut) for cut in CUTS if cut < length)]
        menus = {
            "level": menu([(name, name) for name in self.levels], description="level"),
            "junk": control(Parameter("junk", JUNK, self.usual.junk)),
            "own_image": control(Parameter("own_image", OWN_IMAGE, self.usual.own_image), description="own image"),
            "measure": menu([(name, name) for name in self._measures()], description=self._called("AP")),
            "results": menu(cuts, description="results"),
        }
        menus["level"].value, menus["measure"].value = self.usual.level.name, self.usual.measure
        menus["level"].disabled = len(self.levels) == 1
        menus["own_image"].disabled = all(query.index is None for query in self.dataset.queries)
        junk = {name for level in self.levels.values() for name in level.junk}
        menus["junk"].disabled = not any(labels.get(name) for labels in self.dataset.labels for name in junk)
        return menus

    def _measures(self) -> list[str]:
        """Average precisions, after the protocol's main metric if that is another one."""
        return [*MEASURES] if self.usual.metric == "map" else [self.usual.measure, *MEASURES]

    def _called(self, average_precision: str) -> str:
        """The word for average precision, if the menu offers other measures too."""
        return average_precision if self.usual.metric == "map" else "measure"

    @property
    def judging(self) -> Judging:
        """The rules in force."""
        chosen = {name: widget.value for name, widget in self.menus.items()}
        chosen |= {"level": self.levels[chosen["level"]], "results": chosen["results"] or None}
        return replace(self.usual, **chosen)

    def choose(self, query: int) -> None:
        """Show the answer to another query of the protocol."""
        self.query = query
        self.ask()

    def _draw(self) -> None:
        judging, query = self.judging, self.query
        found = self.lists.of(query)
        answers = found.answers()[0]  # images without a descriptor are no results
        rows = found.images[0, :answers][: judging.results][: self.shown].tolist()
        kinds = kinds_of_query(self.dataset, query, rows)
        legend = [name for name in MARKS if name in {*self.dataset.labels[query], "wrong"}]
        looks = {"kinds": kinds, "legend": legend, "title": f"Query {query}: first {len(rows)} results"}
        self.gallery.show(rows, captions=counted_as(judging, self.dataset, query, rows), **looks)
        self.strip.current = len(self.dataset.images) + query

    def _draw_rest(self) -> None:
        """Show the average precision of this query and the mean over all, by both rules."""
        after = self.judging.values(self.lists, self.dataset)
        change = paired_difference(after, self._before, groups=query_groups(self.dataset))
        pairs = [(values[self.query], values[~np.isnan(values)].mean()) for values in (self._before, after)]
        (of_query, mean), (of_query_now, mean_now) = [[_written(value) for value in pair] for pair in pairs]
        self.numbers.value = (
            f"<p>{self._called('mAP')} {mean} as usual, <strong>{mean_now}</strong> by these rules: {change.mean:+.3f} "
            f"[{change.low:+.3f}, {change.high:+.3f}]</p>"
            + views.note(
                f"{self._called('AP')} of query {self.query}: {of_query} as usual, {of_query_now} by these rules."
            )
        )

    def _sheet(self) -> Any:
        if not self.gallery.ids:
            return None
        counted = [f"{place}: {caption}" for place, caption in enumerate(self.gallery.captions, 1)]
        notes = ["   ".join(counted[start : start + 6]) for start in range(0, len(counted), 6)]
        return picture_sheet(self.gallery.marked(), title=self.gallery.title, notes=notes)


def counted_as(judging: Judging, dataset: Dataset, query: int, rows: Sequence[int]) -> list[str]:
    """How each of the first results counts: "ignored", "wrong", or right with the precision of the list up to it.

    Parameters
    ----------
    rows : rows of the database, best first.
    """
    right, ignored = judging.rows(dataset, query)
    found = counted = 0
    said = []
    for row in rows:
        counted += row not in ignored
        found += row in right
        said.append("ignored" if row in ignored else f"right: {found}/{counted}" if row in right else "wrong")
    return said


def _written(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3f}"
