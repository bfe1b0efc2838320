"""Charts of the panels that show codes: bits, cells, distance tables, rotations. Plain results in, a drawing out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from cbirlab.compression.quality import BitUse
from cbirlab.plots.canvas import COLOURS
from cbirlab.study.explain.cells import GroupView
from cbirlab.study.explain.rotations import Turn, quadrants
from cbirlab.widgets.parts.drawing import DIM, INK, Drawing, Points

BLUE, ORANGE, GREEN, PINK = COLOURS[:4]
GOLD = "#e69f00"
QUADRANTS = (BLUE, ORANGE, GREEN, PINK)
LIGHT, DARK = np.array([250, 246, 232]), np.array([11, 56, 97])
PER_LINE = 64
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 26, 34


class Chart(Drawing):
    """A drawing with axes: `at` takes values to pixels."""

    def __init__(self, size: tuple[int, int], across: tuple[float, float], up: tuple[float, float], title: str) -> None:
        super().__init__(*size)
        self.across, self.up = across, up
        self.text(_LEFT, 11, title, size=13)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a value."""
        (x0, x1), (y0, y1) = self.across, self.up
        return (
            _LEFT + (x - x0) / (x1 - x0) * (self.width - _LEFT - _RIGHT),
            self.height - _BOTTOM - (y - y0) / (y1 - y0) * (self.height - _BOTTOM - _TOP),
        )

    def places(self, points: np.ndarray) -> Points:
        """The places of points (n, 2)."""
        low, high = np.array(self.at(self.across[0], self.up[0])), np.array(self.at(self.across[1], self.up[1]))
        start, end = np.array([self.across, self.up]).T
        return [*map(tuple, (low + (points - start) / (end - start) * (high - low)).tolist())]

    def axes(self, across: str, ticks: Sequence[float], levels: Sequence[float], written: str = ".2g") -> None:
        """Lines along both sides with numbers, and what is drawn across."""
        (x0, x1), (y0, y1) = self.across, self.up
        self.line([self.at(x0, y1), self.at(x0, y0), self.at(x1, y0)], DIM, width=1)
        for tick in ticks:
            self.text(
                self.at(tick, y0)[0], self.height - _BOTTOM + 11, f"{tick:g}", anchor="middle", colour=DIM, size=11
            )
        for level in levels:
            self.text(_LEFT - 5, self.at(x0, level)[1], f"{level:{written}}", anchor="end", colour=DIM, size=11)
        self.text(self.at((x0 + x1) / 2, y0)[0], self.height - 7, across, anchor="middle", colour=DIM, size=11)


