"""Charts of two: who lists whom, how two neighbourhoods overlap, which matches of two pictures agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from cbirlab.reranking.geometry import Fit
from cbirlab.study.explain.mutual import Mutual, Overlap
from cbirlab.widgets.parts.code_charts import BLUE, GOLD, GREEN, ORANGE, PINK
from cbirlab.widgets.parts.drawing import DIM, INK, Drawing, Ends, Points
from cbirlab.widgets.parts.map_charts import RIGHT, WRONG, group_of

GRID, MARGIN, HEAD = 470, 44, 48
BAR, BAR_HEIGHT = 300, 26
LEAST_LABELLED = 15
QUERY, ROUNDING = -1, 1e-9
"""Stands for a query that is in no database; a weight up to this is none."""

SIDE, GAP, ABOVE = 330, 26, 24
AGREE, OUTLINE, UNDER, PALE = "#ffd400", "#00e5ff", "#000000", "#c0c0c0"


def grid_chart(seen: Mutual, kinds: Sequence[str], chosen: int, title: str) -> Drawing:
    """A square where the row's image lists the column's: filled if both list each other, smaller if only the row does.

    Parameters
    ----------
    kinds : names of marks, one per image.
    chosen : number of an image, from 1, whose row and column are framed.
    """
    count = len(seen.lists)
    side = max(6.0, min(22.0, GRID / count))
    chart = Drawing(round(MARGIN + count * side + 150), round(HEAD + count * side + 30))
    chart.text(4, 11, title, size=13)

    def at(number: float) -> float:
        return MARGIN + number * side

    def down(number: float) -> float:
        return HEAD + number * side

    chart.area(_box(at(0), down(0), count * side, count * side), DIM, opacity=0.07)
    for number in range(count):
        name, colour = "q" if not number else str(number), INK
        if number and group_of(kinds[number - 1]) in (RIGHT, WRONG):
            colour = GREEN if group_of(kinds[number - 1]) == RIGHT else ORANGE
        size = 11 if side >= 12 else 8
        mark = "" if not number or colour == INK else "✓" if colour == GREEN else "✗"
        chart.text(MARGIN - 6, down(number + 0.5), f"{mark}{name}", anchor="end", colour=colour, size=size)
        chart.text(at(number + 0.5), HEAD - 9, name, anchor="middle", colour=colour, size=size)
    mutual = seen.lists & seen.lists.T & ~np.eye(count, dtype=bool)
    for cells, colour, wide in ((mutual, BLUE, side - 2), (seen.lists & ~seen.lists.T, ORANGE, side / 2 - 2)):
        # squares are lines as broad as they are long, since a few hundred areas would take a while
        middles = [(at(column + 0.5), down(row + 0.5)) for row, column in np.argwhere(cells).tolist()]
        chart.segments([(x - wide / 2, y, x + wide / 2, y) for x, y in middles], colour, width=wide)
    for row, column in np.argwhere(seen.brought).tolist():
        chart.line(_closed(_box(at(column) + 1, down(row) + 1, side - 2, side - 2)), PINK, width=2.5)
    for column in np.flatnonzero(seen.brought.any(axis=0)).tolist():
        chart.area(_diamond(at(column + 0.5), down(0.5), side / 2 - 1), PINK)
    if seen.near + 1 < count:
        edge = seen.near + 1
        ends: list[Ends] = [
            (at(edge), down(0), at(edge), down(count)),
            (at(0), down(edge), at(count), down(edge)),
        ]
        chart.segments(ends, INK, width=1.2)
    chart.line(_closed(_box(at(0), down(chosen), count * side, side)), GOLD, width=2)
    chart.line(_closed(_box(at(chosen), down(0), side, count * side)), GOLD, width=2)
    _grid_key(chart, at(count) + 14, HEAD + 8, bool(seen.brought.any()))
    chart.text(MARGIN, chart.height - 12, "row: whose list; column: who stands in it", colour=DIM, size=11)
    return chart


def overlap_chart(seen: Overlap, names: Mapping[int, str], chosen: str) -> Drawing:
    """Two bars of length 1, shifted so far that what is common to both lies above each other.

    Parameters
    ----------
    names : of the images that have a number.
    chosen : what the second bar is called.
    """
    common = float(seen.common.sum())
    chart = Drawing(2 * BAR + 96, 128)
    chart.text(
        4, 11, f"In common: m = {common:.3f}. J = 1 - m / (2 - m) = {seen.jaccard:.3f}; 1 is nothing in common", size=13
    )
    left = 84.0
    tops = 30, 30 + BAR_HEIGHT + 8
    shared = [(image, weight) for image, weight in zip(seen.images, seen.common, strict=True) if weight > 0]
    mine, theirs = (_rest(seen, one) for one in (seen.query, seen.other))
    if (itself := 1 - float(seen.query.sum())) > ROUNDING:
        mine.append((QUERY, itself))
    x0, x1 = left + (1 - common) * BAR, left + BAR
    for top, rest, start, colour in zip(tops, (mine, theirs), (left, x1), (BLUE, PINK), strict=True):
        _pieces(chart, rest, start, top, colour, names)
        _pieces(chart, shared, x0, top, GREEN, names)
    foot = tops[1] + BAR_HEIGHT
    if common > 0:
        chart.segments([(x, tops[0] - 4, x, foot + 4) for x in (x0, x1)], INK, width=1)
    for words, top in (("query", tops[0]), (chosen, tops[1])):
        chart.text(left - 6, top + BAR_HEIGHT / 2, words, anchor="end", size=12)
    words = "Pieces are images, as long as they weigh; green: what both bars have. Numbers as in the grid"
    chart.text(left, foot + 16, words, size=11)
    return chart


def inlier_chart(
    pictures: tuple[np.ndarray, np.ndarray], places: tuple[np.ndarray, np.ndarray], fit: Fit, title: str
) -> Drawing:
    """Two pictures (H, W, 3) with lines between their matches, (n, 2) in pixels of each: strong where they agree.

    The outline of the first is carried over into the second, if that is credible.
    """
    scales = [SIDE / max(one.shape[:2]) for one in pictures]
    sizes = [(one.shape[1] * scale, one.shape[0] * scale) for one, scale in zip(pictures, scales, strict=True)]
    height = max(size[1] for size in sizes)
    chart = Drawing(round(sizes[0][0] + GAP + sizes[1][0]), round(ABOVE + height + 4))
    lefts = 0.0, sizes[0][0] + GAP
    box = fit.box((pictures[0].shape[0], pictures[0].shape[1]))

    def on(side: int, points: np.ndarray) -> Points:
        return [*map(tuple, (points[:, :2] * scales[side] + (lefts[side], ABOVE)).tolist())]

    for picture, left, (width, tall) in zip(pictures, lefts, sizes, strict=True):
        small = Image.fromarray(picture).resize((max(1, round(width)), max(1, round(tall))))
        chart.raster(left, ABOVE, width, tall, small, smooth=True)
    if box is not None:
        width, tall = sizes[0]
        frame = lefts[1] - GAP / 2, ABOVE, float(chart.width), float(chart.height)
        _outline(chart, _inside(on(1, box), frame))
        _outline(chart, _inside(_box(1, ABOVE + 1, width - 2, tall - 2), (0, 0, width, float(chart.height))))
    ends = [(*a, *b) for a, b in zip(on(0, places[0]), on(1, places[1]), strict=True)]
    agree = [one for one, inside in zip(ends, fit.inside, strict=True) if inside]
    chart.segments([one for one, inside in zip(ends, fit.inside, strict=True) if not inside], PALE, opacity=0.45)
    chart.segments(agree, UNDER, width=3.4, opacity=0.55)
    chart.segments(agree, AGREE, width=1.6)
    chart.dots([place for x0, y0, x1, y1 in agree for place in ((x0, y0), (x1, y1))], AGREE, radius=3)
    chart.text(2, 11, title, size=13)
    return chart


def _outline(chart: Drawing, ends: Sequence[Ends]) -> None:
    chart.segments(ends, UNDER, width=4)
    chart.segments(ends, OUTLINE, width=2)


def _inside(corners: Points, frame: Ends) -> list[Ends]:
    """A polygon as short lines, without those that leave a frame (left, top, right, bottom)."""
    share = np.linspace(0, 1, 129)[:, None]
    low, high = np.array(frame[:2]), np.array(frame[2:])
    found: list[Ends] = []
    for start, end in pairwise(np.array(_closed(corners))):
        points = start + share * (end - start)
        within = ((points >= low) & (points <= high)).all(axis=1)
        runs = np.flatnonzero(np.diff(np.concatenate([[False], within, [False]]).astype(int)))
        found += [(*points[first].tolist(), *points[last - 1].tolist()) for first, last in runs.reshape(-1, 2)]
    return found


def _rest(seen: Overlap, weights: np.ndarray) -> list[tuple[int, float]]:
    """What an image weighs here and not there."""
    left = weights - seen.common
    return [(int(image), float(one)) for image, one in zip(seen.images, left, strict=True) if one > ROUNDING]


def _pieces(
    chart: Drawing,
    parts: Sequence[tuple[int, float]],
    left: float,
    top: float,
    colour: str,
    names: Mapping[int, str],
) -> None:
    for image, weight in parts:
        width = weight * BAR
        chart.area(_box(left, top, max(0.5, width - 1), BAR_HEIGHT), colour)
        if width >= LEAST_LABELLED:
            name = "q" if image == QUERY else names.get(image, "")
            chart.text(left + width / 2, top + BAR_HEIGHT / 2, name, anchor="middle", colour="#ffffff", size=11)
        left += width


def _grid_key(chart: Drawing, x: float, y: float, brought: bool) -> None:
    marks = [("each lists the other", BLUE, 14.0), ("only the row lists", ORANGE, 6.0)]
    for words, colour, side in marks:
        chart.area(_box(x + 7 - side / 2, y - side / 2, side, side), colour)
        chart.text(x + 20, y, words, colour=DIM, size=11)
        y += 22
    if brought:
        chart.area(_diamond(x + 7, y, 7), PINK)
        chart.text(x + 20, y, "brought in", colour=DIM, size=11)
        y += 22
        chart.line(_closed(_box(x, y - 7, 14, 14)), PINK, width=2.5)
        chart.text(x + 20, y, "by this row", colour=DIM, size=11)
        y += 22
    chart.line(_closed(_box(x, y - 7, 14, 14)), GOLD, width=2)
    chart.text(x + 20, y, "the chosen image", colour=DIM, size=11)


def _box(x: float, y: float, width: float, height: float) -> Points:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _diamond(x: float, y: float, reach: float) -> Points:
    return [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]


def _closed(points: Points) -> Points:
    return [*points, points[0]]
