"""The query picture: draw a rectangle on it to search for a part, or drop a picture on it to search with that one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
from traitlets import Bytes, Dict, Float, List, Unicode

from cbirlab import images
from cbirlab.datasets.base import Dataset
from cbirlab.widgets.parts.gallery import Thumbnails, page_text
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.question import Question

Fractions = tuple[float, float, float, float]
SIDE = 320  # pixels


class QueryPicture(anywidget.AnyWidget):
    """A picture with a rectangle on it.

    Parameters
    ----------
    dataset, thumbnails : what the questions are about, and its pictures.
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
        self,
        dataset: Dataset,
        thumbnails: Thumbnails,
        on_picture: Callable[[str, bytes], None],
        on_error: Callable[[Exception], None],
        **traits: Any,
    ) -> None:
        self.dataset, self._on_picture, self.guard = dataset, on_picture, Guard(on_error)
        self._large, self._shown = Thumbnails(thumbnails.paths, side=SIDE), None
        super().__init__(**traits)
        self.guard.received(self, self._receive)

    def show_question(self, question: Question, unreadable: str) -> None:
        """Show the picture of a question, unless it is there already.

        Parameters
        ----------
        unreadable : why the picture cannot be read; "" if it can.
        """
        words, boxes, item = question.words, (None, None), question.item(self.dataset)
        asked = words, question.images, question.own, question.box, unreadable, self.asked.get("count")
        if asked == self._shown:  # a slider moved, so the picture stays
            return
        if item is None:
            jpeg = images.thumbnail(question.picture(self.dataset), SIDE)
        else:
            jpeg = self._large[item]
        if item is not None and unreadable:
            words = f"{words}, which cannot be read"
        else:
            boxes = question.fractions(self.dataset)
        self.show(jpeg, description=words, given=boxes[0], box=boxes[1])
        self._shown = asked

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
