"""Scatter: pictures as points of a map, with the thumbnail on hover, a click, a lasso and keys.

The page half is `plane.js` (where points lie), `dots.js` (what they look like), `painter.js`,
`scatter_parts.js` (the elements) and `scatter.js` (what they do).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from traitlets import Bytes, Int, List, Tuple, Unicode

from cbirlab.widgets.parts.gallery import Pictures, Thumbnails, page_text
from cbirlab.widgets.parts.snapshot import WithStill

MOST_GROUPS = 32767
NO_GROUP = -1
STILL = (640, 420)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#3f9fd8", "#7b4fa3", "#5b5b5b")


class Scatter(WithStill, Pictures):
    """A map of pictures; point i is the picture with id i.

    Parameters
    ----------
    thumbnails : shown on hover; at least as many as points.
    points : (N, 2) finite, in any unit; the second coordinate points up.
    groups : one name per point, "" for none; each group gets a colour and a shape.
    labels : one text per point, shown on hover and read out; the picture's number by default.

    Attributes
    ----------
    picked, clicks : id of the picture clicked last, and how many clicks there were.
    selected : ids inside the last lasso; empty for none.
    highlight : ids drawn on top with a ring, the first ones with their rank.
    current : id of the query, or -1.
    height : in pixels; the width is all that the page has room for.
    """

    _esm = page_text("thumbnails.js", "plane.js", "dots.js", "painter.js", "scatter_parts.js", "scatter.js")
    _css = page_text("widgets.css", "scatter.css")

    points = Bytes().tag(sync=True)
    groups = Bytes().tag(sync=True)
    names = List(Unicode()).tag(sync=True)
    labels = List(Unicode()).tag(sync=True)
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
        with self.hold_sync():
            self.points = np.ascontiguousarray(placed, dtype="<f4").tobytes()
            if groups is not None or not same:
                names, numbers = group_points(groups or [""] * len(placed))
                self.names, self.groups = names, numbers.astype("<i2").tobytes()
            if labels is not None or not same:
                self.labels = [str(label) for label in labels or ()]
            self.title = title
            self.serial += 1

    def trim(self) -> None:
        """Remove pictures that are not on the map from the selection."""
        self.selected = tuple(item for item in self.selected if item < len(self.positions))

    @property
    def positions(self) -> np.ndarray:
        """The points, (N, 2) float32."""
        return np.frombuffer(self.points, dtype="<f4").reshape(-1, 2)

    def _sheet(self) -> Image.Image | None:
        if not self.points:
            return None
        numbers = np.frombuffer(self.groups, dtype="<i2")
        return _drawn(self.positions, numbers, self.highlight, self.current, self.title)


def group_points(groups: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Names of the groups in the order of their first member, and the number of each member's group; `NO_GROUP` for "".

    Raises
    ------
    ValueError : more groups than there are numbers.
    """
    names = [name for name in dict.fromkeys(str(group) for group in groups) if name]
    if len(names) > MOST_GROUPS:
        raise ValueError(f"Scatter: there can be {MOST_GROUPS} groups at most, got {len(names)}; leave `groups` out.")
    numbers = {name: number for number, name in enumerate(names)} | {"": NO_GROUP}
    return names, np.array([numbers[str(group)] for group in groups], dtype=np.int16)


def _drawn(points: np.ndarray, groups: np.ndarray, highlight: Sequence[int], current: int, title: str) -> Image.Image:
    """Points fitted into a sheet, results ringed with their rank, the query ringed twice."""
    sheet = Image.new("RGB", STILL, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((6, 4), title, fill="black", font=font)
    room = np.array(STILL) - (40, 64)
    span = np.maximum(np.ptp(points, axis=0), 1e-9)
    scale = (room / span).min()
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    places = np.array(STILL) / 2 + (0, 12) + (points - middle) * scale * (1, -1)
    for (x, y), group in zip(places, groups, strict=True):
        colour = "#8a8a8a" if group < 0 else COLOURS[group % len(COLOURS)]
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
