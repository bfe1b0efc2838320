"""Images: any file people have becomes an upright RGB image of the size that a network takes, or one clear error."""

from cbirlab.images.decoding.formats import IMAGE_SUFFIXES, UNREAD_SUFFIXES, ImageError
from cbirlab.images.decoding.opening import MAX_PIXELS
from cbirlab.images.reading import (
    MAX_SQUARES,
    USUAL,
    decode,
    from_bytes,
    normalise,
    orientation,
    pixels,
    prepare,
    read,
    size,
    squeezed,
    thumbnail,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MAX_SQUARES",
    "UNREAD_SUFFIXES",
    "USUAL",
    "ImageError",
    "decode",
    "from_bytes",
    "normalise",
    "orientation",
    "pixels",
    "prepare",
    "read",
    "size",
    "squeezed",
    "thumbnail",
]
