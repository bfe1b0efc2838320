"""Still pictures instead of widgets: GitHub, nbviewer and a notebook opened without a kernel show these."""

from __future__ import annotations

import base64
import io
import uuid
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from PIL import Image, ImageDraw, ImageFont, ImageOps

from cbirlab.widgets.parts.result_marks import FRAME_PIXELS, MARKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 8
TILE = (124, 93)
MOST_IN_SHEET = 9
LINE_PIXELS = 18
STAND_IN = """<style class="{name}">
@keyframes cbirlab-late {{ from {{ max-height: 0; font-size: 0 }} }}
.jp-OutputArea-child:has(> * > .{name}) {{ display: none }}
.jp-OutputArea-child:has(+ * > * > .{name}) > .jp-OutputArea-output:not(:has(*)) {{
    font-size: 0;
    &::before {{
        content: ""; display: block; max-width: {width}px; aspect-ratio: {width} / {height};
        background: url(data:image/jpeg;base64,{jpeg}) 0 0 / contain no-repeat }}
    &::after {{
        content: "A still picture: run the cell to work with it."; display: block; margin-top: 4px; font-size: 13px }}
    &:not(.jupyter-widgets)::before, &:not(.jupyter-widgets)::after {{ animation: cbirlab-late 1s step-end }} }}
</style>"""


class WithStill(widgets.DOMWidget):
    """A widget with a still picture for readers without a kernel."""

    def still(self) -> bytes | None:
        """One JPEG of what is shown; None if nothing is shown."""
        sheet = self._sheet()
        return sheet and jpeg_bytes(sheet)

    def _sheet(self) -> Image.Image | None:
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle: Any = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None and (jpeg := self.still()):
            data["image/jpeg"] = base64.b64encode(jpeg).decode("ascii")
        return bundle

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data

        if self._repr_mimebundle_ is None:  # closed: IPython then shows it like any object
            raise NotImplementedError
        bundle = self._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, None)
        publish_display_data(data, metadata)
        if "image/jpeg" in data:
            publish_display_data({"text/html": stand_in(data["image/jpeg"])})


def stand_in(jpeg: str) -> str:
    """Style that makes JupyterLab show the picture, base64, while the widget before it is only words.

    In a trusted notebook JupyterLab shows the widget and no other form of it. Without a kernel it says "Loading" for
    good, and with a kernel that does not know the widget it shows an error. If the widget comes within a second, the
    picture does not come first. An untrusted notebook shows the JPEG of the widget's own bundle, and loses this style.
    """
    width, height = Image.open(io.BytesIO(base64.b64decode(jpeg))).size
    return STAND_IN.format(name=f"cbirlab-{uuid.uuid4().hex}", width=width, height=height, jpeg=jpeg)


def picture_sheet(pictures: Sequence[tuple[bytes, str]], *, title: str = "", notes: Sequence[str] = ()) -> Image.Image:
    """Thumbnails in rows of eight, each with the frame and the word of its kind, under a title and above some notes."""
    columns = min(COLUMNS, max(1, len(pictures)))
    rows = -(-len(pictures) // columns)
    step_x, step_y = TILE[0] + 2 * FRAME_PIXELS + 6, TILE[1] + 2 * FRAME_PIXELS + LINE_PIXELS
    width = max(columns * step_x, 420)
    sheet = Image.new("RGB", (width, (2 + len(notes)) * LINE_PIXELS + rows * step_y), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((4, 2), title, fill="black", font=font)
    for position, (jpeg, kind) in enumerate(pictures):
        corner = (position % columns * step_x, LINE_PIXELS + 4 + position // columns * step_y)
        sheet.paste(_framed(jpeg, kind), corner)
        word = MARKS[kind].short if kind else ""
        draw.text(
            (corner[0] + 2, corner[1] + step_y - LINE_PIXELS), f"{position + 1}. {word}", fill="#333333", font=font
        )
    for line, note in enumerate(notes):
        draw.text((4, LINE_PIXELS * (1 + line) + 8 + rows * step_y), note, fill="#333333", font=font)
    return sheet


def contact_sheet(pictures: Sequence[bytes], *, across: int = 3) -> Image.Image:
    """Thumbnails side by side, `across` in a row."""
    sheet = Image.new("RGB", (across * TILE[0], -(-len(pictures) // across) * TILE[1]), "#dddddd")
    for place, jpeg in enumerate(pictures):
        picture = ImageOps.fit(Image.open(io.BytesIO(jpeg)).convert("RGB"), TILE)
        sheet.paste(picture, (place % across * TILE[0], place // across * TILE[1]))
    return sheet


def _framed(jpeg: bytes, kind: str) -> Image.Image:
    picture = ImageOps.fit(Image.open(io.BytesIO(jpeg)).convert("RGB"), TILE)
    framed = ImageOps.expand(picture, FRAME_PIXELS, MARKS[kind].colour if kind else "#dddddd")
    if not kind or MARKS[kind].line == "solid":
        return framed
    return _broken(framed, MARKS[kind].line)


def _broken(framed: Image.Image, line: str) -> Image.Image:
    """Interrupt the frame: long gaps for dashes, short ones for dots, a white line along it for a double line."""
    draw = ImageDraw.Draw(framed)
    width, height = framed.size
    if line == "double":
        draw.rectangle((1, 1, width - 2, height - 2), outline="white", width=2)
        return framed
    period, gap = (16, 7) if line == "dashed" else (8, 4)
    for x in range(0, width, period):
        draw.rectangle((x, 0, x + gap - 1, FRAME_PIXELS - 1), fill="white")
        draw.rectangle((x, height - FRAME_PIXELS, x + gap - 1, height), fill="white")
    for y in range(0, height, period):
        draw.rectangle((0, y, FRAME_PIXELS - 1, y + gap - 1), fill="white")
        draw.rectangle((width - FRAME_PIXELS, y, width, y + gap - 1), fill="white")
    return framed


def jpeg_bytes(image: Image.Image) -> bytes:
    """A picture as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def on_white(png: bytes) -> Image.Image:
    """A figure, with white where it is transparent."""
    figure = Image.open(io.BytesIO(png)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", figure.size, "white"), figure).convert("RGB")


def data_uri(jpeg: bytes) -> str:
    """A picture inside an HTML text."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def picture_html(image: Image.Image, alt: str, caption: str) -> str:
    """A picture with a caption."""
    source = data_uri(jpeg_bytes(image))
    text = f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure class='cbirlab-figure'><img alt='{escape(alt)}' src='{source}'>{text}</figure>"


def figure_html(ax: Axes) -> str:
    """A figure as a picture, with a description for those who do not see it."""
    from cbirlab.plots import described, png

    source = "data:image/png;base64," + base64.b64encode(png(ax)).decode("ascii")
    return f"<img class='cbirlab-chart' alt='{escape(described(ax), quote=True)}' src='{source}'>"
