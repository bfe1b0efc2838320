"""Paint: heat, masks, regions and numbered places laid over a picture. Arrays in, Pillow images out, in milliseconds.

Strong places are bright, and weak ones keep the grey, darkened picture, so the order of strengths survives without
colour. Places that speak against a match are blue and dark, unlike any place that speaks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cbirlab.study.explain.heat_map import Overlay, PixelBox, relative, resize_map

SIDE = 480
"""Long side of a painted picture in pixels."""

OPACITY = 0.75
PALE = 0.6
"""How much colour the picture below a heat map loses."""

MASKED = 0.3
"""Brightness of the parts that a mask leaves out."""

POSITIVE = ((115, 30, 110), (170, 42, 92), (215, 72, 60), (245, 120, 25), (252, 180, 40), (252, 252, 160))
NEGATIVE = ((0, 12, 140), (25, 38, 115))
"""Anchors of the colours from weak to strong, each brighter than the one before; from strongly to weakly negative."""

MOST = 127
"""Levels of colour on either side of zero."""

BOX_COLOURS = ("#ffffff", "#ffb000", "#56b4e9", "#ff8fc7", "#3ddc97")
MARK_COLOUR, MARK_TEXT = "#ffffff", "#111111"


def paint_map(
    picture: np.ndarray,
    cells: np.ndarray,
    *,
    opacity: float = OPACITY,
    signed: bool = False,
    full: float | None = None,
    side: int = SIDE,
) -> Image.Image:
    """A heat map over a picture, enlarged to a long side of `side` pixels.

    Parameters
    ----------
    picture : uint8 (H, W, 3).
    cells : (h, w) of any range; negative values count only if `signed`.
    opacity : opacity of the strongest place, 0 to 1; 0 shows the picture as it is.
    full : the value that is painted strongest, by default the largest magnitude of `cells`.
    """
    base = _enlarged(picture, side)
    level = resize_map(cells / full if full else relative(cells), (base.height, base.width)).clip(
        -1 if signed else 0, 1
    )
    pale = Image.blend(base, base.convert("L").convert("RGB"), PALE * min(1.0, 2 * opacity))
    colours = Image.fromarray(np.rint(level * MOST + MOST).astype(np.uint8), "L")
    colours.putpalette(_colours())
    strength = Image.fromarray(np.rint(np.abs(level) * (255 * opacity)).astype(np.uint8), "L")
    return Image.composite(colours.convert("RGB"), pale, strength)


def paint_regions(
    picture: np.ndarray,
    seen: Overlay,
    *,
    opacity: float = OPACITY,
    region: int | None = None,
    side: int = SIDE,
) -> Image.Image:
    """The picture with all that a pooling looked at: heat, then the mask, then the regions.

    Parameters
    ----------
    picture, opacity, side : as in `painted`.
    region : the only one of ``seen.boxes`` to show, with everything else dark; all by default.
    """
    height, width = picture.shape[:2]
    image = paint_map(picture, seen.cells, opacity=opacity, side=side)
    boxes, kept = seen.boxes, seen.mask
    if region is not None:
        left, top, right, bottom = (round(edge) for edge in boxes[region])
        boxes, kept = (boxes[region],), np.zeros((height, width), bool)
        kept[top:bottom, left:right] = True
    if kept is not None and opacity:
        light = Image.fromarray(kept).resize(image.size, Image.Resampling.NEAREST)
        dark = (1 - MASKED) * min(1.0, opacity / OPACITY)
        image = Image.composite(image, Image.blend(image, Image.new("RGB", image.size), dark), light)
    return with_boxes(image, boxes, (height, width))


def with_boxes(image: Image.Image, boxes: Sequence[PixelBox], size: tuple[int, int]) -> Image.Image:
    """Boxes in pixels of a picture of `size` (height, width), drawn on `image`; boxes of one size share a colour."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    across, down = image.width / size[1], image.height / size[0]
    sizes = list(dict.fromkeys(_rounded(box) for box in boxes))
    for box in reversed(boxes):  # draw the large ones, which come first, on top
        inset = 2 * sizes.index(_rounded(box))  # keep borders that coincide apart
        corners = [
            box[0] * across + inset,
            box[1] * down + inset,
            box[2] * across - 1 - inset,
            box[3] * down - 1 - inset,
        ]
        if corners[0] < corners[2] and corners[1] < corners[3]:
            draw.rectangle(corners, outline=BOX_COLOURS[sizes.index(_rounded(box)) % len(BOX_COLOURS)], width=2)
    return image


def with_numbers(image: Image.Image, places: Sequence[tuple[int, int]], cells: tuple[int, int]) -> Image.Image:
    """Draw places (row, column) of a map of `cells` (h, w) as numbers in circles, side by side on the same place."""
    image = image.copy()
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    down, across, radius = image.height / cells[0], image.width / cells[1], 10
    used: dict[tuple[int, int], int] = {}
    for number, place in enumerate(places, start=1):
        shift = used.get(place, 0) * (2 * radius + 2)
        used[place] = used.get(place, 0) + 1
        x = min(max((place[1] + 0.5) * across + shift, radius), image.width - radius - 1)
        y = min(max((place[0] + 0.5) * down, radius), image.height - radius - 1)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=MARK_COLOUR, outline=MARK_TEXT, width=2)
        draw.text((x, y), str(number), fill=MARK_TEXT, font=font, anchor="mm")
    return image


def beside(images: Sequence[Image.Image], *, gap: int = 8) -> Image.Image:
    """Pictures next to each other on white."""
    sheet = Image.new("RGB", (sum(one.width + gap for one in images) - gap, max(one.height for one in images)), "white")
    left = 0
    for one in images:
        sheet.paste(one, (left, 0))
        left += one.width + gap
    return sheet


def _enlarged(picture: np.ndarray, side: int) -> Image.Image:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)


@lru_cache(maxsize=1)
def _colours() -> bytes:
    """Colours of -MOST to MOST, three bytes each, as even steps between the anchors."""
    negative = np.linspace(*NEGATIVE, MOST)
    anchors = np.array(POSITIVE)
    at = np.linspace(0, len(anchors) - 1, MOST + 1)
    positive = np.stack([np.interp(at, np.arange(len(anchors)), channel) for channel in anchors.T], axis=1)
    return np.rint(np.concatenate([negative, positive])).astype(np.uint8).tobytes()


def _rounded(box: PixelBox) -> tuple[int, int]:
    return round(box[2] - box[0]), round(box[3] - box[1])
