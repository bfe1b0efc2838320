"""Gallery: pictures in a grid or a strip, with frames that say what they are.

The page keeps the thumbnails and the state is a list of ids: a new ranking is one short message, so it is painted
about as fast as a word of text. The page half is `gallery.js`.
"""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import anywidget
from PIL import Image, ImageDraw
from traitlets import Dict, Enum, Int, List, Unicode

from cbirlab.base.recent import Recent
from cbirlab.base.text import printable
from cbirlab.datasets.base import Box, Dataset
from cbirlab.images import size, thumbnail
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.result_marks import MARKS
from cbirlab.widgets.parts.snapshot import WithStill, jpeg_bytes, picture_sheet

LARGEST_BATCH = 64
LARGE_SIDE = 1280  # pixels of a picture that is looked at alone
AUTO_SIDE = 0
ASKS = "Click to ask for it"
KEPT_BYTES = 1 << 26  # of JPEGs; the page has its own copies
BOX_COLOUR = "#ffb300"
PATIENCE = 20.0  # seconds
MOST_IN_STILL = 48
MOST_NAMED = 4096  # pictures whose file names the page is sent: those of a long strip would be a long message


def page_text(*names: str) -> str:
    """Scripts or style sheets of this package, as text: anywidget never frees a closed widget that was given a Path."""
    return "\n".join(files("cbirlab.widgets").joinpath("page", name).read_text("utf-8") for name in names)


class Thumbnails:
    """JPEG thumbnails by id; the most recent ones are kept. Ids count through `paths`.

    Parameters
    ----------
    paths : the pictures.
    boxes : outlines on the thumbnails, in pixels of the upright picture; one per path, None for no box.
    side : long side in pixels.
    """

    def __init__(self, paths: Sequence[Path], boxes: Sequence[Box | None] = (), *, side: int = 160) -> None:
        self.name = uuid.uuid4().hex
        self.side = side
        self.paths = tuple(paths)
        self.boxes = tuple(boxes) or (None,) * len(self.paths)
        self.shipped: set[int] = set()
        self._made = Recent(len(self.paths), most_bytes=KEPT_BYTES, size=len)

    @classmethod
    def of_dataset(cls, dataset: Dataset, *, side: int = 160) -> Thumbnails:
        """Database images first (id = row), then the queries with their boxes (id = number of images + query)."""
        paths = [*dataset.images, *(query.path for query in dataset.queries)]
        boxes = [None] * len(dataset.images) + [query.box for query in dataset.queries]
        return cls(paths, boxes, side=side)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> bytes:
        """The thumbnail as JPEG bytes; a picture that cannot be read becomes a crossed grey tile."""
        return self._made.get(item, lambda: self._make(item))

    def large(self, item: int) -> bytes:
        """The picture as large as it is looked at alone, as JPEG bytes; it is not kept."""
        return self._make(item, LARGE_SIDE)

    def file_name(self, item: int) -> str:
        """The picture's folder and file name."""
        return printable("/".join(self.paths[item].parts[-2:]))

    def _make(self, item: int, side: int = 0) -> bytes:
        path, box = self.paths[item], self.boxes[item]
        side = side or self.side
        try:
            made = thumbnail(path, side)
            return made if box is None else _outlined(made, box, size(path))
        except (
            OSError,
            ValueError,
        ):  # extraction has already reported it; here it must not stop the panel
            return jpeg_bytes(_crossed(side))

    def make_all(self, done: Callable[[list[int]], None] | None = None, *, stop: threading.Event | None = None) -> None:
        """Make every thumbnail and call `done` with each batch of ids; meant for a background thread."""
        for start in range(0, len(self), LARGEST_BATCH):
            if stop is not None and stop.is_set():
                return
            batch = list(range(start, min(start + LARGEST_BATCH, len(self))))
            for item in batch:
                self[item]
            if done is not None:
                done(batch)


