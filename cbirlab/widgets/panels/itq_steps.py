"""ITQSteps: ITQ in the plane of two principal axes, iteration by iteration, from PCAH or from a random rotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.study.explain.rotations import Turn, objective_curve, plane_of, quadrants, start_of, turns
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.code_panel import CodePanel
from cbirlab.widgets.panels.look_panel import whole_slider
from cbirlab.widgets.parts import code_charts, views
from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.drawing import Drawing, stack_pictures

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.study.explain.code_lens import Coded

MOST_ITERATIONS, MOST_FIRST = 20, 30
ANGLES = np.arange(0.0, 90.5, 0.5)
STARTS = [("PCAH: the axes themselves", "pcah"), ("a random rotation", "random")]
ABOUT = "Points are the images that codes learn on, scaled so that their mean square is 1: the rotation is the same."


class ITQSteps(CodePanel):
    """ITQ under the loupe: two axes, four quadrants, an iteration at a time.

    Parameters
    ----------
    session, given : as in `CodePanel`.

    Attributes
    ----------
    start, seed : where ITQ begins; `seed` is that of the random rotation.
    iteration, first : sliders of the iteration, and of the first of the two axes.
    steps : the `Turn` of each iteration.
    """

    usual = "itq(bits=2)"
    hidden = ("bits", "distance", "seed")

    @staticmethod
    def offered() -> Sequence[str]:
        """ITQ."""
        return ("itq",)

    def __init__(self, session: Session, **given: Any) -> None:
        self.start = menu(STARTS, description="start")
        self.seed = whole_slider("seed", 0, 7, 0)
        self.iteration = whole_slider("iteration", 0, MOST_ITERATIONS, 0)
        self.first = whole_slider("first axis", 1, MOST_FIRST, 1)
        self.plane, self.objective, self.angle = (widgets.HTML() for _ in range(3))
        self.steps: list[Turn] = []
        self.moved = self.start, self.seed, self.iteration, self.first
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.code.method.layout.display = "none"
        more = self.start, self.seed, self.iteration, self.first
        charts = widgets.VBox([self.objective, self.angle], layout={"flex": "1 1 320px", "min_width": "0"})
        seen = widgets.HBox([self.plane, charts], layout={"flex_flow": "row wrap"})
        return [side_by_side([*self._side(*more), widgets.HTML(views.note(ABOUT))], [seen])]

    def _show(self, coded: Coded) -> None:
        self.seed.layout.display = None if self.start.value == "random" else "none"
        mean, axes = plane_of(coded.train, self.first.value - 1)
        points = (coded.train - mean) @ axes
        self.steps = turns(points, start_of(self.start.value, self.seed.value), MOST_ITERATIONS)
        self._curve = objective_curve(points, ANGLES)
        rotation = self.steps[self.iteration.value].rotation
        self._points, self._query = points @ rotation, ((self._row(coded) - mean) @ axes) @ rotation
        for html, (drawing, alt) in zip((self.plane, self.objective, self.angle), self._charts(), strict=True):
            html.value = drawing.svg(alt)
        self.said.value = views.note(self._words())

    def _charts(self) -> list[tuple[Drawing, str]]:
        """Drawings, and the words that describe them."""
        if not self.steps:
            return []
        step, first = self.iteration.value, self.first.value
        now = self.steps[step]
        counts = np.bincount(quadrants(self._points), minlength=4).tolist()
        title = f"Axes {first} and {first + 1}, turned by {now.angle:.0f}°"
        return [
            (
                code_charts.quadrant_chart(self._points, self._query, title),
                f"{title}; images in the quadrants: {counts}",
            ),
            (code_charts.steps_chart(self.steps, step), f"Objective at iteration {step}: {now.objective:.4f}"),
            (
                code_charts.angle_chart(ANGLES, self._curve, self.steps, step),
                f"Objective over the angle, now {now.angle:.0f}",
            ),
        ]

    def _words(self) -> str:
        ends = self.steps[0].objective, self.steps[-1].objective
        best = float(self._curve.min())
        there = (
            "no angle has a smaller one."
            if ends[1] - best < 1e-4
            else f"the best angle has {best:.4f}: ITQ goes down to the next hollow, and stays there."
        )
        return f"The objective falls from {ends[0]:.4f} to {ends[1]:.4f} in {MOST_ITERATIONS} iterations; {there}"

    def _still(self, coded: Coded) -> Any:
        return stack_pictures([drawing.image() for drawing, _ in self._charts()])
