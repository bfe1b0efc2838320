"""Formats: which files are read as pictures, and which only look like them by their ending."""

from __future__ import annotations

from PIL import features


class ImageError(ValueError):
    """A file that cannot be used as an image; its message is one sentence with the path."""


_ENDINGS = {
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "PNG": ".png .apng",
    "WEBP": ".webp",
    "AVIF": ".avif .avifs",
    "JPEG2000": ".jp2 .j2k .jpf .jpx .jpc .j2c",
    "GIF": ".gif",
    "TIFF": ".tif .tiff",
    "BMP": ".bmp",
    "DIB": ".dib",
    "PPM": ".pbm .pgm .ppm .pnm .pfm",
    "QOI": ".qoi",
    "PCX": ".pcx",
    "SGI": ".sgi",
    "DDS": ".dds",
    "TGA": ".tga .icb .vda .vst",
}
"""Formats that hold pixels and nothing else: reading one starts no program and opens no other file."""

_BUILT_IN = {"JPEG": "jpg", "PNG": "zlib", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}

_KNOWN = {*features.modules, *features.codecs}  # an older Pillow warns if it is asked for a format that came later
_HERE = {None, *(one for one in _BUILT_IN.values() if one in _KNOWN and features.check(one))}

FORMATS = tuple(name for name in _ENDINGS if _BUILT_IN.get(name) in _HERE)
"""Formats that the Pillow of this machine was built to read."""

IMAGE_SUFFIXES = frozenset(ending for name in FORMATS for ending in _ENDINGS[name].split())
"""File endings of the pictures that are read, in lower case."""

UNSIGNED = {name: frozenset(_ENDINGS[name].split()) for name in ("TGA", "DIB")}
"""Formats whose files begin with no signature, so that damaged files of any kind might pass for one."""

_OTHERS = (
    ".heic .heics .heif .heifs .hif .jxl .jxr .wdp .hdp .psd .psb .xcf .kra .exr .hdr .fits .fts .dcm .djvu .flif .bpg "
    ".svg .svgz .eps .ps .ai .wmf .emf .ico .icns .cur .xbm .xpm .pict .pct .ras .fpx "
    ".3fr .ari .arw .bay .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf "
    ".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
)

UNREAD_SUFFIXES = frozenset(" ".join([_OTHERS, *_ENDINGS.values()]).split()) - IMAGE_SUFFIXES
"""File endings of pictures that are not read: other containers, drawings, camera raw files, formats this Pillow
lacks."""
