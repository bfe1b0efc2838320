"""Drawing: lines, bars and words of a small chart, as SVG in the page's own colours and as a still picture.

A chart of a few hundred marks is written in about a millisecond, so it follows a slider; matplotlib takes fifty.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from textwrap import wrap
from typing import NamedTuple

from PIL import Image, ImageColor, ImageDraw, ImageFont

INK, DIM = "ink", "dim"
"""For text and axes: the page's own colours, readable in its dark theme too."""

_PAGE = {INK: "var(--jp-ui-font-color1, #222222)", DIM: "var(--jp-ui-font-color2, #666666)"}
_PAPER = {INK: "#222222", DIM: "#666666"}
_DASH = 5
_LINE = 17
_ANCHORS = {"start": "lm", "middle": "mm", "end": "rm"}

Points = Sequence[tuple[float, float]]
Ends = tuple[float, float, float, float]
"""x and y of one end, then of the other."""


class _Line(NamedTuple):
    points: Points
    colour: str
    width: float
    dashed: bool


class _Area(NamedTuple):
    points: Points
    colour: str
    opacity: float


class _Segments(NamedTuple):
    ends: Sequence[Ends]
    colour: str
    width: float
    opacity: float


class _Dots(NamedTuple):
    points: Points
    colour: str
    radius: float
    opacity: float
    hollow: bool


