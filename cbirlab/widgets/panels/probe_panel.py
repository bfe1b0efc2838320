"""The invariance probe, live: a slider rotates, scales or covers a query, and its right answers fall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import link

from cbirlab.base.params import parameters
from cbirlab.base.progress import bar
from cbirlab.base.recent import Recent
from cbirlab.study.perturbation import KINDS, Answer, answer_of, perturb_image, query_picture, row_of, unchanged
from cbirlab.widgets.panels.base_panel import SettingPanel, side_by_side
from cbirlab.widgets.panels.breaks_panel import BreaksPanel
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import DESCRIPTION, LAYOUT, control, menu, on_stop
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
from cbirlab.widgets.parts.results import results_of_query
from cbirlab.widgets.parts.snapshot import figure_html, jpeg_bytes, picture_html, picture_sheet
from cbirlab.widgets.parts.state import Setting
from cbirlab.widgets.parts.tooltips import tooltip

if TYPE_CHECKING:
    from PIL import Image

    from cbirlab.index import Ranking
    from cbirlab.live import Session

__all__ = ["BreaksPanel", "ProbePanel"]

PAUSE = 0.15  # seconds in which a slider may still move, before the whole curve is computed
SHOWN = 12
MOST_RANKS = 12
CURVES = {
    "ap": "average precision",
    "first_rank": "rank of the first right answer",
    "median_rank": "median rank of right answers",
    "best_score": "score of the first right answer",
    "kept": "first ten that stay",
}


class ProbePanel(SettingPanel):
    """A query that a slider changes, and where its right answers go.

    Parameters
    ----------
    session, given : as in `SettingPanel`.
    shown : pictures in the gallery.
    thumbnails : those of the dataset, to share the page's copies with another panel.
    pause : seconds between a new gallery and the curve over all amounts; 0 computes it at once.

    Attributes
    ----------
    kind : menu of the ways to change the picture; `amounts` holds the slider of each.
    """

    searches = True

    def __init__(
        self,
        session: Session,
        *,
        shown: int = SHOWN,
        thumbnails: Thumbnails | None = None,
        pause: float = PAUSE,
        **given: Any,
    ) -> None:
        self.shown = shown
        self.gallery = Gallery(thumbnails or Thumbnails.of_dataset(session.dataset), on_error=self.show_error)
        looks: Any = {"description": "query", "tooltip": tooltip("query"), "style": DESCRIPTION, "layout": LAYOUT}
        self.query = widgets.BoundedIntText(min=0, max=max(0, len(session.dataset.queries) - 1), **looks)
        self.kind = menu(
            [(f"{about.title} ({about.unit})", name) for name, about in KINDS.items()], description="change"
        )
        declared = parameters(perturb_image)
        self.amounts = {name: control(declared[name], description="how much") for name in KINDS}
        self.measure = menu([(title, name) for name, title in CURVES.items()], description="curve")
        self.before, self.after, self.ranks = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self._pictures, self._known = Recent(4), Recent(64)
        self.moved = self.measure, *self.amounts.values()
        super().__init__(session, pause=pause, **given)

    def _arranged(self) -> list[Any]:
        pictures = widgets.HBox([self.before, self.after], layout={"flex_flow": "row wrap", "overflow": "visible"})
        chosen = [*self.controls, self.query, self.kind, *self.amounts.values(), self.measure]
        return [side_by_side([*chosen, pictures, self.ranks, self.note], [self.gallery, self.chart])]

    def _connect(self) -> None:
        super()._connect()
        link((self.state, "query"), (self.query, "value"))
        self.guard.when_changed(self.state, self.state.trait_names(), self.ask)
        self.guard.observe(self.kind, "value", self._kind_chosen)
        self._show_slider()

    def _kind_chosen(self) -> None:
        self._show_slider()
        self.ask()

    def _show_slider(self) -> None:
        for name, slider in self.amounts.items():
            slider.layout.display = None if name == self.kind.value else "none"

    @property
    def amount(self) -> float:
        """How much the picture is changed."""
        kind = self.kind.value
        return on_stop(parameters(perturb_image)[kind].domain, self.amounts[kind].value)

    def _picture(self) -> Image.Image:
        query, setting = self.state.query, self.state.setting
        return self._pictures.get(query, lambda: query_picture(self.session, query, setting))

    def _answer(self, setting: Setting, query: int, kind: str, amount: float) -> tuple[Answer, Ranking, Image.Image]:
        """Ask with a changed query: the answer, and the ranking to show with the changed picture."""

        def make() -> tuple[Answer, Ranking, Image.Image]:
            changed = perturb_image(self._picture(), **{kind: amount})
            ranking = self.session.rank_image(changed, *setting, prepared=True)
            protocol = self.session.recipe(*setting).protocol
            return answer_of(ranking, self.session.dataset, query, protocol), ranking, changed

        return self._known.get((setting, query, kind, amount), make)

    def _draw(self) -> None:
        setting, query, kind, amount = self.state.setting, self.state.query, self.kind.value, self.amount
        answer, ranking, changed = self._answer(setting, query, kind, amount)
        results_of_query(self.session.dataset, ranking, query, shown=self.shown).show_in(self.gallery)
        about = f"{KINDS[kind].title} {amount:g} ({KINDS[kind].unit})"
        self.before.value = picture_html(self._picture(), f"Query {query}", "the query")
        self.after.value = picture_html(changed, f"Query {query}, {about}", about)
        self.ranks.value = views.note(ranks_note(answer))

    def _draw_rest(self) -> None:
        """Draw the curve over all amounts, until a newer request comes."""
        from cbirlab.plots import lines

        setting, query, kind, measure = self.state.setting, self.state.query, self.kind.value, self.measure.value
        amounts = sorted({*KINDS[kind].amounts, self.amount})
        rows = []
        for place, amount in enumerate(bar(amounts, desc="curve", unit="amount", show=False), start=1):
            plain = self._answer(setting, query, kind, unchanged(kind))[0]
            rows.append(row_of(kind, amount, self._answer(setting, query, kind, amount)[0], plain))
            if place % 4 == 0:
                self.note.value = views.waiting(f"The curve: {place} of {len(amounts)} amounts ...")
        import pandas as pd

        ax = lines(pd.DataFrame(rows), "amount", None, measure, xlabel=f"{KINDS[kind].title} ({KINDS[kind].unit})")
        ax.axvline(self.amount, linestyle="--", linewidth=1.2, color=ax.xaxis.label.get_color())
        if measure.endswith("rank"):
            ax.invert_yaxis()
        self.chart.value = figure_html(ax)
        self.note.value = ""

    def _sheet(self) -> Image.Image | None:
        if not self.gallery.ids:
            return None
        answer, _, changed = self._answer(self.state.setting, self.state.query, self.kind.value, self.amount)
        pictures = [(jpeg_bytes(self._picture()), ""), (jpeg_bytes(changed), ""), *self.gallery.marked()]
        title = f"Query {self.state.query}, {KINDS[self.kind.value].title} {self.amount:g}, and its first results"
        return picture_sheet(pictures, title=title, notes=[ranks_note(answer)])


def ranks_note(answer: Answer) -> str:
    """Where the right answers stand, in a sentence."""
    if not answer.ranks:
        return "No right answer is known for this query, so there are no ranks; see how much of the answer stays."
    shown = ", ".join(str(rank) for rank in answer.ranks[:MOST_RANKS])
    more = f" and {len(answer.ranks) - MOST_RANKS} more" if len(answer.ranks) > MOST_RANKS else ""
    return f"Right answers at ranks {shown}{more}; AP {answer.ap:.3f}."
