"""Charts of the panels that look into a method: spectra, cosines, wins and losses. Plain results in, a drawing out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cbirlab.study.explain import Cosines, Spectrum
from cbirlab.widgets.parts.drawing import DIM, Drawing

MATCHING, OTHERS = "#0072b2", "#e69f00"
WIN, LOSS, CHOSEN = "#0072b2", "#d55e00", "#e69f00"
WIDTH, HEIGHT = 430, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 30, 36
_MOST_DECADES = 8


def cosine_chart(found: Cosines, title: str) -> Drawing:
    """Histograms of matching (solid) and other pairs (dashed), with their separation."""
    drawing = Drawing(WIDTH, HEIGHT)
    low, high = float(found.edges[0]), float(found.edges[-1])
    top = max(found.matching.max(), found.others.max(), 1e-9)

    def place(value: float, share: float) -> tuple[float, float]:
        return _across((value - low) / (high - low)), _down(share / top)

    for shares, colour, dashed in ((found.others, OTHERS, True), (found.matching, MATCHING, False)):
        steps = [
            place(edge, share)
            for share, *ends in zip(shares, found.edges, found.edges[1:], strict=False)
            for edge in ends
        ]
        drawing.area([(steps[0][0], _down(0)), *steps, (steps[-1][0], _down(0))], colour, opacity=0.25)
        drawing.line(steps, colour, width=2, dashed=dashed)
    _frame(drawing, f"{title}: separation {found.separation:.3f}", "cosine", "share of pairs")
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        words = f"{low + share * (high - low):.2f}"
        drawing.text(_across(share), _down(0) + 12, words, anchor=anchor, colour=DIM, size=11)
    _key(drawing, [("matching", MATCHING, False), ("not matching", OTHERS, True)])
    return drawing


def cosine_words(found: Cosines, title: str) -> str:
    """The same chart in words, for readers who do not see it."""
    return (
        f"{title}: cosines of matching pairs have mean {found.mean_matching:.2f}, of other pairs "
        f"{found.mean_others:.2f}; a matching pair has the larger one in {found.separation:.0%} of cases"
    )


def spectrum_chart(found: Spectrum) -> Drawing:
    """Variance of each dimension, divided by the largest, on a logarithmic scale: before (dashed) and after (solid)."""
    drawing = Drawing(WIDTH, HEIGHT)
    longest = max(len(found.before), len(found.after))
    decades = max(_decades(found.before), _decades(found.after))
    for values, colour, dashed in ((found.before, OTHERS, True), (found.after, MATCHING, False)):
        largest = values.max() if len(values) and values.max() > 0 else 1.0
        logs = np.log10(np.maximum(values / largest, 10.0**-decades)) / decades + 1
        points = [(_across(at / max(1, longest - 1)), _down(level)) for at, level in enumerate(logs)]
        drawing.line(points if len(points) > 1 else points * 2, colour, width=2, dashed=dashed)
    before, after = found.flatness
    _frame(drawing, f"Effective dimensions: {before:.0f}, then {after:.0f}", "dimension", "variance")
    for decade in range(0, decades + 1, max(1, decades // 3)):
        words = "1" if decade == 0 else f"1e-{decade}"
        drawing.text(_LEFT - 5, _down(1 - decade / decades), words, anchor="end", colour=DIM, size=11)
    for share, words, anchor in ((0.0, "1", "start"), (1.0, str(longest), "end")):
        drawing.text(_across(share), _down(0) + 12, words, anchor=anchor, colour=DIM, size=11)
    _key(drawing, [("before", OTHERS, True), ("after", MATCHING, False)])
    return drawing


def spectrum_words(found: Spectrum) -> str:
    """The same chart in words, for readers who do not see it."""
    before, after = found.flatness
    return (
        f"Spectrum: {len(found.before)} dimensions of which {before:.0f} count before whitening, {len(found.after)} of "
        f"which {after:.0f} count after it"
    )


def bar_chart(values: Sequence[float], chosen: int, title: str) -> Drawing:
    """A bar per query from the largest win to the largest loss; the chosen one has a mark below it."""
    drawing = Drawing(2 * WIDTH, HEIGHT)
    across = (drawing.width - _LEFT - _RIGHT) / max(1, len(values))
    top = max([abs(value) for value in values if not math.isnan(value)] or [1]) or 1
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    for place, value in enumerate(values):
        left, end = _LEFT + place * across, middle - value / top * (middle - _TOP)
        right = left + max(1.0, 0.8 * across)
        drawing.area([(left, middle), (right, middle), (right, end), (left, end)], WIN if value >= 0 else LOSS)
        if place == chosen:
            tip, foot = HEIGHT - _BOTTOM + 4, HEIGHT - _BOTTOM + 16
            at = (left + right) / 2
            drawing.area([(at, tip), (at + 7, foot), (at - 7, foot)], CHOSEN)
    drawing.line([(_LEFT, middle), (drawing.width - _RIGHT, middle)], DIM, width=1)
    drawing.text(_LEFT, 12, title)
    for level, words in ((_TOP, f"+{top:.2f}"), (middle, "0"), (HEIGHT - _BOTTOM, f"-{top:.2f}")):
        drawing.text(_LEFT - 5, level, words, anchor="end", colour=DIM, size=11)
    return drawing


def _decades(variances: np.ndarray) -> int:
    """How many powers of ten lie between the largest variance and the smallest one above zero."""
    shares = variances[variances > 0] / variances.max() if variances.any() else np.ones(1)
    return int(np.clip(math.ceil(-math.log10(shares.min())), 1, _MOST_DECADES))


def _across(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP)


def _frame(drawing: Drawing, title: str, across: str, up: str) -> None:
    drawing.line([(_across(0), _down(1)), (_across(0), _down(0)), (_across(1), _down(0))], DIM, width=1)
    drawing.text(_LEFT, 12, title, size=13)
    drawing.text(_across(0.5), HEIGHT - 8, f"{across}  (upwards: {up})", anchor="middle", colour=DIM, size=11)


def _key(drawing: Drawing, names: Sequence[tuple[str, str, bool]]) -> None:
    """The key to the lines, at the right end of the line with the title."""
    right = float(WIDTH - _RIGHT)
    for name, colour, dashed in reversed(names):
        drawing.text(right, 12, name, anchor="end", size=11)
        right -= 6 * len(name) + 6
        drawing.line([(right - 24, 12), (right, 12)], colour, width=2, dashed=dashed)
        right -= 36
