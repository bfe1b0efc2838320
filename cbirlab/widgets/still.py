"""Still pictures in place of widgets: GitHub, nbviewer and a notebook opened without a kernel show these."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from cbirlab.widgets.marks import FRAME_PIXELS, MARKS

COLUMNS = 8
TILE = (124, 93)
LINE_PIXELS = 18


def with_still(bundle: Any, jpeg: bytes | None) -> Any:
    """Add a JPEG to what a widget gives the notebook to show."""
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    if jpeg and data is not None:
        data["image/jpeg"] = base64.b64encode(jpeg).decode("ascii")
    return bundle


def picture_sheet(pictures: Sequence[tuple[bytes, str]], *, title: str = "", notes: Sequence[str] = ()) -> Image.Image:
    """Thumbnails in rows of eight, framed by kind with the kind's word below, under a title and above some notes."""
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


def jpeg_of(png: bytes) -> bytes:
    """A figure as JPEG, on white where it is transparent."""
    figure = Image.open(io.BytesIO(png)).convert("RGBA")
    return jpeg_bytes(Image.alpha_composite(Image.new("RGBA", figure.size, "white"), figure).convert("RGB"))


def data_uri(jpeg: bytes) -> str:
    """A picture inside an HTML text."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
