"""JudgedGallery: results with two buttons below each, "same" and "not the same". The page half is `judged.js`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from traitlets import Int, List, Unicode

from cbirlab.widgets.parts.gallery import Pictures, Thumbnails, page_text

SAID = ("", "same", "not")


class JudgedGallery(Pictures):
    """Pictures, each of which a person can call the same as the query, or not the same.

    Parameters
    ----------
    thumbnails : where the pictures come from.
    on_judged : called with the id of a picture, and whether it is the same.
    """

    _esm = page_text("thumbnails.js", "judged.js")
    _css = page_text("widgets.css")

    title = Unicode().tag(sync=True)
    ids = List(Int()).tag(sync=True)
    captions = List(Unicode()).tag(sync=True)
    notes = List(Unicode()).tag(sync=True)
    said = List(Unicode()).tag(sync=True)
    side = Int(132).tag(sync=True)
    serial = Int(0).tag(sync=True)

    def __init__(
        self,
        thumbnails: Thumbnails,
        on_judged: Callable[[int, bool], None],
        *,
        on_error: Callable[[Exception], None] | None = None,
        **traits: Any,
    ) -> None:
        self._on_judged = on_judged
        super().__init__(thumbnails, on_error=on_error, **traits)
        self.guard.received(self, self._judged)

    def show(
        self,
        ids: Sequence[int],
        *,
        captions: Sequence[str],
        said: Sequence[str],
        notes: Sequence[str] = (),
        title: str = "",
    ) -> None:
        """Show these pictures, in this order.

        Parameters
        ----------
        ids : of the thumbnails.
        captions, said : one per id; `said` is "same", "not" or "".
        notes : how far each has moved, or none.
        """
        self.ship([item for item in ids if item not in self.thumbnails.shipped])
        with self.hold_sync():
            self.ids, self.captions, self.said = [int(item) for item in ids], list(captions), list(said)
            self.notes, self.title = list(notes), title
            self.serial += 1

    def _judged(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Hear of a click; the page says which picture it was, as rankings may have changed since."""
        item, said = content.get("judged"), content.get("said")
        if item in self.ids and said in SAID[1:]:
            self._on_judged(int(item), said == "same")
