"""WhiteningLab: what a whitening does to variances, to cosines of pairs, and to mAP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.base.params import Parameter, Range, parameters
from cbirlab.whitening import WHITENINGS, Whitening
from cbirlab.widgets.panels.base_panel import SettingPanel, side_by_side
from cbirlab.widgets.parts import charts, views
from cbirlab.widgets.parts.controls import ALL, control, dimension_steps, menu, on_stop, option_slider, with_titles
from cbirlab.widgets.parts.drawing import stack_pictures, titled_sheet
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.study.explain.looker import WhiteningReport

SEPARATION = "Separation: how often, of a matching pair and another one, the matching pair has the larger cosine."


class WhiteningLab(SettingPanel):
    """Spectrum, cosine histograms of matching and other pairs, and mAP, before and after a whitening.

    Parameters
    ----------
    session, options : as in `SettingPanel`; of another panel's state, this panel follows the tap and the pooling.
    start : what the panel's own controls start with, including the whitening and the dimensions.
    whitening : the whitening to start with.

    Attributes
    ----------
    kind, sliders : menu of whitenings, and the slider of each (whitening, parameter).
    report : the `WhiteningReport` that is shown.
    """

    def __init__(
        self, session: Session, *, start: Mapping[str, Any] | None = None, whitening: str = "pca", **options: Any
    ) -> None:
        from cbirlab.study.explain import Looker

        self.looker = Looker(session)
        self.kind = menu(with_titles([*WHITENINGS], lambda _: WHITENINGS), description="whitening")
        self.sliders = {
            (name, one.name): control(one)
            for name in WHITENINGS
            for one in parameters(WHITENINGS[name]).values()
            if _slides(one)
        }
        given = Whitening.parse((start or {}).get("whitening", whitening))
        self.kind.value = given.name
        for (name, parameter), slider in self.sliders.items():
            if name == given.name and parameter in given.parameters:
                slider.value = given.parameters[parameter]
        self.dimensions = option_slider([("all", ALL)], description="dimensions")
        self.spectrum, self.before, self.after, self.metrics = (widgets.HTML() for _ in range(4))
        self.report: WhiteningReport | None = None
        self._wish = (start or {}).get("dimensions") or ALL
        self.moved = self.kind, self.dimensions, *self.sliders.values()
        super().__init__(session, start=start, **options)

    def _arranged(self) -> list[Any]:
        own = [*self.controls[:-2], self.kind, *self.sliders.values(), self.dimensions]
        cosines = widgets.HBox([self.before, self.after], layout={"flex_flow": "row wrap"})
        side = [*own, self.metrics, widgets.HTML(views.note(SEPARATION)), self.note]
        return [side_by_side(side, [self.spectrum, cosines])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.when_changed(self.state, ["tap", "attention", "aggregation", "parameters"], self.ask)

    @property
    def whitening(self) -> Whitening:
        """The whitening with its parameters, as recipes name it."""
        name = self.kind.value
        declared = parameters(WHITENINGS[name])
        given = {
            parameter: on_stop(declared[parameter].domain, slider.value)
            for (owner, parameter), slider in self.sliders.items()
            if owner == name
        }
        return Whitening(name, given)

    @property
    def setting(self) -> Setting:
        """The setting that is shown, as the arguments of `Session.rank`."""
        tap, aggregation = self.state.setting[:2]
        return Setting(tap, aggregation, self.whitening, self.dimensions.value or None)

    def _settings(self) -> Sequence[Setting]:
        return [self.setting]

    def _draw(self) -> None:
        self._offer()
        self.report = self.looker.whitening(*self.setting[:4])
        for html, (drawing, alt) in zip((self.spectrum, self.before, self.after), self._charts(), strict=True):
            html.value = drawing.svg(alt)

    def _draw_rest(self) -> None:
        """Show mAP before and after."""
        tap, aggregation, whitening = self.setting[:3]
        before = self.session.rank(tap, aggregation).metrics
        after = self.session.rank(*self.setting).metrics
        self.metrics.value = (
            views.note("Before:")
            + views.metrics_table(before)
            + views.note(f"After {whitening}:")
            + views.metrics_table(after)
            if views.levels_of(after)
            else views.metrics_table(after)
        )

    def _charts(self) -> list[tuple[Any, str]]:
        """Drawings, and the words that describe them."""
        if self.report is None:
            return []
        found = [(charts.spectrum_chart(self.report.spectrum), charts.spectrum_words(self.report.spectrum))]
        for cosines, title, words in (
            (self.report.before, "Before", "Before"),
            (self.report.after, "After", f"After {self.whitening}"),
        ):
            found.append((charts.cosine_chart(cosines, title), charts.cosine_words(cosines, words)))
        return found

    def _offer(self) -> None:
        """Show the sliders of this whitening, and offer as many dimensions as there are."""
        for (owner, _), slider in self.sliders.items():
            slider.layout.display = None if owner == self.kind.value else "none"
        ordered = WHITENINGS.info(self.kind.value).facts["ordered"]
        full = self.session.dimensions(*self.state.setting[:2])
        *fewer, most = dimension_steps(full)
        options = [*((str(step), step) for step in fewer), (f"{most} (all)", ALL)]
        self.dimensions.disabled = not ordered
        if tuple(options) != tuple(self.dimensions.options) or (not ordered and self.dimensions.value):
            wish = self.dimensions.value or self._wish
            wanted = wish if ordered and wish in fewer else ALL
            self._wish = ALL
            with self.hold_trait_notifications():
                self.dimensions.options = options
                self.dimensions.value = wanted

    def _sheet(self) -> Any:
        if self.report is None:
            return None
        sheet = stack_pictures([drawing.image() for drawing, _ in self._charts()])
        return titled_sheet(sheet, self.setting.words, "")


def _slides(parameter: Parameter) -> bool:
    """Whether a parameter gets a control: if it is a choice, or a range with steps."""
    stepped = not isinstance(parameter.domain, Range) or parameter.domain.step is not None
    return stepped and parameter.default is not None
