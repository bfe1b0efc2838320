"""Unfolding: how large a small file may become in memory or on disk, if it is compressed or claims to be large."""

from __future__ import annotations

ALWAYS_BYTES = 256 << 20
FACTOR = 100
"""Words and masks, mostly zeros, shrink to a fiftieth; what shrinks to a thousandth was made to fill a machine."""


def most_bytes(file_bytes: int) -> int:
    """The most bytes that a file of `file_bytes` may unfold to."""
    return max(ALWAYS_BYTES, FACTOR * file_bytes)


def open_bounded(size: int, file_bytes: int, what: str) -> int:
    """Return `size`, the bytes of a part of a file once it is unfolded, if that is plausible.

    Raises
    ------
    ValueError : `size` exceeds both `ALWAYS_BYTES` and `FACTOR` times the file.
    """
    if size > most_bytes(file_bytes):
        raise ValueError(
            f"{what} would take {size:,} bytes, more than {FACTOR} times the {file_bytes:,} bytes of the file; save it "
            "uncompressed"
        )
    return size
