"""WinLoss: two settings, query by query; choosing a bar shows both answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.evaluation import title_of
from cbirlab.fusion import versus
from cbirlab.index.lists import lists_of
from cbirlab.widgets.panels.base_panel import SettingPanel, in_columns
from cbirlab.widgets.panels.look_panel import offer_levels
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.bars import Bars
from cbirlab.widgets.parts.charts import bar_chart
from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.drawing import stack_pictures
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
from cbirlab.widgets.parts.results import results_of_query
from cbirlab.widgets.parts.snapshot import data_uri, picture_sheet
from cbirlab.widgets.parts.state import RetrievalState, state_of

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.live import Session
    from cbirlab.pipeline import Run

SHOWN = 10


class WinLoss(SettingPanel):
    """Bars for each query's average precision with setting A minus that with setting B, and both galleries.

    Parameters
    ----------
    session, given : as in `SettingPanel`; the dataset has ground truth.
    a, b : states of other panels that the two settings follow; by default each has controls of its own.
    start_a, start_b : what these start with, as in `SettingPanel`; by default GeM without and with PCA whitening.
    thumbnails : those of the dataset, to share the page's copies with another panel.
    shown : pictures in each gallery.

    Attributes
    ----------
    frame : from `cbirlab.fusion.versus`, the largest win of A first.
    bars : the chart; its `chosen` is a row of the frame.
    """

    searches = True

    def __init__(
        self,
        session: Session,
        *,
        a: RetrievalState | None = None,
        b: RetrievalState | None = None,
        start_a: Mapping[str, Any] | None = None,
        start_b: Mapping[str, Any] | None = None,
        thumbnails: Thumbnails | None = None,
        shown: int = SHOWN,
        **given: Any,
    ) -> None:
        self.shown = shown
        self.other = state_of(b, start_b, self._usual(session) | {"whitening": "pca"})
        self._follows_other = b is not None
        self.thumbnails = thumbnails or Thumbnails.of_dataset(session.dataset)
        self.galleries = tuple(Gallery(self.thumbnails, on_error=self.show_error) for _ in range(2))
        self.bars, self.query, self.summary = Bars(), widgets.HTML(), widgets.HTML()
        self.level = menu([("level", "")], description="level")
        self.frame: pd.DataFrame | None = None
        self._runs: tuple[Run, Run] | None = None
        self._chosen_query: int | None = None
        self.moved = (self.level,)
        super().__init__(session, state=a, start=start_a, **given)

    def _arranged(self) -> list[Any]:
        heads, others = [], [] if self._follows_other else self._own_controls(self.other)
        self.headings = tuple(widgets.HTML() for _ in "AB")
        for name, head, controls in zip("AB", self.headings, (self.controls, others), strict=True):
            folded = [widgets.Accordion([widgets.VBox(controls)], titles=(f"Setting {name}",))] if controls else []
            heads.append([head, *folded])
        # Two rows, so that the galleries are level even if only one side has controls.
        rows = [in_columns(parts) for parts in (heads, [[gallery] for gallery in self.galleries])]
        return [self.level, self.summary, self.bars, self.query, *rows, self.note]

    def _connect(self) -> None:
        super()._connect()
        for state in (self.state, self.other):
            names = [name for name in state.trait_names() if name not in ("query", "image")]
            self.guard.when_changed(state, names, self.ask)
        self.guard.observe(self.bars, "clicks", lambda: self.choose(self.bars.chosen))

    def choose(self, place: int) -> None:
        """Show both answers to the query of the bar at this place."""
        if self.frame is None or not 0 <= place < len(self.frame):
            return
        self.bars.chosen = place
        self._chosen_query = int(self.frame["query"].iloc[place])
        self.guard.run(self._show_answers)

    def _draw(self) -> None:
        settings = self.state.setting, self.other.setting
        for setting in settings:
            first, second = (self.session.rank(*setting) for setting in settings)
        self._runs = first, second
        offer_levels(self.level, first)
        self.frame = versus(first, second, level=self.level.value or None)
        about, places = self.frame.attrs, list(self.frame["query"])
        chosen = places.index(self._chosen_query) if self._chosen_query in places else 0
        self._chosen_query = int(places[chosen]) if places else None
        for name, head, setting in zip("AB", self.headings, settings, strict=True):
            head.value = views.side_heading(name, setting.words, {})
        self.bars.show(self.frame["difference"].tolist(), bar_words(self.frame), title=self.title, chosen=chosen)
        self.summary.value = views.note(
            f"A better on {about['a_wins']}, B on {about['b_wins']} of {about['queries']} queries; "
            f"{views.mean_difference(self.frame)}."
        )

    def _draw_rest(self) -> None:
        self._show_answers()

    @property
    def title(self) -> str:
        """A line above the bars."""
        about = self.frame.attrs if self.frame is not None else {"title": "mAP"}
        return f"{about['title']}, A less B, a bar per query: click one, or use the arrow keys"

    def _show_answers(self) -> None:
        if self._runs is None or self._chosen_query is None:
            return
        dataset, query = self.session.dataset, self._chosen_query
        for name, run, gallery in zip("AB", self._runs, self.galleries, strict=True):
            ranking = lists_of(run.ranking).of(query)
            results_of_query(dataset, ranking, query, shown=self.shown, words=f"{name}, query {query}").show_in(gallery)
        picture = data_uri(self.thumbnails[len(dataset.images) + query])
        self.query.value = f"<img alt='Query {query}' src='{picture}'>"

    def _sheet(self) -> Any:
        if self.frame is None:
            return None
        if not self.galleries[0].ids:  # asked for before the page has painted the bars
            self._show_answers()
        sheets = [bar_chart(self.frame["difference"].tolist(), self.bars.chosen, self.title.split(":")[0]).image()]
        sheets += [picture_sheet(gallery.marked(), title=gallery.title) for gallery in self.galleries]
        return stack_pictures(sheets)


def bar_words(frame: pd.DataFrame) -> list[str]:
    """A sentence for each row of a table of `versus`."""
    value = frame.attrs.get("value", "ap")
    name = "AP" if value == "ap" else title_of(value)
    return [
        f"Query {row['query']}: {name} {row[f'{value}_a']:.3f} by A, {row[f'{value}_b']:.3f} by B, difference "
        f"{row['difference']:+.3f}; first right answer at rank {_rank(row['first_a'])} by A, "
        f"{_rank(row['first_b'])} by B"
        for row in frame.to_dict("records")
    ]


def _rank(rank: float) -> str:
    return "none" if math.isnan(rank) else f"{rank:.0f}"
