"""InlierView: which matches of a query and a result agree on one place, and where that puts the query's outline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.base.params import parameters
from cbirlab.reranking import RERANKERS
from cbirlab.reranking.geometry import Fit, outline_area
from cbirlab.reranking.keypoints import Keypoints
from cbirlab.reranking.spatial import verify
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel
from cbirlab.widgets.parts import pair_charts, views
from cbirlab.widgets.parts.drawing import Drawing, stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.method_control import parameter_control, values_of_controls
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.parts.snapshot import picture_sheet

if TYPE_CHECKING:
    from cbirlab.live import Session

SHOWN = 16
KIND = "keypoints"
CONTROLS = "model", "ratio", "pixels"
ABOUT = (
    "Yellow lines are matches that agree with one model, pale ones are rejected. The blue outline is that of the query "
    "as it was cut, carried over by the model. Chance alone makes a few agree: compare with wrong results."
)


class InlierView(LookPanel):
    """A query and one of its results side by side, with the matches of their keypoints.

    Parameters
    ----------
    session, given : as in `LookPanel`.
    shown : results to choose from.

    Attributes
    ----------
    sliders : of model, ratio and tolerance in pixels, by name.
    results : the first results; a click chooses one.
    image : row of the chosen one; None for the first.
    fit : the model with its inliers; None before the first drawing.
    """

    def __init__(self, session: Session, *, shown: int = SHOWN, **given: Any) -> None:
        self._declared = {name: parameters(RERANKERS["spatial"])[name] for name in CONTROLS}
        self.sliders = {name: parameter_control(one) for name, one in self._declared.items()}
        self.moved = [*self.sliders.values()]
        self.shown, self.said = shown, widgets.HTML()
        self.image: int | None = None
        self.fit: Fit | None = None
        self._asked = -1  # the query to which `image` belongs
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.pictures = self.session.bench.pictures
        self.results = Gallery(self.thumbnails, on_error=self.show_error, arrangement="strip", side=92)
        side = [*self.sliders.values(), self.said, *self.controls, widgets.HTML(views.note(ABOUT)), self.note]
        return [side_by_side(side, [self.results, self.chart])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.results, "clicks", lambda: self.choose(self.results.picked))

    def choose(self, image: int) -> None:
        """Match another result with the query."""
        self.image = image
        self.ask()

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the sliders."""
        return values_of_controls(self.sliders, self._declared)

    def _draw(self) -> None:
        dataset, question = self.session.dataset, self.question
        self.strip.current = self.item
        found: Results = question.results(dataset, question.rank(self.session, self.state.setting), shown=self.shown)
        if not found.rows:
            raise ValueError("InlierView: this picture has no descriptor, so it finds nothing; choose another one.")
        found.show_in(self.results)
        if self._asked != self.item or self.image is None:
            self.image, self._asked = found.rows[0], self.item
        self.results.current = self.image
        query, image = (self._keypoints(item) for item in (self.item, self.image))
        pairs, self.fit = verify(query, image, **self.parameters)
        self._places = query.places[pairs[:, 0]], image.places[pairs[:, 1]]
        self._counts = len(query), len(image)
        drawn, alt = self._chart()
        self.chart.value = drawn.svg(alt)
        self.said.value = views.note(self._words())

    def _keypoints(self, item: int) -> Keypoints:
        images = len(self.session.dataset.images)
        of_query = item >= images
        found = self.pictures.of_queries(KIND, [item - images]) if of_query else self.pictures.of_images(KIND, [item])
        return found[0]

    def _chart(self) -> tuple[Drawing, str]:
        if self.fit is None or self.image is None:
            raise RuntimeError("there is nothing to draw yet")
        pictures = self.looker.picture(self.item), self.looker.picture(self.image)
        agree = f"{self.fit.inliers} of {len(self._places[0])} matches agree"
        title = f"{self.question.words} and database image {self.image}: {agree}"
        return pair_charts.inlier_chart(pictures, self._places, self.fit, title), f"{title}. {self._box_words()}"

    def _words(self) -> str:
        """Keypoints, matches and inliers, or which picture has no keypoints."""
        if self.fit is None:
            return ""
        left, right = self._counts
        if not left or not right:
            which = "Neither picture has" if not (left or right) else "The query has" if not left else "This result has"
            none = "keypoints" if not (left or right) else "no keypoints"
            return f"{which} {none}, so there is nothing to match."
        return (
            f"{left} keypoints in the query, {right} in the result; {len(self._places[0])} matches pass the ratio "
            f"test, {self.fit.inliers} of them agree. {self._box_words()}"
        )

    def _box_words(self) -> str:
        if self.fit is None or self.fit.model is None:
            return "There is no model."
        height, width = self.looker.picture(self.item).shape[:2]
        box = self.fit.box((height, width))
        if box is None:
            return "There is no credible box: no camera could have seen the query so."
        area = outline_area(box) / (height * width)
        return f"The query's outline covers {area:.2f} times its area in the result."

    def _sheet(self) -> Any:
        if self.fit is None:
            return None
        return stack_pictures(
            [picture_sheet(self.results.marked(), title=self.results.title), self._chart()[0].image()]
        )
