"""A line between two panes that can be dragged: the width of one of them, which the browser keeps."""

from __future__ import annotations

from typing import Any

import anywidget
from traitlets import Bool, Int, Unicode

from cbirlab.widgets.parts.gallery import page_text


class Splitter(anywidget.AnyWidget):
    """Stands between two panes of a row; arrow keys move it too, a double click or Enter gives the usual width back.

    Parameters
    ----------
    pane : what it makes wider or narrower, in a word; the browser keeps the width by this name.
    first : whether that pane stands before the line, or after it.
    least : the fewest pixels that its content needs.
    """

    _esm = page_text("splitter.js")
    _css = page_text("widgets.css")

    pane = Unicode().tag(sync=True)
    label = Unicode().tag(sync=True)
    first = Bool().tag(sync=True)
    least = Int().tag(sync=True)

    def __init__(self, pane: str, *, first: bool, least: int) -> None:
        super().__init__(pane=pane, label=f"Width of the {pane}", first=first, least=least)


_PANES: dict[str, dict[str, Any]] = {"settings": {"first": True, "least": 300}, "map": {"first": False, "least": 280}}


def beside(pane: str) -> Splitter:
    """The line of a pane of the workbench, "settings" or "map"."""
    return Splitter(pane, **_PANES[pane])
