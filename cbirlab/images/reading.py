"""Images: any file people have becomes an upright RGB image, or one clear error.

Colour profiles are not applied; transparent parts are laid on white, as a viewer shows them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from cbirlab.base.notices import notify
from cbirlab.images.decoding.formats import ImageError
from cbirlab.images.decoding.opening import Held, Source, enough_memory, name_of, used
from cbirlab.images.decoding.upright import upright_rgb, upright_size
from cbirlab.images.preprocessing import (
    DRAFT_GAP,
    THUMBNAIL_GAP,
    Box,
    Resizing,
    central_side,
    cut,
    resized_size,
    whole_box,
)

if TYPE_CHECKING:
    from torch import Tensor

MAX_SQUARES = 64  # most pixels that an enlarging rule may give a thin picture, in squares of the image size

USUAL = Resizing()
T = TypeVar("T")


def read(source: Source) -> Image.Image:
    """The upright RGB image in a file (the first frame of an animation); a Pillow image is only made upright and RGB.

    Warns if values of more than 8 bits hardly differ from black, as in files that store 10 or 12 bits in 16.

    Raises
    ------
    ImageError : missing, empty, truncated, no image at all, more than `MAX_PIXELS` (for some formats fewer), a side of
        more than `MAX_SIDE`, too large for the memory, or grey values of unknown range.
    """
    return _told(used(source, upright_rgb))


def from_bytes(data: bytes, name: str) -> Image.Image:
    """Like `read`, for the bytes of a file named `name`."""
    return _told(used(Held(data, name), upright_rgb))


def size(source: Source) -> tuple[int, int]:
    """(height, width) of the upright image, from the file's header alone: a truncated file passes.

    Raises
    ------
    ImageError : as for `read`, as far as the header tells.
    """
    return used(source, upright_size)


def orientation(source: Source) -> int:
    """The orientation that the file states, from 1 to 8 as in EXIF; 1 if it states none."""
    return used(source, lambda image, facts: facts.orientation)


def pixels(
    source: Source,
    *,
    image_size: int,
    box: Box | None = None,
    frame: Box | None = None,
    scale: float = 1.0,
    resizing: Resizing = USUAL,
) -> np.ndarray:
    """Read, crop to `box`, resize; uint8 (H, W, 3).

    Parameters
    ----------
    box, frame, scale : as for `cbirlab.images.preprocessing.target_size`, which gives the picture's size.
    resizing : the rule, the kernel, and whether it prevents aliasing.

    Raises
    ------
    ImageError : as for `read`; a picture so thin that its size by the rule is beyond reason.
    """
    return _told(decode(source, image_size=image_size, box=box, frame=frame, scale=scale, resizing=resizing))


def decode(
    source: Source,
    *,
    image_size: int,
    box: Box | None = None,
    frame: Box | None = None,
    scale: float = 1.0,
    resizing: Resizing = USUAL,
) -> tuple[np.ndarray, str]:
    """Like `pixels`, but returns the remark that `pixels` turns into a warning; empty if there is none."""
    rule = partial(resized_size, image_size=image_size, box=box, frame=frame, scale=scale, resize=resizing.resize)
    with ExitStack() as held, enough_memory(name_of(source)):
        whole, enough = None, None
        if resizing.resize == "draft" and box is frame is None:
            whole = size(source)
            enough = math.ceil(DRAFT_GAP * min(rule(*whole)))  # the decoder keeps both sides at least as long
        image, remark = used(source, upright_rgb, held, draft=enough)
        whole = whole or (image.height, image.width)
        wanted = rule(*whole)
        if wanted[0] * wanted[1] > MAX_SQUARES * (image_size * max(scale, 1.0)) ** 2:
            raise ImageError(
                f"{name_of(source)}: a picture of {whole[1]} x {whole[0]} pixels is too thin for resize "
                f"'{resizing.resize}', by which it gets {wanted[1]} x {wanted[0]}; take resize 'long_side', or cut it."
            )
        part = box or frame
        if part is not None:
            image = image.crop(cut(*whole, part, resizing.resize))
        if (image.height, image.width) != wanted:
            image = _resized(image, wanted, resizing)
        if resizing.resize == "centre_crop":
            image = _central(image, central_side(image_size, scale))
        return np.asarray(image), remark


def normalise(pixels: np.ndarray, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """``(pixels / 255 - mean) / std`` for uint8 (..., H, W, 3); float32 (..., 3, H, W)."""
    import torch

    planes = np.empty((*pixels.shape[:-3], 3, *pixels.shape[-3:-1]), np.float32)
    for channel in range(3):  # plane by plane: about ten times faster than all channels at once and a transpose
        plane = planes[..., channel, :, :]
        np.multiply(pixels[..., channel], np.float32(1 / (255 * std[channel])), out=plane)
        plane -= np.float32(mean[channel] / std[channel])
    return torch.from_numpy(planes)


def prepare(
    source: Source,
    *,
    image_size: int,
    box: Box | None = None,
    scale: float = 1.0,
    resizing: Resizing = USUAL,
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """The input of a network: `pixels`, then `normalise`; float32 (3, H, W)."""
    seen = pixels(source, image_size=image_size, box=box, scale=scale, resizing=resizing)
    return normalise(seen, mean=mean, std=std)


def thumbnail(source: Source, size: int, box: Box | None = None, *, quality: int = 80) -> bytes:
    """JPEG bytes of the image, or of its crop, with long side at most `size` pixels."""
    with ExitStack() as held, enough_memory(name_of(source)):
        image, _ = used(source, upright_rgb, held, draft=None if box is not None else size)
        if box is not None:
            image = image.crop(whole_box(image.height, image.width, box))
        image.thumbnail((size, size), Image.Resampling.LANCZOS)
        image.info = {}  # a comment of the file would be written too, and may be longer than JPEG can hold
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()


def squeezed(source: Source, side: int) -> np.ndarray:
    """The whole picture as a square of `side` pixels, whatever its form: means over rectangles; uint8 (side, side, 3).

    Raises
    ------
    ImageError : as for `read`.
    """
    with ExitStack() as held, enough_memory(name_of(source)):
        image, _ = used(source, upright_rgb, held, draft=4 * side)
        return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def _told(found: tuple[T, str]) -> T:
    """Return what was found; warn with its remark, worded the same for every file, so that Python shows it once."""
    value, remark = found
    if remark:
        notify(f"A picture has {remark}")
    return value


def _resized(image: Image.Image, size: tuple[int, int], resizing: Resizing) -> Image.Image:
    """Pillow's kernels grow with the factor, all but the nearest neighbour; OpenCV's stay as they are."""
    height, width = size
    kernel = resizing.interpolation
    if resizing.antialias or kernel == "nearest":
        gap = THUMBNAIL_GAP if resizing.resize == "thumbnail" else None
        return image.resize((width, height), Image.Resampling[kernel.upper()], reducing_gap=gap)
    import cv2

    kernels = {"lanczos": cv2.INTER_LANCZOS4, "bicubic": cv2.INTER_CUBIC, "bilinear": cv2.INTER_LINEAR}
    return Image.fromarray(cv2.resize(np.asarray(image), (width, height), interpolation=kernels[kernel]))


def _central(image: Image.Image, side: int) -> Image.Image:
    """The central square, or as much of it as there is."""
    height, width = min(side, image.height), min(side, image.width)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
