"""Scatter: pictures as points of a map, with the thumbnail on hover, a click, a lasso and keys.

The page half is `plane.js` (where points lie), `dots.js` (what they look like), `close.js` (names of groups, and
pictures in place of few points), `painter.js`, `scatter_parts.js` (the elements) and `scatter.js` (what they do).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from traitlets import Bool, Bytes, Int, List, Tuple, Unicode

from cbirlab.plots.maps import GREY as GREY_INK
from cbirlab.widgets.parts.colouring import COLOURS, LEVELS, Colouring, by_groups, colour_of_share
from cbirlab.widgets.parts.gallery import Pictures, Thumbnails, page_text
from cbirlab.widgets.parts.snapshot import WithStill

STILL = (640, 420)
SCRIPTS = ("thumbnails.js", "plane.js", "dots.js", "close.js", "painter.js", "scatter_parts.js", "scatter.js")


class Scatter(WithStill, Pictures):
    """A map of pictures; point i is the picture with id i.

    Parameters
    ----------
    thumbnails : shown on hover; at least as many as points.
    points : (N, 2) finite, in any unit; the second coordinate points up.
    groups : one name per point, "" for none; each group gets a colour and a shape, or the largest ones if there are
        many. `colour` colours the points by something else.
    labels : one text per point, shown on hover and read out; the picture's number by default.

    Attributes
    ----------
    picked, clicks : id of the picture clicked last, and how many clicks there were.
    selected : ids inside the last lasso; empty for none.
    kept : numbers of the groups chosen in the legend; the others are faint. Empty for all.
    left_out : uint8 (N,), 1 for points that are faint in any case; empty for none.
    highlight : ids drawn on top with a ring, the first ones with their rank.
    current : id of the query, or -1.
    free : only neighbourhoods mean something on the map, so the page may turn it, and stretch it a little, to fill it.
    height : in pixels, of a narrow map; the width is all that the page has room for, and a wide map is higher.
    """

    _esm = page_text(*SCRIPTS)
    _css = page_text("widgets.css", "scatter.css")

    points = Bytes().tag(sync=True)
    groups = Bytes().tag(sync=True)
    names = List(Unicode()).tag(sync=True)
    looks = List(Int()).tag(sync=True)
    scale = List(Unicode()).tag(sync=True)
    levels = Int(LEVELS).tag(sync=True)
    notes = List(Unicode()).tag(sync=True)
    colours = Int(0).tag(sync=True)
    kept = Tuple().tag(sync=True, echo_update=False)
    left_out = Bytes().tag(sync=True)
    labels = List(Unicode()).tag(sync=True)
    free = Bool(False).tag(sync=True)
    title = Unicode().tag(sync=True)
    height = Int(420).tag(sync=True)
    highlight = List(Int()).tag(sync=True)
    serial = Int(0).tag(sync=True)
    selected = Tuple().tag(sync=True, echo_update=False)

    def __init__(
        self,
        thumbnails: Thumbnails,
        points: Any = (),
        groups: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        **traits: Any,
    ) -> None:
        super().__init__(thumbnails, **traits)
        self.show(points, groups, labels, title=self.title)

    def show(
        self, points: Any, groups: Sequence[str] | None = None, labels: Sequence[str] | None = None, *, title: str = ""
    ) -> None:
        """Show another map. Groups and labels stay if they are not given and the number of points is the same.

        Pictures that are no longer on the map leave the selection.

        Raises
        ------
        ValueError : points not (N, 2) or not finite, more points than thumbnails, or not one group and label per point.
        """
        self.place(points, groups, labels, title=title)
        self.trim()

    def place(
        self, points: Any, groups: Sequence[str] | None = None, labels: Sequence[str] | None = None, *, title: str = ""
    ) -> None:
        """Do what `show` does, but leave the selection alone, so that nothing changes that others listen to."""
        placed = np.asarray(points, dtype=np.float32).reshape(-1, 2) if len(points) == 0 else np.asarray(points)
        if placed.ndim != 2 or placed.shape[1] != 2 or not np.isfinite(placed).all():
            raise ValueError(f"Scatter: points must be (N, 2) and finite, got {placed.shape} or NaN or infinity.")
        if len(placed) > len(self.thumbnails):
            raise ValueError(f"Scatter: {len(placed)} points need as many thumbnails, got {len(self.thumbnails)}.")
        for name, given in (("groups", groups), ("labels", labels)):
            if given is not None and len(given) != len(placed):
                raise ValueError(f"Scatter: {name} must be one per point, {len(placed)}, got {len(given)}.")
        same = len(placed) == len(self.positions)
        colouring = by_groups(groups or [""] * len(placed)) if groups is not None or not same else None
        with self.hold_sync():
            self.points = np.ascontiguousarray(placed, dtype="<f4").tobytes()
            if colouring is not None:
                self.colour(colouring)
            if labels is not None or not same:
                self.labels = [str(label) for label in labels or ()]
            self.title = title
            self.serial += 1

    def colour(self, colouring: Colouring) -> None:
        """Colour the points, which stay where they are; none is faint any more.

        Parameters
        ----------
        colouring : of at least as many points as the map has.
        """
        shown = colouring.first(len(self.positions))
        with self.hold_sync():
            self.names, self.groups = list(shown.names), shown.numbers.astype("<i2").tobytes()
            self.looks, self.scale, self.notes = list(shown.looks), list(shown.scale), list(shown.notes)
            self.kept, self.left_out, self._values = (), b"", shown.values
            self.colours += 1

    def trim(self) -> None:
        """Remove pictures that are not on the map from the selection."""
        self.selected = tuple(item for item in self.selected if item < len(self.positions))

    @property
    def positions(self) -> np.ndarray:
        """The points, (N, 2) float32."""
        return np.frombuffer(self.points, dtype="<f4").reshape(-1, 2)

    @property
    def numbers(self) -> np.ndarray:
        """The group or level of each point, -1 for none, (N,)."""
        return np.frombuffer(self.groups, dtype="<i2").astype(int)

    def coloured_by(self) -> tuple[np.ndarray, dict[str, str] | None]:
        """The number of each point and None; or the name of each, and the colours of those names that have one."""
        if self.scale:
            return self._values, None
        names = np.array([*self.names, ""])[self.numbers]
        return names, {
            name: COLOURS[look % len(COLOURS)] for name, look in zip(self.names, self.looks, strict=True) if look >= 0
        }

    def _sheet(self) -> Image.Image | None:
        if not self.points:
            return None
        return _drawn(self.positions, self.dots(), self.highlight, self.current, self.title)

    def dots(self) -> list[str]:
        """The colour of each point on a white page."""
        numbers = self.numbers
        if self.scale:
            return [colour_of_share(number / (LEVELS - 1)) if number >= 0 else GREY_INK for number in numbers]
        places = np.array([*self.looks, -1])[numbers]
        return [GREY_INK if place < 0 else COLOURS[place % len(COLOURS)] for place in places]


def _drawn(points: np.ndarray, dots: Sequence[str], highlight: Sequence[int], current: int, title: str) -> Image.Image:
    """Points fitted into a sheet, results ringed with their rank, the query ringed twice."""
    sheet = Image.new("RGB", STILL, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((6, 4), title, fill="black", font=font)
    room = np.array(STILL) - (40, 64)
    span = np.maximum(np.ptp(points, axis=0), 1e-9)
    scale = (room / span).min()
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    places = np.array(STILL) / 2 + (0, 12) + (points - middle) * scale * (1, -1)
    for (x, y), colour in zip(places, dots, strict=True):
        draw.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=colour)
    for rank, item in reversed([*enumerate(highlight, start=1)]):
        if item < len(places):
            x, y = places[item]
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline="black", width=2)
            draw.text((x + 7, y - 12), str(rank) if rank <= 9 else "", fill="black", font=font)
    if 0 <= current < len(places):
        x, y = places[current]
        for radius in (7, 11):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline="black", width=2)
        draw.text((x + 13, y - 8), "query", fill="black", font=font)
    return sheet
