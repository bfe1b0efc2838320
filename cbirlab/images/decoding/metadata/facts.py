"""Facts: what a file says about its picture apart from the pixels, gathered while its metadata is removed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cbirlab.images.decoding.metadata.directory import exif_orientation

_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:=["']|>)\s*([1-8])\b""")


@dataclass(frozen=True)
class Facts:
    """What a file says about its picture apart from the pixels.

    Attributes
    ----------
    orientation : as in EXIF, 1 to 8.
    stated : the values that are black and white, if the file states them.
    significant : how many bits of each value count; 0 if the file does not say.
    """

    orientation: int = 1
    stated: tuple[float, float] | None = None
    significant: int = 0


@dataclass
class Found:
    """What was found so far; orientations in order of precedence, 0 for none."""

    exif: int = 0
    raw_profile: int = 0
    xmp: int = 0
    stated: tuple[float, float] | None = None
    significant: int = 0

    def note_exif(self, data: bytes) -> None:
        """Note what a block of EXIF says."""
        self.exif = self.exif or exif_orientation(data)

    def note_xmp(self, data: bytes) -> None:
        """Note what a packet of XMP says."""
        match = _XMP_ORIENTATION.search(data)
        self.xmp = self.xmp or (int(match[1]) if match else 0)

    def facts(self) -> Facts:
        """The facts, from everything that was found."""
        return Facts(self.exif or self.raw_profile or self.xmp or 1, self.stated, self.significant)