class Pictures(anywidget.AnyWidget):
    """Shows pictures by their ids: `picked` is the id of the picture clicked last, `clicks` counts the clicks.

    Parameters
    ----------
    thumbnails : where the pictures come from; views that share them also share the page's copies and the hover.
    on_error : called with an exception when the page asks for pictures, or in the threads that send them.

    Attributes
    ----------
    current : id of the query, or -1.
    heard : set once the page has asked for a picture.
    """

    store = Unicode().tag(sync=True)
    current = Int(-1).tag(sync=True)
    # Set by the page: sending them back would only cost a message.
    picked = Int(-1).tag(sync=True, echo_update=False)
    clicks = Int(0).tag(sync=True, echo_update=False)

    def __init__(
        self, thumbnails: Thumbnails, *, on_error: Callable[[Exception], None] | None = None, **traits: Any
    ) -> None:
        self.thumbnails, self.heard, self.guard = thumbnails, threading.Event(), Guard(on_error)
        super().__init__(store=thumbnails.name, **traits)
        self.guard.received(self, self._answer)

    def ship(self, ids: Sequence[int]) -> None:
        """Send thumbnails to the page."""
        for start in range(0, len(ids), LARGEST_BATCH):
            batch = [int(item) for item in ids[start : start + LARGEST_BATCH]]
            self.send({"thumbnails": batch}, [self.thumbnails[item] for item in batch])
            self.thumbnails.shipped.update(batch)

    def _answer(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        self.heard.set()
        known = range(len(self.thumbnails))
        self.ship([item for item in content.get("need", ()) if item in known])
        large = content.get("large", -1)
        if large in known:
            self.send({"large": large}, [self.thumbnails.large(large)])


class Gallery(WithStill, Pictures):
    """Pictures that are buttons.

    Parameters
    ----------
    thumbnails : where the pictures come from.
    arrangement : "grid" wraps, "strip" scrolls sideways.
    asks : what a click does, for the tooltip; "" if it does nothing.
    side : least width of a picture in pixels; `AUTO_SIDE` for one that suits the room.
    """

    _esm = page_text("thumbnails.js", "enlarged.js", "gallery.js")
    _css = page_text("widgets.css")

    arrangement = Enum(("grid", "strip"), "grid").tag(sync=True)
    title = Unicode().tag(sync=True)
    asks = Unicode().tag(sync=True)
    ids = List(Int()).tag(sync=True)
    captions = List(Unicode()).tag(sync=True)
    kinds = List(Unicode()).tag(sync=True)
    notes = List(Unicode()).tag(sync=True)
    names = List(Unicode()).tag(sync=True)
    marks = Dict().tag(sync=True)
    legend = List(Unicode()).tag(sync=True)
    side = Int(124).tag(sync=True)
    serial = Int(0).tag(sync=True)

    def __init__(self, thumbnails: Thumbnails, **traits: Any) -> None:
        super().__init__(thumbnails, marks={name: mark.to_page() for name, mark in MARKS.items()}, **traits)

    def show(
        self,
        ids: Sequence[int],
        *,
        captions: Sequence[str] = (),
        kinds: Sequence[str] = (),
        notes: Sequence[str] = (),
        title: str = "",
        legend: Sequence[str] = (),
        ahead: bool = True,
    ) -> None:
        """Show these pictures, in this order.

        Parameters
        ----------
        ids : of the thumbnails.
        captions, kinds, notes : one per id, or none; kinds are names in `MARKS`, notes appear in the other corner.
        title : a line above the pictures.
        legend : kinds explained below the pictures.
        ahead : first send the thumbnails that the page lacks; if False, the page asks for those it is about to show.
        """
        ids = [int(item) for item in ids]
        if ahead:
            self.ship([item for item in ids if item not in self.thumbnails.shipped])
        with self.hold_sync():
            self.ids, self.captions, self.kinds = ids, list(captions), list(kinds)
            self.notes, self.title, self.legend = list(notes), title, list(legend)
            self.names = [self.thumbnails.file_name(item) for item in ids] if len(ids) <= MOST_NAMED else []
            self.serial += 1

    def marked(self) -> list[tuple[bytes, str]]:
        """The thumbnails of the first pictures, each with its kind or ""."""
        kinds = self.kinds or [""] * len(self.ids)
        return [(self.thumbnails[item], kind) for item, kind in [*zip(self.ids, kinds, strict=True)][:MOST_IN_STILL]]

    def _sheet(self) -> Image.Image | None:
        return picture_sheet(self.marked(), title=self.title) if self.ids else None


def send_ahead(gallery: Pictures, stop: threading.Event) -> None:
    """Make all thumbnails and send those that the page lacks, in a thread, until `stop`."""

    def send(batch: list[int]) -> None:
        gallery.heard.wait(PATIENCE)  # a page that does not show the gallery yet would lose what we send
        gallery.heard.set()
        if stop.is_set():
            return
        gallery.ship([item for item in batch if item not in gallery.thumbnails.shipped])

    gallery.guard.thread(lambda: gallery.thumbnails.make_all(send, stop=stop))


def close_all(*roots: Any) -> None:
    """Close widgets and everything in them."""
    waiting = list(roots)
    while waiting:
        widget = waiting.pop()
        waiting += getattr(widget, "children", ())
        widget.close()


def _outlined(jpeg: bytes, box: Box, full_size: tuple[int, int]) -> bytes:
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    across, down = image.width / full_size[1], image.height / full_size[0]
    corners = (box[0] * across, box[1] * down, box[2] * across - 1, box[3] * down - 1)
    ImageDraw.Draw(image).rectangle(corners, outline=BOX_COLOUR, width=2)
    return jpeg_bytes(image)


def _crossed(side: int) -> Image.Image:
    image = Image.new("RGB", (side, side * 3 // 4), "#cccccc")
    ImageDraw.Draw(image).line((0, 0, image.width, image.height), fill="#888888", width=2)
    return image