class _Raster(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    image: Image.Image
    smooth: bool


class _Text(NamedTuple):
    x: float
    y: float
    words: str
    anchor: str
    colour: str
    size: int


_Mark = _Line | _Area | _Segments | _Dots | _Raster | _Text


class Drawing:
    """Marks on a sheet of `width` by `height` pixels, the origin at the upper left; later marks lie on top."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.marks: list[_Mark] = []

    def line(self, points: Points, colour: str = INK, *, width: float = 1.5, dashed: bool = False) -> None:
        """Straight lines from point to point."""
        self.marks.append(_Line(list(points), colour, width, dashed))

    def area(self, points: Points, colour: str, *, opacity: float = 1.0) -> None:
        """A filled polygon."""
        self.marks.append(_Area(list(points), colour, opacity))

    def segments(self, ends: Sequence[Ends], colour: str, *, width: float = 1.0, opacity: float = 1.0) -> None:
        """Many straight lines that look alike."""
        self.marks.append(_Segments(list(ends), colour, width, opacity))

    def dots(
        self, points: Points, colour: str, *, radius: float = 2.0, opacity: float = 1.0, hollow: bool = False
    ) -> None:
        """A disc at each point, or a circle if it is hollow."""
        self.marks.append(_Dots(list(points), colour, radius, opacity, hollow))

    def raster(
        self, x: float, y: float, width: float, height: float, image: Image.Image, *, smooth: bool = False
    ) -> None:
        """A picture, its upper left corner at (x, y): its pixels become tiles, or a photograph if it is smooth."""
        self.marks.append(_Raster(x, y, width, height, image, smooth))

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", colour: str = INK, size: int = 12) -> None:
        """Words in one line, their middle at height `y`; `anchor` is "start", "middle" or "end"."""
        self.marks.append(_Text(x, y, words, anchor, colour, size))

    def svg(self, alt: str) -> str:
        """The drawing for a page; `alt` says what it shows."""
        body = "".join(_svg(mark) for mark in self.marks)
        size = f"viewBox='0 0 {self.width} {self.height}' width='{self.width}' height='{self.height}'"
        look = "style='max-width:100%;height:auto;font-family:var(--jp-ui-font-family, sans-serif)'"
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='{escape(alt)}' {size} {look}>{body}</svg>"
        )

    def image(self) -> Image.Image:
        """The drawing on white paper, for readers without a kernel."""
        sheet = Image.new("RGB", (self.width, self.height), "white")
        draw = ImageDraw.Draw(sheet, "RGBA")
        for mark in self.marks:
            if isinstance(mark, _Raster):
                size = max(1, round(mark.width)), max(1, round(mark.height))
                how = Image.Resampling.BILINEAR if mark.smooth else Image.Resampling.NEAREST
                sheet.paste(mark.image.resize(size, how), (round(mark.x), round(mark.y)))
            else:
                _draw(draw, mark)
        return sheet


def stack_pictures(images: Sequence[Image.Image], *, gap: int = 6) -> Image.Image:
    """Pictures below each other on white."""
    height = sum(one.height + gap for one in images) - gap
    sheet = Image.new("RGB", (max(one.width for one in images), height), "white")
    top = 0
    for one in images:
        sheet.paste(one, (0, top))
        top += one.height + gap
    return sheet


def titled_sheet(image: Image.Image, title: str, note: str = "") -> Image.Image:
    """A picture under a title and above a note, on white."""
    font, columns = ImageFont.load_default(13), max(30, image.width // 7)
    above, below = wrap(title, columns), wrap(note, columns)
    sheet = Image.new("RGB", (image.width, image.height + _LINE * (len(above) + len(below)) + 12), "white")
    draw = ImageDraw.Draw(sheet)
    for line, words in enumerate(above):
        draw.text((4, 2 + _LINE * line), words, fill="black", font=font)
    top = _LINE * len(above) + 6
    sheet.paste(image, (0, top))
    for line, words in enumerate(below):
        draw.text((4, top + image.height + 4 + _LINE * line), words, fill="#333333", font=font)
    return sheet


def _svg(mark: _Mark) -> str:
    if isinstance(mark, _Raster):
        place = f"x='{mark.x:.1f}' y='{mark.y:.1f}' width='{mark.width:.1f}' height='{mark.height:.1f}'"
        look = "preserveAspectRatio='none'" + ("" if mark.smooth else " style='image-rendering:pixelated'")
        return f"<image {place} {look} href='{_inside(mark.image, 'JPEG' if mark.smooth else 'PNG')}'/>"
    colour = _PAGE.get(mark.colour, mark.colour)
    if isinstance(mark, _Text):
        place = f"x='{mark.x:.1f}' y='{mark.y:.1f}' text-anchor='{mark.anchor}' dominant-baseline='central'"
        return f"<text {place} style='fill:{colour};font-size:{mark.size}px'>{escape(mark.words)}</text>"
    if isinstance(mark, _Segments):
        path = "".join(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" for x0, y0, x1, y1 in mark.ends)
        look = f"fill:none;stroke:{colour};stroke-width:{mark.width:g};stroke-opacity:{mark.opacity:g}"
        return f"<path d='{path}' style='{look}'/>"
    if isinstance(mark, _Dots) and mark.hollow:
        r = mark.radius
        path = "".join(f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0" for x, y in mark.points)
        return f"<path d='{path}' style='fill:none;stroke:{colour};stroke-width:1.5;stroke-opacity:{mark.opacity:g}'/>"
    if isinstance(mark, _Dots):
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in mark.points)
        look = f"fill:none;stroke:{colour};stroke-width:{2 * mark.radius:g};stroke-opacity:{mark.opacity:g}"
        return f"<path d='{path}' style='{look};stroke-linecap:round'/>"
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.points)
    if isinstance(mark, _Area):
        return f"<polygon points='{points}' style='fill:{colour};fill-opacity:{mark.opacity:g}'/>"
    dash = f";stroke-dasharray:{_DASH},{_DASH - 1}" if mark.dashed else ""
    return f"<polyline points='{points}' style='fill:none;stroke:{colour};stroke-width:{mark.width:g}{dash}'/>"


def _inside(image: Image.Image, form: str) -> str:
    """A picture inside an SVG."""
    out = io.BytesIO()
    image.save(out, form)
    return f"data:image/{form.lower()};base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _draw(draw: ImageDraw.ImageDraw, mark: _Line | _Area | _Segments | _Dots | _Text) -> None:
    colour = ImageColor.getrgb(_PAPER.get(mark.colour, mark.colour))
    if isinstance(mark, _Text):
        font = ImageFont.load_default(mark.size)
        draw.text((mark.x, mark.y), mark.words, fill=colour, font=font, anchor=_ANCHORS[mark.anchor])
    elif isinstance(mark, _Segments):
        for ends in mark.ends:
            draw.line(ends, fill=(*colour[:3], round(255 * mark.opacity)), width=max(1, round(mark.width)))
    elif isinstance(mark, _Dots):
        paint = (*colour[:3], round(255 * mark.opacity))
        for x, y in mark.points:
            corners = (x - mark.radius, y - mark.radius, x + mark.radius, y + mark.radius)
            draw.ellipse(corners, fill=None if mark.hollow else paint, outline=paint if mark.hollow else None)
    elif isinstance(mark, _Area):
        draw.polygon([tuple(point) for point in mark.points], fill=(*colour[:3], round(255 * mark.opacity)))
    else:
        pieces = _dashes(mark.points) if mark.dashed else [mark.points]
        for piece in pieces:
            draw.line([tuple(point) for point in piece], fill=colour, width=max(1, round(mark.width)))


def _dashes(points: Points) -> list[Points]:
    """Cut a line into dashes; if it has many points, leave some of its stretches out."""
    pieces: list[Points] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        count = max(1, round(max(abs(x1 - x0), abs(y1 - y0)) / (2 * _DASH)))
        for part in range(count):
            start, end = part / count, (part + 0.5) / count
            ends = [(x0 + at * (x1 - x0), y0 + at * (y1 - y0)) for at in (start, end)]
            pieces.append(ends)
    return pieces
