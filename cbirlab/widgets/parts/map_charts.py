"""Charts of a query among its first results: where expansion moves it, and how diffusion spreads from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cbirlab.study.explain.heat import MOST_STEPS
from cbirlab.study.explain.local_map import LocalMap
from cbirlab.widgets.parts.code_charts import BLUE, GOLD, GREEN, ORANGE, Chart
from cbirlab.widgets.parts.drawing import DIM, INK, Drawing, Ends
from cbirlab.widgets.parts.results import NOT_RIGHT

RIGHT, WRONG, JUNK, UNKNOWN = "right", "wrong", "junk", "result"
SIZE, CURVE = (600, 440), (600, 170)
FRAME, ROOM = np.array([58, 60]), 40
"""What a chart keeps free at its sides, and what a map keeps free within."""

MOST_NUMBERED = 12
DECADES, LEVELS = 2, 13
COLD, WARM, HOT = (43, 131, 198), (194, 105, 156), (213, 94, 0)
"""Each stands out from white and from a dark page; in between they stay as bright."""

SOLVED_AT = MOST_STEPS + 2
"""Where the solution stands on the axis of the steps."""

_SHARES = {RIGHT: GREEN, WRONG: ORANGE, JUNK: DIM, UNKNOWN: BLUE}
_TEXT_WIDTH = 6.2


def group_of(kind: str) -> str:
    """Right, wrong or junk, by the name of a mark; "result" where nothing is known."""
    return RIGHT if kind not in NOT_RIGHT else kind or UNKNOWN


def path_chart(
    seen: LocalMap, kinds: Sequence[str], added: Mapping[int, float], moved: np.ndarray, title: str
) -> Drawing:
    """The results of a query by kind, lines to those that were added to it, and the arrow to where it went (2,)."""
    chart = _map([seen.points, seen.query[None], moved[None]], title)
    place = dict(zip(seen.images.tolist(), chart.places(seen.points), strict=True))
    groups = dict(zip(seen.images.tolist(), map(group_of, kinds), strict=True))
    (start, end) = chart.places(np.stack([seen.query, moved]))
    for image, weight in added.items():
        if image in place:
            chart.line([start, place[image]], _SHARES[groups[image]], width=0.7 + 2.8 * min(weight, 1.0))
    for group, colour in _SHARES.items():
        _shapes(chart, [place[image] for image, one in groups.items() if one == group], group, colour)
    for number, image in enumerate(added, start=1):
        if image in place and number <= MOST_NUMBERED:
            x, y = place[image]
            chart.text(x + 7, y - 8, str(number), size=11)
    _arrow(chart, start, end)
    _diamond(chart, start, INK)
    _diamond(chart, end, GOLD)
    chart.text(start[0], start[1] + 16, "q", anchor="middle", size=13)
    if math.dist(start, end) > 14:
        chart.text(end[0], end[1] + 16, "q′", anchor="middle", size=13)
    _key(chart, [group for group in _SHARES if group in groups.values()])
    return chart


def heat_chart(
    seen: LocalMap, kinds: Sequence[str], values: np.ndarray, there: np.ndarray, edges: np.ndarray, title: str
) -> Drawing:
    """The results of a query by the logarithm of f (N,), hollow where it is not `there` (N,), and the graph (E, 2)."""
    chart = _map([seen.points, seen.query[None]], title)
    places = chart.places(seen.points)
    number = {image: at for at, image in enumerate(seen.images.tolist())}
    drawn = [(number[a], number[b]) for a, b in edges.tolist() if a in number and b in number]
    chart.segments([(*places[a], *places[b]) for a, b in drawn], DIM, width=0.8, opacity=0.3)
    f, reached = values[seen.images], there[seen.images]
    chart.dots([place for place, one in zip(places, reached, strict=True) if not one], DIM, radius=3.5, hollow=True)
    level = np.full(len(f), -1)
    if reached.any():
        level[reached] = np.rint(_warmth(f[reached] / max(values.max(), 1e-300)) * (LEVELS - 1))
    for step in range(LEVELS):
        some = [place for place, one in zip(places, level, strict=True) if one == step]
        if some:
            colour, radius = _look(step)
            chart.dots(some, colour, radius=radius)
    right = [place for place, kind in zip(places, kinds, strict=True) if group_of(kind) == RIGHT]
    chart.dots(right, INK, radius=8.5, hollow=True)
    _diamond(chart, chart.places(seen.query[None])[0], INK)
    _heat_key(chart, bool(right))
    return chart


def curve_chart(values: Sequence[float], step: int, title: str) -> Drawing:
    """A metric after each step of diffusion and at the solution, with the present step marked."""
    finite = [value for value in values if not math.isnan(value)] or [0.0]
    room = max(0.1 * (max(finite) - min(finite)), 0.002)
    chart = Chart(CURVE, (0, SOLVED_AT + 1), (min(finite) - room, max(finite) + room), title)
    x0, x1 = chart.across
    points = [chart.at(*point) for point in zip((*range(MOST_STEPS + 1), SOLVED_AT), values, strict=True)]
    chart.segments([(*chart.at(x0, values[0]), *chart.at(x1, values[0]))], DIM, opacity=0.6)
    chart.line(points[:-1], BLUE, width=2)
    chart.dots(points, BLUE, radius=2.5)
    chart.dots([points[step]], ORANGE, radius=6)
    best = int(np.nanargmax(values))
    x, y = points[best]
    chart.text(x, y - 10, f"{values[best]:.3f}", anchor="middle", size=11)
    chart.axes("steps of conjugate gradients; 0 is before diffusion", [0, 5, 10, 15, 20], chart.up, ".3f")
    x, foot = chart.at(SOLVED_AT, chart.up[0])
    chart.text(x, foot + 11, "solved", anchor="middle", colour=DIM, size=11)
    return chart


def _map(clouds: Sequence[np.ndarray], title: str) -> Chart:
    """A chart whose two axes have one scale, with room for all points."""
    points, inner = np.concatenate(clouds), np.array(SIZE) - FRAME
    low, high = points.min(axis=0), points.max(axis=0)
    reach = max(float(((high - low) / (inner - ROOM)).max()), 1e-9) * inner / 2
    start, end = ((low + high) / 2 - reach).tolist(), ((low + high) / 2 + reach).tolist()
    return Chart(SIZE, (start[0], end[0]), (start[1], end[1]), title)


def _shapes(chart: Drawing, places: Sequence[tuple[float, float]], group: str, colour: str) -> None:
    """A disc for what is right or unknown, a cross for what is wrong, a square for junk."""
    if group == WRONG:
        crosses: list[Ends] = [
            ends for x, y in places for ends in ((x - 4, y - 4, x + 4, y + 4), (x - 4, y + 4, x + 4, y - 4))
        ]
        chart.segments(crosses, colour, width=1.8)
    elif group == JUNK:
        for x, y in places:
            chart.line([(x - 4, y - 4), (x + 4, y - 4), (x + 4, y + 4), (x - 4, y + 4), (x - 4, y - 4)], colour)
    elif places:
        chart.dots(places, colour, radius=4.5)


def _diamond(chart: Drawing, place: tuple[float, float], colour: str) -> None:
    x, y = place
    chart.area([(x, y - 9), (x + 7, y), (x, y + 9), (x - 7, y)], colour)


def _arrow(chart: Drawing, start: tuple[float, float], end: tuple[float, float]) -> None:
    length = math.dist(start, end)
    if length < 14:
        return
    chart.line([start, end], INK, width=2.5)
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    tip, foot = (end[0] - 9 * ux, end[1] - 9 * uy), (end[0] - 20 * ux, end[1] - 20 * uy)
    chart.area([tip, (foot[0] - 6 * uy, foot[1] + 6 * ux), (foot[0] + 6 * uy, foot[1] - 6 * ux)], INK)


def _key(chart: Drawing, groups: Sequence[str]) -> None:
    x, y = 16.0, chart.height - 12
    for group in groups:
        _shapes(chart, [(x, y)], group, _SHARES[group])
        chart.text(x + 10, y, group, size=11, colour=DIM)
        x += 30 + _TEXT_WIDTH * len(group)
    for colour, words in ((INK, "the query q"), (GOLD, "q′, which is searched")):
        _diamond(chart, (x + 4, y), colour)
        chart.text(x + 16, y, words, size=11, colour=DIM)
        x += 36 + _TEXT_WIDTH * len(words)


def _warmth(parts: np.ndarray) -> np.ndarray:
    """From 0 at 10^-2 of the largest f, or less, to 1 at the largest."""
    return (np.log10(np.maximum(parts, 10.0**-DECADES)) / DECADES + 1).clip(0, 1)


def _look(level: int) -> tuple[str, float]:
    """Colour and radius of a dot."""
    share = level / (LEVELS - 1)
    red, green, blue = (round(float(np.interp(share, (0, 0.5, 1), part))) for part in zip(COLD, WARM, HOT, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}", 2.5 + 5 * share


def _heat_key(chart: Drawing, right: bool) -> None:
    x, y = 16.0, chart.height - 12
    chart.text(x, y, f"f: 1e-{DECADES} of the largest", size=11, colour=DIM)
    x += 14 + _TEXT_WIDTH * 22
    for level in range(0, LEVELS, 2):
        colour, radius = _look(level)
        chart.dots([(x, y)], colour, radius=radius)
        x += 16
    chart.text(x, y, "the largest", size=11, colour=DIM)
    x += 22 + _TEXT_WIDTH * 11
    chart.dots([(x, y)], DIM, radius=3.5, hollow=True)
    chart.text(x + 9, y, "not reached", size=11, colour=DIM)
    x += 26 + _TEXT_WIDTH * 11
    if right:
        chart.dots([(x, y)], INK, radius=7, hollow=True)
        chart.text(x + 12, y, "right", size=11, colour=DIM)
        x += 32 + _TEXT_WIDTH * 5
    _diamond(chart, (x, y), INK)
    chart.text(x + 11, y, "the query", size=11, colour=DIM)
