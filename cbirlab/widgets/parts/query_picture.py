"""The query picture: draw a rectangle on it to search for a part, or drop a picture on it to search with that one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
from traitlets import Bytes, Dict, Float, List, Unicode

from cbirlab.widgets.parts.gallery import page_text
from cbirlab.widgets.parts.guard import Guard

Fractions = tuple[float, float, float, float]


class QueryPicture(anywidget.AnyWidget):
    """A picture with a rectangle on it.

    Parameters
    ----------
    on_picture : called with the name and the bytes of a file that was dropped or chosen.
    on_error : called with an error about a file that the browser cannot read.

    Attributes
    ----------
    picture : JPEG bytes.
    description : what it shows, in words.
    given : the protocol's rectangle, as `box`.
    asked : what the user drew last, as {"box": (x0, y0, x1, y1) in fractions of width and height or empty, "count": how
        many were drawn}; set by the page alone.
    shown : the rectangle that is the query, and the count it answers; while the page has asked for more, it waits.
    """

    _esm = page_text("thumbnails.js", "region.js")
    _css = page_text("widgets.css")

    picture = Bytes().tag(sync=True)
    description = Unicode().tag(sync=True)
    given = List(Float()).tag(sync=True)
    asked = Dict().tag(sync=True, echo_update=False)
    shown = Dict().tag(sync=True)

    def __init__(
        self, on_picture: Callable[[str, bytes], None], on_error: Callable[[Exception], None], **traits: Any
    ) -> None:
        self._on_picture, self.guard = on_picture, Guard(on_error)
        super().__init__(**traits)
        self.guard.received(self, self._receive)

    def show(self, picture: bytes, *, description: str, given: Fractions | None, box: Fractions | None) -> None:
        """Show another picture, or another rectangle on it."""
        with self.hold_sync():
            self.picture, self.description = picture, description
            self.given = list(given or ())
            self.shown = {"box": list(box or ()), "count": self.asked.get("count", 0)}

    def _receive(self, _widget: Any, content: dict[str, Any], buffers: Any) -> None:
        if "unreadable" in content:
            raise ValueError(f"{content['unreadable']}: the browser cannot read this as a picture.")
        if "own" in content and buffers:
            self._on_picture(str(content["own"]), bytes(buffers[0]))
