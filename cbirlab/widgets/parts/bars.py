"""Bars to choose by a click or the arrow keys: wins point up; losses point down and are hatched."""

from __future__ import annotations

from collections.abc import Sequence

import anywidget
from traitlets import Bool, Float, Int, List, Unicode

from cbirlab.widgets.parts.gallery import page_text


class Bars(anywidget.AnyWidget):
    """A bar for each value; `chosen` is the place of the bar chosen last, `clicks` counts the choices.

    Attributes
    ----------
    values : drawn relative to the largest magnitude.
    labels : a sentence for each, read out and shown below.
    grounded : whether bars stand on the bottom, for counts; by default they start in the middle.
    """

    _esm = page_text("bars.js")
    _css = page_text("bars.css")

    values = List(Float()).tag(sync=True)
    labels = List(Unicode()).tag(sync=True)
    title = Unicode().tag(sync=True)
    grounded = Bool(False).tag(sync=True)
    chosen = Int(0).tag(sync=True)
    clicks = Int(0).tag(sync=True, echo_update=False)
    serial = Int(0).tag(sync=True)

    def show(self, values: Sequence[float], labels: Sequence[str], *, title: str, chosen: int) -> None:
        """Show these values."""
        with self.hold_sync():
            self.values, self.labels = [float(value) for value in values], list(labels)
            self.title, self.chosen = title, chosen
            self.serial += 1
