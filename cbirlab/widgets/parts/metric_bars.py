"""The mAP of the setting on show as bars, and under each of them thin bars of the settings that are pinned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as widgets

from cbirlab import tables
from cbirlab.evaluation import largest
from cbirlab.pipeline.added import search_fields
from cbirlab.widgets.parts import views

if TYPE_CHECKING:
    from cbirlab.pipeline import Run
    from cbirlab.widgets.parts.comparison import Comparison

MOST = 4
"""Pinned settings that have thin bars, each in its colour: the first, which others are tested against, and the last."""


class Pin(NamedTuple):
    """A pinned setting: its number in the table, what it is called there, its row, and whether it is on show now."""

    number: int
    name: str
    row: Mapping[str, Any]
    now: bool


class MetricBars(widgets.HTML):
    """The metrics of what is shown beside those of what is pinned.

    Parameters
    ----------
    comparison : the pinned settings; the thin bars follow them.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._shown: tuple[Run, Mapping[str, views.Lead]] | None = None
        super().__init__()
        comparison.guard.observe(comparison.table, "value", self._draw)

    def show(self, run: Run, leads: Mapping[str, views.Lead]) -> None:
        """Show what a run gave, and what it was before as in `views.metrics_table`."""
        self._shown = run, leads
        self._draw()

    def _draw(self) -> None:
        if self._shown is None:
            return
        run, leads = self._shown
        rows = [one.row for one in self._comparison.pinned]
        pins = pins_of(rows, run.recipe.to_json() if rows else "")
        under = {name: thin_bars(pins, name) for name in views.levels_of(run.metrics)} if pins else {}
        self.value = views.metrics_table(run.metrics, leads, under) + legend(pins)


def pins_of(rows: Sequence[Mapping[str, Any]], recipe: str) -> list[Pin]:
    """The first row and the last ones, `MOST` together, by names that tell all rows apart.

    Parameters
    ----------
    rows : as `cbirlab.pipeline.table_row` makes them.
    recipe : of what is shown now, as JSON.
    """
    names = names_of(rows)
    kept = [*range(len(rows))] if len(rows) <= MOST else [0, *range(len(rows) - MOST + 1, len(rows))]
    return [Pin(place + 1, names[place], rows[place], rows[place].get("recipe") == recipe) for place in kept]


def names_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What rows are called: tap, pooling, whitening and dimensions, and what else of the setting they differ in."""

    def differing(names: Iterable[str]) -> list[str]:
        return [name for name in names if len({str(row.get(name)) for row in rows}) > 1]

    shown = [*differing(("backbone", "weights")), *tables.CORE[1:], *differing(search_fields())]
    return [" · ".join(str(row[name]) for name in shown if row.get(name) not in (None, "")) for row in rows]


def thin_bars(pins: Sequence[Pin], metric: str) -> str:
    """A thin bar of each pinned setting, the first on top."""
    bars = "".join(
        f"<u data-pin='{place}' style='width:{100 * value / largest(metric):.1f}%' "
        f"title='{escape(f'{pin.number}: {pin.name}: {views.number(value)}')}'></u>"
        for place, pin in enumerate(pins)
        if not math.isnan(value := float(pin.row.get(metric, math.nan)))
    )
    return f"<span class='cbirlab-pins'>{bars}</span>" if bars else ""


def legend(pins: Sequence[Pin]) -> str:
    """What the thin bars are, a line each; the whole name and all metrics of one on hover and focus."""
    return "".join(_entry(place, pin) for place, pin in enumerate(pins))


def _entry(place: int, pin: Pin) -> str:
    values = {name: float(pin.row[name]) for name in views.levels_of(dict.fromkeys(pin.row, 0.0))}
    told = ", ".join(f"{views.label_of(name)} {views.number(value)}" for name, value in values.items())
    now = " <em>(shown now)</em>" if pin.now else ""
    return (
        f"<div class='cbirlab-pin' tabindex='0' data-pin='{place}'><i></i>{pin.number} {escape(pin.name)}{now}"
        f"<small>{escape(told)}</small></div>"
    )
