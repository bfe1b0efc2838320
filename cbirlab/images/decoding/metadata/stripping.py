"""Stripping: gives decoders a picture's file without the parts that are not the picture.

From EXIF and XMP it takes only the orientation, from the rest only which values are black and white. It does not even
parse comments, profiles, previews and further pages, so no fault in them can cost anyone the picture.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cbirlab.images.decoding.metadata.boxes import avif, jp2
from cbirlab.images.decoding.metadata.directory import exif_orientation
from cbirlab.images.decoding.metadata.facts import Facts, Found
from cbirlab.images.decoding.metadata.jpeg import jpeg
from cbirlab.images.decoding.metadata.pieces import Piece, Pieces
from cbirlab.images.decoding.metadata.png import png
from cbirlab.images.decoding.metadata.tiff import tiff
from cbirlab.images.decoding.metadata.webp import webp

__all__ = ["Facts", "bare", "exif_orientation"]

_WALKS: dict[bytes, Callable[[BinaryIO, Found], Iterator[Piece]]] = {
    rb"\xff\xd8\xff": jpeg,
    rb"\x89PNG\r\n\x1a\n": png,
    rb"RIFF....WEBP": webp,
    rb"(II\*\0|MM\0\*|II\+\0|MM\0\+)": tiff,
    rb"....ftyp(avif|avis|mif1|msf1)": avif,
    rb"\0\0\0\x0cjP  \r\n\x87\n": jp2,
}


def bare(file: BinaryIO) -> tuple[BinaryIO, Facts]:
    """The file without metadata, and what was taken from it; a file of another format as it is.

    The contents of the file never raise an error: where its structure ends in nonsense, the decoder gets the rest.
    """
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    for begins, walk in _WALKS.items():
        if re.match(begins, start, re.DOTALL):
            found = Found()
            lean = io.BufferedReader(Pieces(file, list(walk(file, found))))
            return lean, found.facts()
    return file, Facts()
