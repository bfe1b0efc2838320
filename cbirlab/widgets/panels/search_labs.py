"""What a way of searching costs and keeps: ParetoExplorer over many of them, DialLab along the dial of one index."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets

from cbirlab.base.progress import bar
from cbirlab.compression.library import has_faiss
from cbirlab.evaluation import title_of
from cbirlab.widgets.panels.base_panel import SettingPanel, side_by_side
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.drawing import Drawing, titled_sheet
from cbirlab.widgets.parts.search_charts import (
    Found,
    dial_chart,
    dial_words,
    front,
    pareto_chart,
    pareto_words,
)
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    from cbirlab.index import IndexMethod
    from cbirlab.pipeline import Run

Stages = tuple[tuple[str, Any], ...]

BITS = (16, 32, 64, 128, 256)
SHORTLIST = 100
STATE = ("tap", "attention", "aggregation", "parameters", "whitening", "dimensions", "stages")


class SearchLab(SettingPanel):
    """Base of panels that measure many ways of searching the same descriptors, in a thread, and keep what they found.

    Parameters
    ----------
    session, given : as in `SettingPanel`; the dataset has ground truth.

    Attributes
    ----------
    found : setting to what was measured, or to why it could not be.
    """

    searches = True

    def __init__(self, session: Any, **given: Any) -> None:
        if not session.dataset.labels:
            raise ValueError(f"{type(self).__name__}: needs ground truth, and {session.dataset.name} has none.")
        self.found: dict[Setting, Found | str] = {}
        self.facts = widgets.HTML()
        self._drawn: tuple[Drawing, str] | None = None
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        for control in self.controls[-1:]:
            control.selected_index = 0  # the fold of the search is what this panel is about
        return [side_by_side([*self.controls, self.note], [self.chart, self.facts])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.when_changed(self.state, STATE, self.ask)

    def _measured_as(self, stages: Mapping[str, Any]) -> Setting:
        return Setting(*self.state.setting[:4], tuple(stages.items()))

    def _compared(self) -> Sequence[Setting]:
        """What is to be measured beside the setting of the controls."""
        raise NotImplementedError

    def _show(self, here: Found) -> tuple[Drawing, str]:
        """The drawing and its words, from what is known so far."""
        raise NotImplementedError

    def _draw(self) -> None:
        here = self._measure(self.state.setting)
        missing = [one for one in self._compared() if one not in self.found]
        self._drawn = self._show(here)
        self.chart.value = self._drawn[0].svg(self._drawn[1])
        if missing:
            title = f"Measuring {len(missing)} ways of searching, this once"
            self.work.start(tuple(missing), title, lambda: self._measure_all(missing))

    def _measure_all(self, settings: Sequence[Setting]) -> None:
        for one in bar(settings, desc="measured", unit="search", show=False):
            try:
                self.found[one] = self._measure(one, timed=True)
            except (ValueError, ImportError) as error:  # too few rows, more bits than dimensions: that is said
                self.found[one] = str(error)

    def _measure(self, setting: Setting, *, timed: bool = False) -> Found:
        run = self.session.rank(*setting)
        if timed:
            with self.session.lock:
                run = self.session.bench.timed(run)
        return Found(
            words=", ".join(setting.searched) or "full rows",
            family=_family(run),
            size=run.bytes_per_image,
            score=run.metrics[self._metric(run)],
            ms=run.ms_per_query,
            rescored=bool(run.recipe.rescore),
            recall=run.recall,
            visited=self._visited(run),
        )

    def _visited(self, run: Run) -> float:
        """Share of the database that a search looks at; NaN where nobody asks."""
        return math.nan

    @staticmethod
    def _metric(run: Run) -> str:
        assert run.evaluation is not None  # there is ground truth
        return run.evaluation.protocol.headline

    @property
    def metric(self) -> str:
        """What the score is called."""
        return title_of(self._metric(self.session.rank(*self.state.setting)))

    def _known(self) -> list[tuple[Setting, Found]]:
        found = ((one, self.found.get(one)) for one in self._compared())
        return [(one, point) for one, point in found if isinstance(point, Found)]

    def _sheet(self) -> Any:
        if self._drawn is None:  # its code is still learning
            self.work.wait()
        return self._drawn and titled_sheet(self._drawn[0].image(), self.state.setting.words, "")


class ParetoExplorer(SearchLab):
    """Bytes per image against mAP: a grid of codes with and without re-scoring, and a ring for the controls.

    Parameters
    ----------
    session, given : as in `SearchLab`.
    """

    def _compared(self) -> Sequence[Setting]:
        width = self.session.dimensions(*self.state.setting[:2]) if self.state.setting.dimensions is None else 0
        grid = grid_of(width or int(self.state.setting.dimensions or 0))
        return [self._measured_as(stages) for stages in ({}, *grid)]

    def _show(self, here: Found) -> tuple[Drawing, str]:
        points = [point for _, point in self._known()]
        exact = self._measure(self._measured_as({}))
        share = f"{here.score / exact.score:.0%}" if exact.score else "no share"
        said = f"The ring is {here.words}: {here.size:.0f} bytes, {self.metric} {here.score:.3f}, {share} of full rows."
        if here.rescored:
            said += f" Re-scoring reads full rows of {exact.size:.0f} bytes too, which may lie on a disk."
        self.facts.value = views.note(said) + front_table(front(points), self.metric)
        return pareto_chart(points, exact, here, self.metric), pareto_words(points, exact, self.metric)


class DialLab(SearchLab):
    """Recall of the exact list, mAP and share of the database visited, along the dial of IVF or HNSW.

    Parameters
    ----------
    session, given : as in `SearchLab`; it starts with index "ivf".
    """

    def __init__(self, session: Any, *, start: Mapping[str, Any] | None = None, **given: Any) -> None:
        if start is None and "state" not in given:
            start = {"stages": {"index": "ivf"}}
        super().__init__(session, start=start, **given)

    @property
    def index(self) -> IndexMethod:
        """The index of the controls."""
        return self.session.recipe(*self.state.setting).index

    def _draw(self) -> None:
        if self.index.fact("dials"):
            super()._draw()
        else:
            self.chart.value = self.facts.value = ""
            self.note.value = views.note(f"Index {self.index} has no dial: choose ivf or hnsw in the fold 'Search'.")

    def _stops(self) -> list[tuple[int, Setting]]:
        (dial,), index = self.index.fact("dials"), self.index
        built = self.session.bench.index(self.session.recipe(*self.state.setting))
        most = getattr(built, "lists_", len(self.session.dataset.images))
        stops = sorted({*(2**power for power in range(most.bit_length()) if 2**power <= most), most})
        turned = [type(index)(index.name, {**index.parameters, dial: stop}) for stop in stops]
        stages = [{**self.state.stages, "index": one} for one in turned]
        return [(stop, self._measured_as(one)) for stop, one in zip(stops, stages, strict=True)]

    def _compared(self) -> Sequence[Setting]:
        return [setting for _, setting in self._stops()]

    def _visited(self, run: Run) -> float:
        with self.session.lock:
            queries, index = self.session.bench.pair(run.recipe)[1].values, self.session.bench.index(run.recipe)
            return cast(Any, index).share_visited(queries)

    def _show(self, here: Found) -> tuple[Drawing, str]:
        stops = [(stop, self.found.get(setting)) for stop, setting in self._stops()]
        points = [(stop, point) for stop, point in stops if isinstance(point, Found)]
        dial, metric = self.index.fact("dials")[0], self.metric
        turned = self.index.parameters[dial] or min(8, stops[-1][0])
        if len(points) < len(stops):  # still being measured
            return dial_chart([*points, (turned, here)], (turned, here), dial, metric), here.words
        end = points[-1][1]
        self.facts.value = views.note(
            f"The ring is {here.words}: recall@10 {here.recall:.3f}, {metric} {here.score:.3f}, {here.visited:.0%} of "
            f"the database compared with the query. With {dial} {stops[-1][0]}, recall is {end.recall:.3f} and "
            f"{metric} {end.score:.3f}: what is missing even then, the code has lost."
        )
        return dial_chart(points, (turned, here), dial, metric), dial_words(points, dial, metric)


def grid_of(width: int) -> list[dict[str, Any]]:
    """Codes of rows of `width` dimensions, each alone and with re-scoring, as stages of a setting."""
    bits = [one for one in BITS if one <= width]
    codes = ["float16", "sq(bits=8)", "sq(bits=4)"]
    codes += [f"truncate(dimensions={one})" for one in (8, 16, 32, 64) if one < width]
    codes += [f"{name}(bits={one}{distance})" for one in bits for name, distance in
              (("lsh", ""), ("itq", ""), ("itq", ", distance=asymmetric"))]  # fmt: skip
    if has_faiss():
        codes += [f"pq(m={m}, bits=4)" for m in (8, 16, 32, 64) if width % m == 0]
    return [{"compression": code, **more} for code in codes for more in ({}, {"rescore": SHORTLIST})]


def front_table(points: Sequence[Found], metric: str) -> str:
    """The points that no other beats, as a table."""
    columns = "best for their bytes", "bytes", metric, "ms per query, in batches"
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = "".join(
        f"<tr><td>{escape(one.words)}</td><td>{one.size:.0f}</td><td>{one.score:.3f}</td><td>{one.ms:.3f}</td></tr>"
        for one in points
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _family(run: Run) -> str:
    code = run.recipe.compression
    if not code.used:
        return "full rows"
    if code.fact("binary") or code.name == "rabitq":
        return "bits"
    return "product quantisation" if code.name in ("pq", "opq") else "numbers"
