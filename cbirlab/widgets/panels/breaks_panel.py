"""What breaks several settings, in one chart: how well right answers rank, by what changed between the two pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import Dict

from cbirlab.aggregation import Aggregation
from cbirlab.base.progress import bar
from cbirlab.study.perturbation import FACTORS, MEASURES, by_factor, pairs
from cbirlab.whitening import Whitening
from cbirlab.widgets.panels.base_panel import SettingPanel, side_by_side
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.snapshot import figure_html, on_white
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.live import Session

PAUSE = 0.15


class BreaksPanel(SettingPanel):
    """Several settings in one chart, against what changed between query and right answer; for Toytown's pairs.

    Parameters
    ----------
    session, given : as in `SettingPanel`; the button adds the setting of the controls, or of the state.
    settings : the settings to start with, each as the arguments of `Session.rank`.
    pause : seconds between a request and the chart; 0 draws at once.
    """

    settings = Dict()

    searches = True

    def __init__(
        self, session: Session, settings: Sequence[Sequence[Any]] = (), *, pause: float = PAUSE, **given: Any
    ) -> None:
        self.factor = menu([(about.title, name) for name, about in FACTORS.items()], description="change of")
        self.measure = menu([(title, name) for name, title in MEASURES.items()], description="measure")
        self.add_button = widgets.Button(description="Add this setting", icon="plus")
        self.clear_button = widgets.Button(description="Clear", layout={"width": "70px"})
        self.table = widgets.HTML()
        self._pairs: dict[Setting, pd.DataFrame] = {}
        self.moved = self.factor, self.measure
        super().__init__(session, pause=pause, **given)
        for one in settings:
            self.add(*one)

    def _arranged(self) -> list[Any]:
        buttons = widgets.HBox([self.add_button, self.clear_button])
        side = [*self.controls, buttons, self.factor, self.measure]
        return [side_by_side(side, [self.chart, self.note, self.table])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self, "settings", self.ask)
        self.guard.clicked(self.add_button, lambda: self.add(*self.state.setting))
        self.guard.clicked(self.clear_button, self.clear)

    def add(
        self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None, stages: Any = ()
    ) -> None:
        """Add a line to the chart, unless it is there already."""
        setting = Setting(tap, Aggregation.parse(aggregation), Whitening.parse(whitening), dimensions, tuple(stages))
        self.settings = {**self.settings, setting.words: setting}

    def clear(self) -> None:
        """Remove all lines from the chart."""
        self.settings = {}

    def _settings(self) -> Sequence[Setting]:
        return [*self.settings.values()]

    def _draw(self) -> None:
        if not self.settings:
            self.chart.value = self.table.value = ""
            self.note.value = views.note("No setting yet: 'Add this setting' draws one.")

    def _pairs_of(self, setting: Setting) -> pd.DataFrame:
        if setting not in self._pairs:
            run = self.session.rank(*setting)
            self._pairs[setting] = pairs(run.ranking, run.dataset)
        return self._pairs[setting]

    def _draw_rest(self) -> None:
        from cbirlab.plots import factor_lines

        settings = bar(self.settings.items(), desc="settings", unit="setting", show=False)
        frames = {name: self._pairs_of(setting) for name, setting in settings}
        if frames:
            found = by_factor(frames, self.factor.value)
            self.chart.value = figure_html(factor_lines(found, self.measure.value))
            self.table.value = factor_table(found, self.measure.value)

    def _sheet(self) -> Any:
        from cbirlab.plots import factor_lines, png

        ready = {name: setting for name, setting in self.settings.items() if self.session.ready(*setting)}
        if not ready or self.error.value:
            return None
        found = by_factor({name: self._pairs_of(setting) for name, setting in ready.items()}, self.factor.value)
        return on_white(png(factor_lines(found, self.measure.value)))


def factor_table(found: pd.DataFrame, measure: str) -> str:
    """The numbers of the chart: settings down, bins across, each with its interval."""
    bins = found.drop_duplicates("bin")
    sizes = zip(bins["bin"], bins["pairs"], strict=True)
    head = "".join(f"<th scope='col'>{escape(name)} ({size} pairs)</th>" for name, size in sizes)
    rows = []
    for name, part in found.groupby("setting", sort=False):
        values = zip(part[measure], part[f"{measure}_low"], part[f"{measure}_high"], strict=True)
        cells = "".join(f"<td>{mean:.3f} [{low:.3f}, {high:.3f}]</td>" for mean, low, high in values)
        rows.append(f"<tr><th scope='row'>{escape(str(name))}</th>{cells}</tr>")
    table = f"<table class='cbirlab-comparison'><tr><th></th>{head}</tr>{''.join(rows)}</table>"
    return f"<div class='cbirlab-wide'>{table}</div>"
