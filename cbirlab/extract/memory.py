"""Memory: what the network has freed is kept for its next layer, not handed back to the system.

glibc hands back every block of 32 MB or more at once and gets it anew page by page, each page cleared first. The maps
of MobileNetV2 for 16 images of 320 x 240 pixels take up to 118 MB a layer: half of its time on a processor went there.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_USUAL = {_TRIM: 64 << 20, _MMAP: 32 << 20}  # where glibc's own adjustment ends
_KEPT = {_TRIM: (1 << 31) - 1, _MMAP: 1 << 30}

_lock = Lock()
_users = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory while the block runs, in all threads, and hand it back at its end; elsewhere than on glibc
    nothing happens."""
    global _users
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _users += 1
        _set(library, _KEPT)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set(library, _USUAL)
                library.malloc_trim(0)


def _set(library: ctypes.CDLL, thresholds: dict[int, int]) -> None:
    for parameter, value in thresholds.items():
        library.mallopt(parameter, value)


def _glibc() -> ctypes.CDLL | None:
    try:
        known = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, other systems not this name
        return None
    return ctypes.CDLL(None) if known else None