def squares_chart(bits: np.ndarray, captions: Sequence[str], chosen: int, title: str) -> Drawing:
    """Bits (rows, K) as squares, the query's first, for readers without a kernel."""
    lines, side, left = -(-bits.shape[1] // PER_LINE), 10, 84
    step = lines * side + 8
    drawing = Drawing(left + min(bits.shape[1], PER_LINE) * side + 6, 24 + len(bits) * step)
    drawing.text(4, 10, title, size=13)
    for row, (values, caption) in enumerate(zip(bits, captions, strict=True)):
        top = 24 + row * step
        drawing.text(4, top + 5, caption, colour=DIM, size=11)
        for bit, value in enumerate(values.tolist()):
            x, y = left + bit % PER_LINE * side, top + bit // PER_LINE * side
            if bit == chosen:
                drawing.area(_box(x - 1, y - 1, side), GOLD, opacity=0.5)
            other = row > 0 and value != bits[0, bit]
            colour = ORANGE if other else BLUE if row == 0 else DIM
            if value:
                drawing.area(_box(x, y, side - 2), colour)
            else:
                drawing.line([*_box(x, y, side - 3), (x, y)], colour, width=1)
            if other:
                drawing.line([(x + 1, y + 1), (x + side - 4, y + side - 4)], "#ffffff" if value else colour, width=1)
    return drawing


def rings_chart(counts: Sequence[int], chosen: int, title: str) -> Drawing:
    """Images at each distance, the chosen one marked."""
    chart = Chart((640, 150), (0, max(1, len(counts))), (0, max([*counts, 1])), title)
    for place, count in enumerate(counts):
        corners = [chart.at(place, 0), chart.at(place + 0.8, 0), chart.at(place + 0.8, count), chart.at(place, count)]
        chart.area(corners, GOLD if place == chosen else BLUE)
    chart.axes("Hamming distance", [0, len(counts) - 1], [0, max(counts, default=0)], "g")
    return chart


def use_chart(use: BitUse, chosen: int) -> Drawing:
    """Balance of each bit as a bar, and its mean correlation with the others as a dot."""
    bits = len(use.balance)
    title = (
        f"Balance: mean |mean b| {np.abs(use.balance).mean():.2f};  correlation: mean {np.nanmean(use.correlation):.2f}"
    )
    reach = 0.5 if np.abs(use.balance).max() <= 0.5 else 1.0
    chart = Chart((640, 150), (0, bits), (-reach, reach), title)
    for bit, value in enumerate(use.balance.tolist()):
        corners = [
            chart.at(bit + 0.1, 0),
            chart.at(bit + 0.9, 0),
            chart.at(bit + 0.9, value),
            chart.at(bit + 0.1, value),
        ]
        chart.area(corners, GOLD if bit == chosen else BLUE, opacity=0.8)
    there = np.flatnonzero(~np.isnan(use.correlation))
    dots = np.stack([there + 0.5, use.correlation[there]], axis=1)
    chart.dots(chart.places(dots), ORANGE, radius=2.2)
    chart.line([chart.at(0, 0), chart.at(bits, 0)], DIM, width=1)
    chart.axes(
        "bit  (bars: mean of the bit as -1 and 1; dots: mean |correlation| with the others)",
        [0, bits],
        [-reach, 0, reach],
    )
    return chart


def group_chart(seen: GroupView, query: np.ndarray, image: int, group: int) -> Drawing:
    """Rows, centres and cells of one group in the plane; the query's place (2,), and one image with its centre."""
    low, high = seen.corners
    plane = "in the plane of its two leading axes" if seen.share < 1 else "in its own plane"
    title = f"Group {group}: {len(seen.centres)} cells {plane}"
    chart = Chart((430, 430), (low[0], high[0]), (low[1], high[1]), title)
    mine = int(seen.cells[image])
    if len(seen.polygons[mine]):
        chart.area(chart.places(seen.polygons[mine]), GOLD, opacity=0.35)
    for polygon in seen.polygons:
        if len(polygon):
            chart.line(chart.places(np.concatenate([polygon, polygon[:1]])), DIM, width=0.8)
    chart.dots(chart.places(seen.rows), BLUE, radius=1.5, opacity=0.6)
    chart.dots(chart.places(seen.centres), ORANGE, radius=2.6)
    place, centre = chart.places(np.stack([seen.rows[image], seen.centres[mine]]))
    chart.line([place, centre], INK, width=1.5)
    chart.dots([place], INK, radius=4)
    (x, y) = chart.at(*query.clip(low, high).tolist())
    chart.area([(x, y - 8), (x + 6, y), (x, y + 8), (x - 6, y)], GREEN)
    words = (("image", BLUE), ("centre", ORANGE), ("query", GREEN), ("the chosen image", INK))
    _key(chart, words, chart.height - 10)
    return chart


def table_chart(table: np.ndarray, path: np.ndarray, group: int) -> Drawing:
    """Squared distances of the query from all centres (m, k), dark if near, with the path of one image through it."""
    m, k = table.shape
    high = max(6.0, min(20.0, 380 / m))
    size = (640, round(_TOP + _BOTTOM + m * high))
    distance = float(np.sqrt(table[np.arange(m), path].sum()))
    chart = Chart(size, (0, k), (m, 0), f"The query's distance table; along the path of the image: {distance:.3f}")
    low, top = table.min(axis=1, keepdims=True), table.max(axis=1, keepdims=True)
    shade = ((table - low) / np.maximum(top - low, 1e-12))[:, :, None] ** 0.7
    image = Image.fromarray(np.round(DARK * (1 - shade) + LIGHT * shade).astype(np.uint8))
    (left, upper), (right, lower) = chart.at(0, 0), chart.at(k, m)
    chart.raster(left, upper, right - left, lower - upper, image)
    points = [chart.at(cell + 0.5, row + 0.5) for row, cell in enumerate(path.tolist())]
    chart.line(points, ORANGE, width=2)
    chart.dots(points, ORANGE, radius=min(4.0, high / 3))
    frame = [chart.at(x, y) for x, y in ((0, group), (k, group), (k, group + 1), (0, group + 1), (0, group))]
    chart.line(frame, GREEN, width=2)
    chart.axes("centre  (rows: groups; dark: near the query)", [0, k - 1], [])
    for row in sorted({0, group, m - 1}):
        chart.text(_LEFT - 5, chart.at(0, row + 0.5)[1], str(row), anchor="end", colour=DIM, size=11)
    return chart


def quadrant_chart(points: np.ndarray, query: np.ndarray, title: str) -> Drawing:
    """Rotated points in four quadrants, the corners that ITQ moves them to, how many are in each, and the query."""
    reach = float(np.abs(np.concatenate([points, query[None], [[1.2, 1.2]]])).max()) * 1.04
    chart = Chart((430, 430), (-reach, reach), (-reach, reach), title)
    cells = quadrants(points)
    for cell, colour in enumerate(QUADRANTS):
        x, y = 1 if cell % 2 else -1, 1 if cell // 2 else -1
        box = np.array([(0, 0), (x, 0), (x, y), (0, y)]) * reach
        chart.area(chart.places(box), colour, opacity=0.08)
        chart.dots(chart.places(points[cells == cell]), colour, radius=1.7, opacity=0.6)
        u, v = chart.at(x, y)
        chart.line([(u - 6, v - 6), (u + 6, v + 6)], INK, width=2)
        chart.line([(u - 6, v + 6), (u + 6, v - 6)], INK, width=2)
        said = f"{x > 0:d}{y > 0:d}: {int((cells == cell).sum())}"
        u, v = chart.at(x * reach * 0.97, y * reach * 0.94)
        chart.text(u, v, said, anchor="end" if x > 0 else "start", size=13)
    for ends in (((-reach, 0), (reach, 0)), ((0, -reach), (0, reach))):
        chart.line([chart.at(*end) for end in ends], INK, width=1)
    (u, v) = chart.at(*query.tolist())
    chart.area([(u, v - 9), (u + 7, v), (u, v + 9), (u - 7, v)], INK)
    chart.text(u + 10, v, "query", size=11)
    chart.text(
        chart.width / 2,
        chart.height - 10,
        "crosses: the corners that points should come near to",
        anchor="middle",
        colour=DIM,
        size=11,
    )
    return chart


def steps_chart(turns: Sequence[Turn], step: int) -> Drawing:
    """The objective before and after each step."""
    values = np.array([turn.objective for turn in turns])
    chart = Chart((430, 190), (0, len(turns) - 1), _room(values), f"Objective at iteration {step}: {values[step]:.4f}")
    chart.line(chart.places(np.stack([np.arange(len(turns)), values], axis=1)), BLUE, width=2)
    chart.dots([chart.at(step, values[step])], ORANGE, radius=5)
    chart.axes("iteration", [0, len(turns) - 1], chart.up, ".4f")
    return chart


def angle_chart(angles: np.ndarray, curve: np.ndarray, turns: Sequence[Turn], step: int) -> Drawing:
    """The objective over the angle of the rotation, and where ITQ stands: it goes down to the next hollow."""
    chart = Chart(
        (430, 190),
        (0, 90),
        _room(curve),
        f"The same over the angle: {turns[step].angle:.0f}°, best {angles[curve.argmin()]:.0f}°",
    )
    chart.line(chart.places(np.stack([angles, curve], axis=1)), BLUE, width=2)
    path = np.array([(turn.angle, turn.objective) for turn in turns[: step + 1]])
    chart.dots(chart.places(path), DIM, radius=2.5)
    chart.dots(chart.places(path[-1:]), ORANGE, radius=5)
    chart.axes("angle in degrees; after a quarter turn all is the same", [0, 30, 60, 90], chart.up, ".4f")
    return chart


def _room(values: np.ndarray) -> tuple[float, float]:
    """Bounds with room around values."""
    low, high = float(values.min()), float(values.max())
    room = max(0.1 * (high - low), 1e-4)
    return low - room, high + room


def _key(chart: Drawing, words: Sequence[tuple[str, str]], y: float) -> None:
    x = float(_LEFT)
    for word, colour in words:
        chart.dots([(x, y)], colour, radius=4)
        chart.text(x + 8, y, word, size=11, colour=DIM)
        x += 24 + 6.2 * len(word)


def _box(x: float, y: float, side: float) -> Points:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
