"""Charts of a training: its curves, and the map of a dataset on which the pictures move as the network learns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.widgets.parts.code_charts import BLUE, GOLD, GREEN, ORANGE, PINK, Chart
from cbirlab.widgets.parts.drawing import DIM, INK, Drawing, Points

if TYPE_CHECKING:
    from cbirlab.adaptation.steps import Step

SIZE, MAP, EMPTY = (292, 176), (600, 430), (600, 60)
FEWEST_LEVELS = 0.01
"""Least height of the axis of an mAP: below it, what moves is noise."""

NAMED = 6
"""Instances with a colour and a shape of their own on the map."""

COLOURS = (BLUE, ORANGE, GREEN, PINK, GOLD, "#3f9fd8")
MARGIN = 0.12
FEW = 200
"""Pictures up to which all have a line on the map; of more, those of the named instances."""

FARTHEST = 2.0
"""Largest distance of two descriptors of length one."""


def loss_chart(steps: Sequence[Step], most: int) -> Drawing:
    """Loss of each batch, and the share of its rows that the loss moved, from 0 at the foot to 1 near the top."""
    losses = [one.loss for one in steps if not math.isnan(one.loss)]
    low, high = (min(losses), max(losses)) if losses else (0.0, 1.0)
    room = max(0.1 * (high - low), 0.01 * abs(high), 1e-6)
    chart = _chart(most, (low - room, high + room), "Loss")
    if losses:
        foot, height = chart.up[0], 0.94 * (chart.up[1] - chart.up[0])
        active = [(one.step, foot + one.active * height) for one in steps[1:]]
        _line(chart, active, ORANGE, dashed=True)
        _line(chart, [(one.step, one.loss) for one in steps[1:]], BLUE)
    _end(chart, most, [low, high] if losses else [], ".3g")
    _key(chart, [("rows moved, 0 to 1", ORANGE, True)])
    return chart


def score_chart(steps: Sequence[Step], most: int, benchmark: Sequence[tuple[int, float]], kept: int | None) -> Drawing:
    """The mAP among identities held out, the benchmark where it was judged, and the best step so far."""
    held = [(one.step, one.held_out) for one in steps if not math.isnan(one.held_out)]
    judged = [one for one in benchmark if not math.isnan(one[1])]
    values = [value for _, value in (*held, *judged)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = max(0.15 * (high - low), (FEWEST_LEVELS - (high - low)) / 2)
    chart = _chart(most, (low - room, high + room), "mAP")
    _line(chart, judged, ORANGE, dashed=True, dots=True)
    _line(chart, held, BLUE, dots=True)
    best = next((value for step, value in held if step == kept), None)
    if best is not None and kept is not None:
        x, y = chart.at(kept, best)
        chart.area([(x, y - 7), (x + 6, y), (x, y + 7), (x - 6, y)], GREEN)
    _end(chart, most, [low, high] if values else [], ".3f")
    named = [("held out", BLUE, False)] if held else []
    _key(chart, named + ([("benchmark", ORANGE, True)] if judged else []))
    if best is not None:
        chart.text(chart.width - 12, chart.height - 44, "◆ the best so far", anchor="end", colour=GREEN, size=11)
    if not held and steps:
        chart.text(chart.width / 2, chart.height / 2, "nothing is held out", anchor="middle", colour=DIM, size=11)
    return chart


def spread_chart(steps: Sequence[Step], most: int) -> Drawing:
    """Mean distance of two rows of each batch: near 0 all descriptors have become one."""
    chart = _chart(most, (0, FARTHEST**0.5), "Mean distance of two pictures")
    spreads = [(one.step, one.spread) for one in steps if not math.isnan(one.spread)]
    if spreads:
        level = spreads[0][1]
        chart.segments([(*chart.at(0, level), *chart.at(most, level))], DIM, opacity=0.6)
    _line(chart, spreads, PINK)
    _end(chart, most, [0, 0.7, 1.4], "g")
    chart.text(chart.at(most, 0)[0], chart.at(0, 0)[1] - 9, "0: all are one", anchor="end", colour=DIM, size=11)
    return chart


def curve_words(steps: Sequence[Step], kept: int | None) -> str:
    """The curves in words, for readers who do not see them."""
    if not steps:
        return "Curves of a training that has not begun"
    last = steps[-1]
    held = [one for one in steps if not math.isnan(one.held_out)]
    said = f"After step {last.step}: loss {last.loss:.4g}, mean distance {last.spread:.2f}"
    return said + (f", held-out mAP {held[-1].held_out:.3f}; the best so far is step {kept}" if held else "")


class Plane:
    """The two directions in which descriptors vary most at the start, in which later ones are drawn too.

    Parameters
    ----------
    rows : (n, D) at the start; rows of zeros are left out everywhere.
    groups : instance of each row, "" for none.
    """

    def __init__(self, rows: np.ndarray, groups: Sequence[str]) -> None:
        self.shown = np.flatnonzero(rows.any(axis=1)).tolist()
        some = rows[self.shown].astype(np.float64)
        self.mean = some.mean(axis=0)
        self.axes = np.linalg.svd(some - self.mean, full_matrices=False)[2][:2]
        self.start = self.points(rows)
        times = Counter(groups[row] for row in self.shown if groups[row])
        self.names = [name for name, _ in times.most_common(NAMED)]
        numbers = {name: number for number, name in enumerate(self.names)}
        self.groups = np.array([numbers.get(groups[row], -1) for row in self.shown])

    def points(self, rows: np.ndarray) -> np.ndarray:
        """Places (m, 2) of the rows that are shown."""
        return (rows[self.shown] - self.mean) @ self.axes.T

    def chart(self, rows: np.ndarray, title: str) -> Drawing:
        """The rows at their places, each with a line from where it began."""
        now = self.points(rows)
        both = np.concatenate([self.start, now])
        chart = Chart(MAP, *self._frame(both), title)
        begun, ended = chart.places(self.start), chart.places(now)
        trails = [(*one, *other) for one, other in zip(begun, ended, strict=True)]
        for number in range(-1 if len(trails) <= FEW or not self.names else 0, len(self.names)):
            some = [ends for ends, one in zip(trails, self.groups, strict=True) if one == number]
            chart.segments(some, COLOURS[number] if number >= 0 else DIM, opacity=0.5)
        chart.dots(
            [place for place, one in zip(ended, self.groups, strict=True) if one < 0], DIM, radius=2, opacity=0.5
        )
        for number in range(len(self.names)):
            _shape(chart, [place for place, one in zip(ended, self.groups, strict=True) if one == number], number)
        self._key(chart)
        return chart

    def _frame(self, points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
        """What both axes hold: the start with some room, and more only if points leave it."""
        low, high = self.start.min(axis=0), self.start.max(axis=0)
        room = MARGIN * np.maximum(high - low, 1e-9)
        low, high = np.minimum(low - room, points.min(axis=0)), np.maximum(high + room, points.max(axis=0))
        return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))

    def _key(self, chart: Drawing) -> None:
        x, y = 16.0, chart.height - 12
        for number, name in enumerate(self.names):
            words = name if len(name) < 15 else f"{name[:13]}…"
            _shape(chart, [(x, y)], number)
            chart.text(x + 9, y, words, size=11, colour=DIM)
            x += 26 + 6.2 * len(words)
        chart.dots([(x, y)], DIM, radius=2)
        chart.text(x + 9, y, "others" if self.names else "pictures", size=11, colour=DIM)
        chart.line([(x + 64, y), (x + 84, y)], DIM, width=0.7)
        chart.text(x + 90, y, "from where it began", size=11, colour=DIM)


def _chart(most: int, up: tuple[float, float], title: str) -> Chart:
    return Chart(SIZE, (0, max(1, most)), up, title)


def _end(chart: Chart, most: int, levels: Sequence[float], written: str) -> None:
    chart.axes("step", [0, most], sorted({*levels}), written)


def _line(
    chart: Chart, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False, dots: bool = False
) -> None:
    places = [chart.at(*point) for point in points]
    if len(places) > 1:
        chart.line(places, colour, width=2, dashed=dashed)
    if dots or len(places) == 1:
        chart.dots(places, colour, radius=3)


def _key(chart: Drawing, names: Sequence[tuple[str, str, bool]]) -> None:
    """The key to the lines, at the right end of the line with the title."""
    right = float(chart.width - 10)
    for name, colour, dashed in reversed(names):
        chart.text(right, 11, name, anchor="end", size=11)
        right -= 6.6 * len(name) + 6
        chart.line([(right - 22, 11), (right, 11)], colour, width=2, dashed=dashed)
        right -= 32


def _shape(chart: Drawing, places: Points, number: int) -> None:
    """A disc, a square, a triangle, a diamond, a cross or a ring."""
    colour = COLOURS[number]
    corners = {
        1: [(-4, -4), (4, -4), (4, 4), (-4, 4)],
        2: [(0, -5.5), (5, 4), (-5, 4)],
        3: [(0, -6), (5, 0), (0, 6), (-5, 0)],
    }
    if number in corners:
        for x, y in places:
            chart.area([(x + across, y + down) for across, down in corners[number]], colour)
    elif number == 4:
        ends = [ends for x, y in places for ends in ((x - 4, y - 4, x + 4, y + 4), (x - 4, y + 4, x + 4, y - 4))]
        chart.segments(ends, colour, width=2)
    elif places:
        chart.dots(places, colour, radius=4.5, hollow=number == 5)


def empty_map() -> Drawing:
    """What stands where the map will be."""
    drawing = Drawing(*EMPTY)
    drawing.text(46, EMPTY[1] / 2, "The map comes once training has begun.", colour=INK)
    return drawing
