"""Upright: a decoded picture is turned as its file says and becomes RGB of eight bits, band by band."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from cbirlab.images.decoding.greys import bands, dim, eight_bits
from cbirlab.images.decoding.metadata import Facts

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # these swap height and width
_BACKWARDS = (3, 4, 6, 7)  # these put the first row last

Convert = Callable[[Image.Image], Image.Image]


def upright_size(image: Image.Image, facts: Facts) -> tuple[int, int]:
    """(height, width) of the upright picture."""
    return (image.width, image.height) if facts.orientation in _SIDEWAYS else (image.height, image.width)


def upright_rgb(image: Image.Image, facts: Facts) -> tuple[Image.Image, str]:
    """The upright RGB picture, and a remark if it is dim for values of more than eight bits.

    A picture is converted in bands and turned with them: only the picture itself and the result are ever whole in
    memory.
    """
    cut_off = _cut_off(image)
    image.load()
    convert, remark = _conversion(image, facts)
    if cut_off:
        remark = dim(max(high for _, high in _extrema(image)) * 257, 65535)
    if convert is None and facts.orientation == 1:
        return image, remark
    height, width = upright_size(image, facts)
    upright = Image.new("RGB", (width, height))
    for top, stop in bands(image):
        part = image.crop((0, top, image.width, stop))
        part = part if convert is None else convert(part)
        if facts.orientation in _TURNS:
            part = part.transpose(_TURNS[facts.orientation])
        along = image.height - stop if facts.orientation in _BACKWARDS else top
        upright.paste(part, (along, 0) if facts.orientation in _SIDEWAYS else (0, along))
    return upright, remark


def _conversion(image: Image.Image, facts: Facts) -> tuple[Convert | None, str]:
    """The function that makes a band RGB, None if it is RGB already; and a remark if the picture is dim."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return None, ""
    if image.mode.startswith(("I", "F")):
        eight, remark = eight_bits(image, facts)
        return lambda band: eight(band).convert("RGB"), remark
    if image.has_transparency_data:
        return _on_white, ""
    return lambda band: band.convert("RGB"), ""


def _on_white(band: Image.Image) -> Image.Image:
    paper = Image.new("RGBA", band.size, "white")
    return Image.alpha_composite(paper, band.convert("RGBA")).convert("RGB")


def _cut_off(image: Image.Image) -> bool:
    """Whether the decoder keeps only eight of sixteen bits, as for colours; known before the pixels are read."""
    tiles = getattr(image, "tile", None) or ()
    return not image.mode.startswith(("I", "F")) and any(";16" in str(arguments) for *_, arguments in tiles)


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    """Least and greatest value of each band except the transparency."""
    found = image.getextrema()
    return [found] if image.mode == "L" else list(found)[: len(image.mode.rstrip("Aa"))]  # pyright: ignore
