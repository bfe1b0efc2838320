"""Facts: what a file says of its picture beside the pixels, gathered while its metadata is taken off."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cbirlab.images.decoding.metadata.directory import exif_orientation

_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:=["']|>)\s*([1-8])\b""")


@dataclass(frozen=True)
class Facts:
    """What a file says of its picture beside the pixels.

    Attributes
    ----------
    orientation : as of EXIF, 1 to 8.
    stated : the values that are black and white, where the file says so.
    significant : how many bits of each value count, where the file says so; 0 where it does not.
    """

    orientation: int = 1
    stated: tuple[float, float] | None = None
    significant: int = 0


@dataclass
class Found:
    """What was found so far; the orientations stand in the order in which they count, 0 for none."""

    exif: int = 0
    raw_profile: int = 0
    xmp: int = 0
    stated: tuple[float, float] | None = None
    significant: int = 0

    def note_exif(self, data: bytes) -> None:
        """A block of EXIF."""
        self.exif = self.exif or exif_orientation(data)

    def note_xmp(self, data: bytes) -> None:
        """A packet of XMP."""
        match = _XMP_ORIENTATION.search(data)
        self.xmp = self.xmp or (int(match[1]) if match else 0)

    def facts(self) -> Facts:
        """All in all."""
        return Facts(self.exif or self.raw_profile or self.xmp or 1, self.stated, self.significant)
