"""DiffusionHeat: how diffusion spreads from a query over its first results, step by step, and when it is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.base.params import parameters
from cbirlab.base.recent import Recent
from cbirlab.evaluation import title_of
from cbirlab.reranking import RERANKERS
from cbirlab.study.explain.heat import MOST_STEPS, Curve, Heat, spread_heat, step_curve
from cbirlab.study.explain.local_map import NEARBY, LocalMap, map_of_results
from cbirlab.study.explain.rerank_lens import ask_all, rerank_one
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel
from cbirlab.widgets.panels.rerank_beside import FIELD
from cbirlab.widgets.parts import map_charts, views
from cbirlab.widgets.parts.controls import option_slider
from cbirlab.widgets.parts.drawing import Drawing, stack_pictures
from cbirlab.widgets.parts.method_control import parameter_control, values_of_controls
from cbirlab.widgets.parts.results import count_right
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    from cbirlab.live import Session

SLIDERS = "k", "kq", "alpha", "gamma"
SOLVED = MOST_STEPS + 1
KEPT = 256
MOST_JUDGED = 1 << 22
"""Numbers (Q, N) that the curve may need at each step."""

ABOUT = (
    "Dots are the first results in the plane of their two leading principal axes; lines join images that are both "
    "among the other's k nearest. Each step takes f at most one line further; the solution is where it ends."
)


class DiffusionHeat(LookPanel):
    """Diffusion on the map of a query's first results, and the mean over all queries after each step.

    Parameters
    ----------
    session, given : as in `LookPanel`; images have one vector each.
    step : of conjugate gradients to start with, 0 to 20; 21 is the solution.
    nearby : results on the map.

    Attributes
    ----------
    step : slider of the steps.
    sliders : of k, kq, alpha and gamma, by name.
    heat, seen : f after each step, and the `LocalMap`; None before the first drawing.
    found : the `Curve` over the steps at the present parameters; None before it is computed, and without ground truth.
    """

    def __init__(self, session: Session, *, step: int = 3, nearby: int = NEARBY, **given: Any) -> None:
        stops = [*((str(one), one) for one in range(SOLVED)), ("solved", SOLVED)]
        self.step = option_slider(stops, description="steps", value=step)
        self._declared = {name: one for name, one in parameters(RERANKERS["diffusion"]).items() if name in SLIDERS}
        self.sliders = {name: parameter_control(one) for name, one in self._declared.items()}
        self.moved = self.step, *self.sliders.values()
        self.said, self.curve = widgets.HTML(), widgets.HTML()
        self.heat: Heat | None = None
        self.seen: LocalMap | None = None
        self.nearby = nearby
        self._heats, self._curves = Recent(4), Recent(KEPT)
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        side = [
            self.step,
            *self.sliders.values(),
            *self.controls,
            self.said,
            widgets.HTML(views.note(ABOUT)),
            self.note,
        ]
        return [side_by_side(side, [self.chart, self.curve])]

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the sliders."""
        return values_of_controls(self.sliders, self._declared)

    @property
    def found(self) -> Curve | None:
        """The curve over the steps, if it is there."""
        return self._curves.get(self._key, lambda: None) if self._key in self._curves else None

    @property
    def _key(self) -> tuple[Any, ...]:
        return self.state.setting, *self.parameters.values()

    def _settings(self) -> Sequence[Setting]:
        given = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return [self.state.setting.with_stage(FIELD, chain) for chain in ("none", f"diffusion({given}, steps=1)")]

    def _draw(self) -> None:
        self.strip.current = self.item
        self.heat, self.seen = self._heats.get((self._key, self.item), self._spread)
        self._kinds = self.question.kinds(self.session.dataset, self.seen.images.tolist())
        words = self._words(self.heat, self.seen)
        self.chart.value = self._map(self.heat, self.seen).svg(f"{self._title}. {words}")
        self.said.value = views.note(words)
        self._show_curve()

    def _spread(self) -> tuple[Heat, LocalMap]:
        found = rerank_one(self.session, self._settings()[1], self.item)
        return spread_heat(found.before, **self.parameters), map_of_results(found.before, self.nearby)

    @property
    def _title(self) -> str:
        step = self.step.value
        steps = "the solution" if step == SOLVED else f"after {step} step{'s' * (step != 1)}"
        return f"{self.question.words}: f of its first results, {steps}"

    def _map(self, heat: Heat, seen: LocalMap) -> Drawing:
        step = self.step.value
        return map_charts.heat_chart(seen, self._kinds, heat.values[step], heat.reached[step], heat.edges, self._title)

    def _words(self, heat: Heat, seen: LocalMap) -> str:
        reached = heat.reached[self.step.value]
        shown = reached[seen.images]
        said = (
            f"f has reached {int(reached.sum())} of {len(reached)} images, {int(shown.sum())} of the {len(shown)} shown"
        )
        if any(self._kinds):
            right = count_right(kind for kind, one in zip(self._kinds, shown, strict=True) if one)
            said += f", {right} of these right"
        return f"{said}. It is solved after {heat.solved_after} steps."

    def _draw_rest(self) -> None:
        if not self._why_none:
            self._curves.get(self._key, self._judged)
            self._show_curve()

    def _judged(self) -> Curve:
        answers, recipe = ask_all(self.session, self._settings()[1]), self.session.recipe(*self.state.setting)
        return step_curve(answers, self.session.dataset, recipe, **self.parameters)

    @property
    def _why_none(self) -> str:
        """Why there is no curve; empty if there is one."""
        dataset = self.session.dataset
        if not dataset.labels:
            return "There is no ground truth, so no step is better than another."
        many = len(dataset.queries) * len(dataset.images) > MOST_JUDGED
        return "The curve over the steps is left out: there are too many images for it." if many else ""

    def _show_curve(self) -> None:
        drawn, alt = self._steps_chart()
        self.curve.value = views.note(self._why_none) if self._why_none else drawn.svg(alt)

    def _steps_chart(self) -> tuple[Drawing, str]:
        """The curve, or its room until it is computed, and the words that describe it."""
        found, step = self.found, self.step.value
        if found is None:
            room, words = Drawing(*map_charts.CURVE), "The mean over all queries after each step is being computed"
            room.text(46, 11, words, size=13)
            return room, words
        best = int(np.nanargmax(found.values))
        title = (
            f"{title_of(found.metric)} of all queries: {found.values[step]:.3f} here, {found.values[0]:.3f} before, "
            f"best {found.values[best]:.3f} {'solved' if best == SOLVED else f'at step {best}'}"
        )
        return map_charts.curve_chart(found.values.tolist(), step, title), title

    def _sheet(self) -> Any:
        if self.heat is None or self.seen is None:
            return None
        pictures = [self._map(self.heat, self.seen).image()]
        if not self._why_none:
            pictures.append(self._steps_chart()[0].image())
        return stack_pictures(pictures)
