"""Charts of the search: what bytes buy, and what a dial buys. Plain numbers in, a drawing out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from cbirlab.widgets.parts.drawing import DIM, INK, Drawing

WIDTH, HEIGHT = 660, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 44, 44
COLOURS = {"bits": "#0072b2", "product quantisation": "#d55e00", "numbers": "#009e73", "full rows": "#666666"}
RECALL, SCORE, VISITED, RING = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
_SMALLEST, _PER_DECADE, _LARGEST = 3.0, 4.0, 10.0  # radii in pixels


class Found(NamedTuple):
    """One way of searching, measured.

    Attributes
    ----------
    words : its code, index and re-scoring.
    family : a key of `COLOURS`.
    size, score, ms : bytes per image in the index, mAP, milliseconds per query.
    rescored : whether full rows are read too.
    recall, visited : of the exact list, and of the database; NaN if they were not measured.
    """

    words: str
    family: str
    size: float
    score: float
    ms: float
    rescored: bool
    recall: float = math.nan
    visited: float = math.nan


def front(points: Sequence[Found]) -> list[Found]:
    """The points that no other beats in both bytes and score, the smallest first."""
    kept: list[Found] = []
    for one in sorted(points, key=lambda point: (point.size, -point.score)):
        if not kept or one.score > kept[-1].score:
            kept.append(one)
    return kept


def pareto_chart(points: Sequence[Found], exact: Found, ring: Found, metric: str) -> Drawing:
    """Bytes per image (logarithmic) against the score; larger marks are slower, hollow ones are re-scored."""
    drawing = Drawing(WIDTH, HEIGHT)
    every = [*points, exact, ring]
    low, high = math.log2(min(one.size for one in every)) - 0.4, math.log2(max(one.size for one in every)) + 0.4
    top = max(one.score for one in every) * 1.08 or 1.0
    fastest = min(one.ms for one in every) or 1e-6

    def place(one: Found) -> tuple[float, float]:
        return _across((math.log2(one.size) - low) / (high - low)), _down(one.score / top)

    _axes(drawing, f"bytes per image in the index; upwards: {metric}", top)
    for power in range(math.ceil(low), math.floor(high) + 1):
        drawing.text(_across((power - low) / (high - low)), _down(0) + 12, f"{2**power}", anchor="middle", colour=DIM)
    level = _down(exact.score / top)
    drawing.line([(_across(0), level), (_across(1), level)], DIM, width=1.5, dashed=True)
    drawing.text(_across(0) + 4, level - 9, f"full rows, exact: {exact.score:.3f}", colour=DIM, size=11)
    best = [place(one) for one in front(points)]
    steps = [corner for one, after in pairwise(best) for corner in (one, (after[0], one[1]))]
    drawing.line([*steps, *best[-1:]], DIM, width=1)
    for one in sorted([*points, exact], key=lambda point: -point.ms):
        radius = min(_LARGEST, _SMALLEST + _PER_DECADE * math.log10(max(1.0, one.ms / fastest)))
        _disc(drawing, place(one), radius, COLOURS[one.family], hollow=one.rescored)
    _disc(drawing, place(ring), 13, RING, hollow=True, width=3)
    _key(drawing, [*COLOURS.items()])
    words = "filled: as coded; hollow: re-scored with full rows; larger: slower; ring: the controls"
    drawing.text(_LEFT, 30, words, colour=DIM, size=11)
    return drawing


def pareto_words(points: Sequence[Found], exact: Found, metric: str) -> str:
    """The same chart in words, for readers who do not see it."""
    told = "; ".join(f"{one.words}: {one.size:.0f} bytes, {one.score:.3f}" for one in front(points))
    return f"Full rows have {metric} {exact.score:.3f} with {exact.size:.0f} bytes. The best for their bytes: {told}"


def dial_chart(points: Sequence[tuple[int, Found]], ring: tuple[int, Found], dial: str, metric: str) -> Drawing:
    """Recall of the exact list, score and share visited against a dial (logarithmic); dashed: where the dial ends."""
    drawing = Drawing(WIDTH, HEIGHT)
    last = max(math.log2(max(stop for stop, _ in points)), 1.0)
    top = max(1.0, *(one.visited for _, one in points))
    _axes(drawing, dial, top)

    def place(stop: float, value: float) -> tuple[float, float]:
        return _across(math.log2(stop) / last), _down(value / top)

    for stop, _ in points:
        drawing.text(place(stop, 0)[0], _down(0) + 12, str(stop), anchor="middle", colour=DIM, size=11)
    lines = {"recall@10 of the exact list": ("recall", RECALL), metric: ("score", SCORE)}
    lines["share of the database compared"] = ("visited", VISITED)
    for name, colour in lines.values():
        path = [place(stop, getattr(one, name)) for stop, one in points]
        drawing.line(path if len(path) > 1 else path * 2, colour, width=2)
        for spot in path:
            _disc(drawing, spot, 3, colour)
        if name != "visited":
            level = path[-1][1]
            drawing.line([(_across(0), level), (_across(1), level)], colour, width=1, dashed=True)
        _disc(drawing, place(ring[0], getattr(ring[1], name)), 8, RING, hollow=True, width=2.5)
    _key(drawing, [(name, colour) for name, (_, colour) in lines.items()])
    drawing.text(
        _LEFT, 30, "dashed: the ceiling of the code, which no dial can raise; ring: the controls", colour=DIM, size=11
    )
    return drawing


def dial_words(points: Sequence[tuple[int, Found]], dial: str, metric: str) -> str:
    """The same chart in words, for readers who do not see it."""
    told = "; ".join(f"{dial} {stop}: recall {one.recall:.3f}, {metric} {one.score:.3f}" for stop, one in points)
    return f"Along {dial}: {told}"


def _across(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP)


def _axes(drawing: Drawing, across: str, top: float) -> None:
    drawing.line([(_across(0), _down(1)), (_across(0), _down(0)), (_across(1), _down(0))], DIM, width=1)
    drawing.text(_across(0.5), HEIGHT - 12, across, anchor="middle", colour=DIM, size=12)
    step = 0.1 if top < 0.7 else 0.2
    for tick in range(math.floor(top / step + 1e-9) + 1):
        drawing.text(_LEFT - 6, _down(tick * step / top), f"{tick * step:.1f}", anchor="end", colour=DIM, size=11)


def _disc(
    drawing: Drawing, centre: tuple[float, float], radius: float, colour: str, *, hollow: bool = False, width: float = 2
) -> None:
    if not hollow:
        return drawing.dots([centre], colour, radius=radius, opacity=0.85)
    around = [math.pi * corner / 12 for corner in range(25)]
    rim = [(centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in around]
    return drawing.line(rim, colour, width=width)


def _key(drawing: Drawing, names: Sequence[tuple[str, str]]) -> None:
    left = float(_LEFT)
    for name, colour in names:
        _disc(drawing, (left + 5, 12), 5, colour)
        drawing.text(left + 15, 12, name, colour=INK, size=12)
        left += 6.6 * len(name) + 34
