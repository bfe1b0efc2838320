"""Preprocessing: how a picture is cut and resized before a network sees it, as plain data: sizes, not pixels.

Papers do not agree on this and seldom say what they did; that alone makes numbers differ by several points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

from cbirlab.base.params import Choice, Range, check_parameters

Box = Sequence[float]
Size = tuple[int, int]
B = TypeVar("B", bound=Box)

IMAGE_SIZE = Range(1, 4096, integer=True, optional=True)
"""A recipe's image size, in pixels: at the upper end the first maps of a ResNet take 1 GB each; papers go to 1,600."""

CROP = Choice(("box", "box_resized", "none"))
"""How a query with a box is cut: to the box, at the scale of the whole image; to the box, which is then brought to the
image size as if it were a whole image, and enlarged if it is smaller; or not at all."""

RESIZE = Choice(("long_side", "short_side", "square", "centre_crop", "thumbnail", "draft"))
"""What the image size means, in this order: an upper limit for the long side; the length of the short side; the length
of both sides, whatever the aspect; the side of the central square that classification cuts; an upper limit for the long
side, to the pixel as in the published code of Radenović et al.; and the same limit for pictures that are decoded small,
which is faster and changes pixels a little."""

INTERPOLATION = Choice(("lanczos", "bicubic", "bilinear", "nearest"))
ANTIALIAS = Choice((True, False))

KEPT = 7 / 8
"""The share of the short side that classification keeps: 224 pixels of 256."""


@dataclass(frozen=True)
class Resizing:
    """How a picture is resized.

    Attributes
    ----------
    resize : "long_side" keeps the aspect and never enlarges; "short_side" keeps it too and may enlarge, as torchvision
        does; "square" squashes; "centre_crop" resizes the short side to 8/7 of the image size and cuts the central
        square; "thumbnail" is "long_side" as Pillow's `crop` and `thumbnail` do it, which the published code of
        Radenović et al. calls: a box is rounded, not widened to every pixel that it touches, long sides are cut to a
        whole number, not rounded, and a picture that is more than twice as large is halved, or more, by averages first;
        "draft" is "long_side" of a JPEG that is decoded at a half, a quarter or an eighth of its size, which leaves out
        its finest frequencies, but at least `DRAFT_GAP` times as large as wanted. Cuts are taken of the whole picture.
    interpolation : the kernel.
    antialias : whether the kernel grows with the factor by which a picture shrinks. Without it, as when tensors are
        resized by default, pixels between the kernel's positions are ignored. Nearest neighbours always ignore them.

    Raises
    ------
    ValueError : an unknown option.
    """

    resize: Annotated[str, RESIZE] = "long_side"
    interpolation: Annotated[str, INTERPOLATION] = "lanczos"
    antialias: Annotated[bool, ANTIALIAS] = True

    def __post_init__(self) -> None:
        check_parameters(type(self), asdict(self), owner="Recipe")

    def __str__(self) -> str:
        return f"{self.resize}, {self.interpolation}" + ("" if self.antialias else ", no antialias")

    @property
    def changed(self) -> dict[str, Any]:
        """The fields that differ from the defaults, with their values."""
        usual = asdict(Resizing())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


def region(box: B | None, crop: str) -> tuple[B | None, B | None]:
    """The `box` and the `frame` (see `target_size`) of a query with a box, or of one without."""
    if box is None or CROP.check("Recipe", "crop", crop) == "none":
        return None, None
    return (box, None) if crop == "box" else (None, box)


def target_size(
    height: int,
    width: int,
    image_size: int,
    box: Box | None = None,
    *,
    frame: Box | None = None,
    scale: float = 1.0,
    resize: str = "long_side",
) -> Size:
    """(height, width) after resizing: long side at most `image_size`, aspect ratio kept, never enlarged.

    A query's `box` keeps the scale of its full image: the long side of the crop becomes
    ``image_size * max(crop) / max(full)``, as in the evaluation of Radenović et al. (TPAMI 2019); which pixels those
    are differs by up to one at each edge, and is the same with resize "thumbnail".

    Parameters
    ----------
    box : the region to cut out; None for all of the frame.
    frame : the region that counts as the whole image, and is enlarged if it is smaller; None for all of the image.
    scale : multiplies the size (for multi-scale descriptors) and may enlarge.
    resize : another rule, see `Resizing`.

    Raises
    ------
    ValueError : an image size below 1, an unknown rule, or a box that `whole_box` refuses.
    """
    size = resized_size(height, width, image_size, box, frame=frame, scale=scale, resize=resize)
    if resize != "centre_crop":
        return size
    side = central_side(image_size, scale)
    return min(side, size[0]), min(side, size[1])


