"""What the panels that look into a method share: the strip of queries, and the picture that is the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.study.explain import Looker
from cbirlab.widgets.panels.base_panel import SettingPanel
from cbirlab.widgets.parts.controls import DESCRIPTION, LAYOUT
from cbirlab.widgets.parts.gallery import Thumbnails
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.results import strip_of
from cbirlab.widgets.parts.tooltips import tooltip

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.pipeline import Run


class LookPanel(SettingPanel):
    """A panel on one picture of a session, chosen in a strip of the queries.

    Parameters
    ----------
    session, given : as in `SettingPanel`.
    thumbnails : those of the dataset, to share the page's copies with another panel.
    """

    def __init__(self, session: Session, *, thumbnails: Thumbnails | None = None, **given: Any) -> None:
        dataset = session.dataset
        self.looker = Looker(session)
        self.thumbnails = thumbnails or Thumbnails.of_dataset(dataset)
        title = "Choose a query" if dataset.queries else "Choose a picture"
        self.strip = strip_of(dataset, self.thumbnails, self.show_error, title=title)
        super().__init__(session, **given)
        self.children = [self.strip, *self.children]

    @property
    def item(self) -> int:
        """The picture that is the query, as galleries count."""
        if self.state.image is not None:
            return self.state.image
        dataset = self.session.dataset
        return len(dataset.images) + self.state.query if dataset.queries else 0

    @property
    def question(self) -> Question:
        """That picture as a question to the session."""
        of_database = self.item < len(self.session.dataset.images)
        return Question(query=self.state.query, image=self.item if of_database else None)

    def _connect(self) -> None:
        super()._connect()
        self.guard.when_changed(self.state, self.state.trait_names(), self.ask)
        self.guard.observe(self.strip, "clicks", lambda: self.pick(self.strip.picked))

    def pick(self, item: int) -> None:
        """Choose another picture as the query, by the id of its thumbnail."""
        images = len(self.session.dataset.images)
        with self.state.hold_trait_notifications():
            if item >= images:
                self.state.query, self.state.image = item - images, None
            else:
                self.state.image = item


def opacity_slider(value: float) -> Any:
    """How strongly a heat map covers the picture."""
    return widgets.FloatSlider(
        min=0,
        max=1,
        step=0.05,
        value=value,
        description="opacity",
        readout_format=".2f",
        tooltip=tooltip("opacity"),
        style=DESCRIPTION,
        layout=LAYOUT,
    )


def whole_slider(description: str, low: int, high: int, value: int) -> Any:
    """A slider of whole numbers."""
    looks: Any = {"description": description, "style": DESCRIPTION, "layout": LAYOUT}
    return widgets.IntSlider(min=low, max=high, value=value, tooltip=tooltip(description), **looks)


def offer_levels(menu: Any, run: Run) -> None:
    """Fill a menu with the levels of a run's protocol, once; hide it if there is only one level."""
    if run.evaluation is None or len(menu.options) > 1:
        return
    levels = [level.name for level in run.evaluation.protocol.levels]
    if len(levels) > 1:
        menu.options = levels
        menu.value = "medium" if "medium" in levels else levels[0]
    else:
        menu.layout.display = "none"
