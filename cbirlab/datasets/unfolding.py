"""Unfolding: how much a small file may become in memory or on the disk, where it is compressed or says it is large."""

from __future__ import annotations

ALWAYS_BYTES = 256 << 20
FACTOR = 100
"""Words and masks, mostly zeros, shrink to a fiftieth; what shrinks to a thousandth was made to fill a machine."""


def most_bytes(file_bytes: int) -> int:
    """What a file of a size may unfold to."""
    return max(ALWAYS_BYTES, FACTOR * file_bytes)


def open_bounded(size: int, file_bytes: int, what: str) -> int:
    """The `size` in bytes that a part of a file has once it is unfolded, if that can be.

    Raises
    ------
    ValueError : more than `ALWAYS_BYTES`, and than `FACTOR` times the file.
    """
    if size > most_bytes(file_bytes):
        raise ValueError(
            f"{what} would take {size:,} bytes, and the file has {file_bytes:,}: more than {FACTOR} times as much is "
            "not unfolded; save it uncompressed"
        )
    return size