def resized_size(
    height: int,
    width: int,
    image_size: int,
    box: Box | None = None,
    *,
    frame: Box | None = None,
    scale: float = 1.0,
    resize: str = "long_side",
) -> Size:
    """Like `target_size`, but before the central square is cut."""
    if image_size < 1:
        raise ValueError(f"target_size: image_size must be at least 1 pixel, got {image_size}.")
    whole = (height, width)
    if resize == "thumbnail":
        height, width = _thumbnail(whole, image_size, box, frame)
        return max(1, round(height * scale)), max(1, round(width * scale))
    down, across = _factors(_sides(whole, frame), image_size, resize, enlarge=frame is not None)
    height, width = _sides(whole, box or frame)
    height, width = max(1, round(height * down)), max(1, round(width * across))
    return max(1, round(height * scale)), max(1, round(width * scale))


def central_side(image_size: int, scale: float = 1.0) -> int:
    """Side of the central square."""
    return max(1, round(image_size * scale))


def whole_box(height: int, width: int, box: Box) -> tuple[int, int, int, int]:
    """The pixels that `box` touches, clipped to the image.

    Raises
    ------
    ValueError : not four finite numbers, or nothing of the image is inside.
    """
    if len(box) != 4 or not all(math.isfinite(edge) for edge in box):
        raise ValueError(f"box must be four finite numbers (x0, y0, x1, y1), got {tuple(box)}.")
    x0, y0 = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    x1, y1 = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"box {tuple(box)} must overlap the image of {width} x {height} pixels.")
    return x0, y0, x1, y1


def cut(height: int, width: int, box: Box, resize: str = "long_side") -> tuple[int, int, int, int]:
    """The pixels that a rule cuts out for `box`, at least one: those of `whole_box`, or rounded for a thumbnail."""
    x0, y0, x1, y1 = whole_box(height, width, box)
    if resize != "thumbnail":
        return x0, y0, x1, y1
    x0, y0 = min(max(0, round(box[0])), width - 1), min(max(0, round(box[1])), height - 1)
    return x0, y0, min(max(round(box[2]), x0 + 1), width), min(max(round(box[3]), y0 + 1), height)


def _sides(size: Size, box: Box | None, resize: str = "long_side") -> Size:
    if box is None:
        return size
    x0, y0, x1, y1 = cut(*size, box, resize)
    return y1 - y0, x1 - x0


THUMBNAIL_GAP = 2.0
"""Pillow averages whole blocks while a thumbnail is more than twice too large, and resizes from there."""


DRAFT_GAP = 2
"""How many times as large as wanted a draft is decoded at least: what is left out then hardly shows after resizing."""


def _thumbnail(size: Size, image_size: int, box: Box | None, frame: Box | None) -> Size:
    whole, part = _sides(size, frame, "thumbnail"), _sides(size, box or frame, "thumbnail")
    limit = max(1, math.floor(image_size * max(part) / max(whole)))
    height, width = part
    if frame is not None and max(whole) < image_size:
        factor = image_size / max(whole)
        return max(1, round(height * factor)), max(1, round(width * factor))
    if max(part) <= limit:
        return part
    aspect = width / height
    if aspect <= 1:
        return limit, _nearest(limit * aspect, lambda side: abs(aspect - side / limit))
    return _nearest(limit / aspect, lambda side: abs(aspect - limit / side) if side else 0.0), limit


def _nearest(side: float, error: Callable[[int], float]) -> int:
    """The whole number next to `side`, above or below, that keeps the aspect better; at least 1."""
    return max(1, min(math.floor(side), math.ceil(side), key=error))


def _factors(size: Size, image_size: int, resize: str, *, enlarge: bool) -> tuple[float, float]:
    """The factors by which height and width are multiplied."""
    height, width = size
    if resize in ("long_side", "draft"):
        factor = image_size / max(height, width)
        factor = factor if enlarge else min(1.0, factor)
    elif RESIZE.check("target_size", "resize", resize) == "square":
        return image_size / height, image_size / width
    else:
        factor = image_size / min(height, width) / (KEPT if resize == "centre_crop" else 1)
    return factor, factor
