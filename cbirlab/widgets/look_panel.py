"""What the panels that look into a method share: the strip of queries, and the picture that is asked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.looking import Looker
from cbirlab.widgets.controls import DESCRIPTION, LAYOUT
from cbirlab.widgets.gallery import Gallery, Thumbnails
from cbirlab.widgets.live import LivePanel

if TYPE_CHECKING:
    from cbirlab.index import Ranking
    from cbirlab.pipeline import Run
    from cbirlab.session import Session
    from cbirlab.widgets.state import RetrievalState, Setting

PAUSE = 0.08  # seconds in which the page paints a picture, before the rest is computed


class LookPanel(LivePanel):
    """A panel on one picture of a session, chosen in a strip of the queries.

    Parameters
    ----------
    session : dataset and backbone; prepared here if it is not yet.
    state : of another panel, whose setting and query this one follows; by default it has controls of its own.
    start : what these start with, as of `LivePanel`.
    thumbnails : of the dataset, to share the page's copies with another panel.
    pause : seconds between the picture and the rest; 0 computes it at once.
    """

    def __init__(
        self,
        session: Session,
        *,
        state: RetrievalState | None = None,
        start: Mapping[str, Any] | None = None,
        thumbnails: Thumbnails | None = None,
        pause: float = PAUSE,
    ) -> None:
        self.looker = Looker(session)
        self.thumbnails = thumbnails or Thumbnails.of_dataset(session.dataset)
        self.strip = Gallery(self.thumbnails, on_error=self._failed, arrangement="strip", side=92)
        super().__init__(session, state, pause, start)

    @property
    def item(self) -> int:
        """The picture that is asked with, as galleries count."""
        if self.state.image is not None:
            return self.state.image
        dataset = self.session.dataset
        return len(dataset.images) + self.state.query if dataset.queries else 0

    @property
    def asked(self) -> str:
        """That picture in words."""
        return name_of(self.item, len(self.session.dataset.images))

    def _connect(self) -> None:
        super()._connect()
        self.guard.when_changed(self.state, self.state.trait_names(), self._ask)
        self.guard.observe(self.strip, "clicks", lambda: self._picked(self.strip.picked))
        images, queries = len(self.session.dataset.images), len(self.session.dataset.queries)
        ids = range(images, images + queries) if queries else range(images)
        self.strip.show(ids, title="Choose a query" if queries else "Choose a picture", ahead=False)

    def _picked(self, item: int) -> None:
        images = len(self.session.dataset.images)
        with self.state.hold_trait_notifications():
            if item >= images:
                self.state.query, self.state.image = item - images, None
            else:
                self.state.image = item

    def _ranking(self, setting: Setting) -> Ranking:
        """The database ranked for the picture that is asked with: (1, N)."""
        images = len(self.session.dataset.images)
        if self.item >= images:
            return self.session.rank_query(self.item - images, *setting)
        return self.session.rank_image(self.item, *setting)


def name_of(item: int, images: int) -> str:
    """A picture in words; those from number `images` on are queries."""
    return f"Query {item - images}" if item >= images else f"Database image {item}"


def opacity_slider(value: float) -> Any:
    """How strongly a heat map covers the picture."""
    return widgets.FloatSlider(
        min=0,
        max=1,
        step=0.05,
        value=value,
        description="opacity",
        readout_format=".2f",
        style=DESCRIPTION,
        layout=LAYOUT,
    )


def whole_slider(description: str, low: int, high: int, value: int) -> Any:
    """A slider of whole numbers."""
    return widgets.IntSlider(min=low, max=high, value=value, description=description, style=DESCRIPTION, layout=LAYOUT)


def side_by_side(side: list[Any], seen: list[Any]) -> Any:
    """Controls on the left, pictures on the right; below each other in a narrow window."""
    left = widgets.VBox(side, layout={"flex": "0 0 320px"})
    right = widgets.VBox(seen, layout={"flex": "1 1 320px", "min_width": "0"})
    return widgets.HBox([left, right], layout={"flex_flow": "row wrap"})


def offer_levels(menu: Any, run: Run) -> None:
    """Fill a menu with the levels of a run's protocol, once; hide it where there is only one."""
    if run.evaluation is None or len(menu.options) > 1:
        return
    levels = [level.name for level in run.evaluation.protocol.levels]
    if len(levels) > 1:
        menu.options = levels
        menu.value = "medium" if "medium" in levels else levels[0]
    else:
        menu.layout.display = "none"
