"""Images: any file people have becomes an upright RGB image, or one clear error.

Colour profiles are not applied; transparent parts are laid on white, as a viewer shows them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
MAX_PIXELS = 89_000_000  # just under the size at which Pillow starts to warn of decompression bombs

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width

Source = str | Path | Image.Image
Box = Sequence[float]


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


def target_size(height: int, width: int, image_size: int, box: Box | None = None) -> tuple[int, int]:
    """(height, width) after resizing: long side at most `image_size`, aspect ratio kept, never enlarged.

    A query's `box` keeps the scale of its full image: the long side of the crop becomes
    ``image_size * max(crop) / max(full)``, as in the evaluation of Radenović et al. (TPAMI 2019).
    """
    if image_size < 1:
        raise ValueError(f"target_size: image_size must be at least 1 pixel, got {image_size}.")
    scale = min(1.0, image_size / max(height, width))
    if box is not None:
        x0, y0, x1, y1 = whole_box(height, width, box)
        height, width = y1 - y0, x1 - x0
    return max(1, round(height * scale)), max(1, round(width * scale))


def pixels(source: Source, *, image_size: int, box: Box | None = None, scale: float = 1.0) -> np.ndarray:
    """Read, crop to `box`, resize; uint8 (H, W, 3).

    `scale` multiplies the size that `target_size` gives (for multi-scale descriptors) and may enlarge.
    """
    image = read(source)
    height, width = target_size(image.height, image.width, image_size, box)
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    if box is not None:
        image = image.crop(whole_box(image.height, image.width, box))
    if (image.height, image.width) != (height, width):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
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
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """What a network gets: `pixels`, then `normalise`; float32 (3, H, W)."""
    return normalise(pixels(source, image_size=image_size, box=box, scale=scale), mean=mean, std=std)


def thumbnail(source: Source, size: int, box: Box | None = None, *, quality: int = 80) -> bytes:
    """JPEG bytes of the image, or of its crop, with long side at most `size` pixels."""
    image = _guarded(source, _upright_rgb, draft=None if box is not None else size)
    if box is not None:
        image = image.crop(whole_box(image.height, image.width, box))
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


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
