"""Images: any file people have becomes an upright RGB image, or one clear error.

Colour profiles are not applied; transparent parts are laid on white, as a viewer shows them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from cbirlab.formats import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from cbirlab.formats import UNREAD_SUFFIXES as UNREAD_SUFFIXES
from cbirlab.preprocessing import Box, Resizing, central_side, resized_size, whole_box

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 89_000_000  # just under the size at which Pillow starts to warn of decompression bombs

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width

Source = str | Path | Image.Image
USUAL = Resizing()


class ImageError(ValueError):
    """A file that cannot be used as an image; its message is one sentence with the path."""


def read(source: Source) -> Image.Image:
    """The upright RGB image in a file (the first frame of an animation); a Pillow image is only made upright and RGB.

    Raises
    ------
    ImageError : missing, empty, truncated, no image at all, more than `MAX_PIXELS`, or grey values of unknown range.
    """
    return _guarded(source, _upright_rgb)


def size(source: Source) -> tuple[int, int]:
    """(height, width) of the upright image, from the file's header alone: a truncated file passes.

    Raises
    ------
    ImageError : as for `read`, as far as the header tells.
    """
    return _guarded(source, _upright_size)


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
    box, frame, scale : as of `cbirlab.preprocessing.target_size`, whose size the picture gets.
    resizing : the rule, the kernel, and whether it is kept from aliasing.
    """
    image = read(source)
    size = (image.height, image.width)
    wanted = resized_size(*size, image_size, box, frame=frame, scale=scale, resize=resizing.resize)
    part = box or frame
    if part is not None:
        image = image.crop(whole_box(*size, part))
    if (image.height, image.width) != wanted:
        image = _resized(image, wanted, resizing)
    if resizing.resize == "centre_crop":
        image = _central(image, central_side(image_size, scale))
    return np.asarray(image)


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
    """What a network gets: `pixels`, then `normalise`; float32 (3, H, W)."""
    seen = pixels(source, image_size=image_size, box=box, scale=scale, resizing=resizing)
    return normalise(seen, mean=mean, std=std)


def thumbnail(source: Source, size: int, box: Box | None = None, *, quality: int = 80) -> bytes:
    """JPEG bytes of the image, or of its crop, with long side at most `size` pixels."""
    image = _guarded(source, _upright_rgb, draft=None if box is not None else size)
    if box is not None:
        image = image.crop(whole_box(image.height, image.width, box))
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _resized(image: Image.Image, size: tuple[int, int], resizing: Resizing) -> Image.Image:
    """Pillow's kernels grow with the factor, all but the nearest neighbour; OpenCV's stay as they are."""
    height, width = size
    kernel = resizing.interpolation
    if resizing.antialias or kernel == "nearest":
        return image.resize((width, height), Image.Resampling[kernel.upper()])
    import cv2

    kernels = {"lanczos": cv2.INTER_LANCZOS4, "bicubic": cv2.INTER_CUBIC, "bilinear": cv2.INTER_LINEAR}
    return Image.fromarray(cv2.resize(np.asarray(image), (width, height), interpolation=kernels[kernel]))


def _central(image: Image.Image, side: int) -> Image.Image:
    """The central square, or as much of it as there is."""
    height, width = min(side, image.height), min(side, image.width)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _guarded(source: Source, use, draft: int | None = None):
    """Open `source`, check its size before a pixel is decoded, apply `use`; what goes wrong becomes an ImageError."""
    if isinstance(source, Image.Image):
        return use(source)
    path = Path(source)
    try:
        if path.stat().st_size == 0:
            raise ImageError("the file is empty (0 bytes).")
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(_too_large(f"{image.width} x {image.height}"))
            if draft is not None:
                image.draft("RGB", (draft, draft))
            return use(image)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path}: {_too_large('far more')}") from error
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file.") from None
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image in a format that is known here.") from error
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # decoders raise nearly anything on damaged files: OSError, SyntaxError, struct.error, ...
        raise ImageError(f"{path}: cannot be read as an image ({type(error).__name__}: {error}).") from error


def _too_large(shown: str) -> str:
    return f"an image may have at most {MAX_PIXELS} pixels, this one has {shown}; make it smaller first."


def _upright_size(image: Image.Image) -> tuple[int, int]:
    sideways = image.getexif().get(_ORIENTATION) in _SIDEWAYS
    return (image.width, image.height) if sideways else (image.height, image.width)


def _upright_rgb(image: Image.Image) -> Image.Image:
    image.load()
    return _rgb(ImageOps.exif_transpose(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bit(image)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> np.ndarray:
    """Grey values of an integer image (16 bits: 65535 is white) or of a float image (1.0 is white) as uint8."""
    values = np.asarray(image).astype(np.float64)
    white = 1.0 if image.mode.startswith("F") else 65535.0
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= white):
        raise ImageError(
            f"grey values of an image in mode {image.mode} must lie in [0, {white:g}], got [{low:g}, {high:g}]; "
            "save it with 8 bits."
        )
    return np.rint(values * (255.0 / white)).astype(np.uint8)
