"""Machine: as many network threads as there are spare cores, and freed memory that is kept for the next layer.

The threads of one product wait for each other. If other work wants the cores too, each wait lasts until the slowest
thread has had its turn, and two threads are many times slower than one. So the load is checked when a pass begins
and every few seconds after that.

glibc hands back every block of 32 MB or more at once and gets it again page by page, clearing each page first. The
maps of MobileNetV2 for 16 images of 320 x 240 pixels take up to 118 MB a layer: half of the processor time went there.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

LOOK_SECONDS = 5.0
"""Seconds between two checks of the load."""
WAITING = "OMP_WAIT_POLICY"
"""The variable that torch's OpenMP (GNU's, Intel's too) reads at loading: whether waiting threads keep a core busy."""

_STATISTICS = Path("/proc/stat")
_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_USUAL = {_TRIM: 64 << 20, _MMAP: 32 << 20}  # the values at which glibc's own adjustment ends
_KEPT = {_TRIM: (1 << 31) - 1, _MMAP: 1 << 30}

_lock = Lock()
_users = _keepers = 0
_usual = 1


def wait_quietly() -> None:
    """Let waiting threads sleep in processes that this one starts, unless the user has said how they should wait."""
    os.environ.setdefault(WAITING, "PASSIVE")


@contextmanager
def spare_cores() -> Iterator[Callable[[], None]]:
    """Give torch at most one thread per free core while the block runs; call what it yields to check again.

    Afterwards torch has as many threads as before. Results do not depend on the number of threads beyond rounding.
    """
    import torch

    global _users, _usual
    with _lock:
        if not _users:
            _usual = torch.get_num_threads()
        _users += 1
    try:
        look = _looker(_usual)
        look()
        yield look
    finally:
        with _lock:
            _users -= 1
        torch.set_num_threads(_usual)


def threads_for(usual: int, cores: int, others: float) -> int:
    """How many threads to use if other work keeps `others` of the cores busy.

    >>> [threads_for(4, 4, others) for others in (0, 1.2, 3, 9)]
    [4, 3, 1, 1]
    """
    return max(1, min(usual, round(cores - others)))


def _looker(usual: int) -> Callable[[], None]:
    import torch

    cores = _cores()
    now, busy, own = time.monotonic(), _busy_seconds(cores), time.process_time()
    others = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # before the pass, all load is other work

    def look() -> None:
        nonlocal now, busy, own, others
        passed = time.monotonic() - now
        if passed >= LOOK_SECONDS and busy is not None:
            later, spent = _busy_seconds(cores) or 0.0, time.process_time()
            others = max(0.0, (later - busy) - (spent - own)) / passed
            now, busy, own = time.monotonic(), later, spent
        wanted = threads_for(usual, len(cores), others)
        if usual > 1 and torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)

    return look


def core_count() -> int:
    """How many cores this process may use."""
    return len(_cores())


def _cores() -> set[int]:
    """The cores that this process may use, by number."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _busy_seconds(cores: set[int]) -> float | None:
    """Seconds that these cores have been busy since the machine started; None on systems that do not say."""
    try:
        lines = _STATISTICS.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    total = 0
    for name, *ticks in map(str.split, lines):
        if name.removeprefix("cpu").isdecimal() and int(name.removeprefix("cpu")) in cores:
            user, nice, system, _, _, interrupts, soft, stolen = map(int, ticks[:8])
            total += user + nice + system + interrupts + soft + stolen
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def keep_memory() -> Iterator[None]:
    """Keep freed memory while the block runs, in all threads, and hand it back at the end; without glibc do nothing."""
    global _keepers
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _keepers += 1
        _set(library, _KEPT)
    try:
        yield
    finally:
        with _lock:
            _keepers -= 1
            if not _keepers:
                _set(library, _USUAL)
                library.malloc_trim(0)


def _set(library: ctypes.CDLL, thresholds: dict[int, int]) -> None:
    for parameter, value in thresholds.items():
        library.mallopt(parameter, value)


def _glibc() -> ctypes.CDLL | None:
    try:
        known = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, and other systems do not know this name
        return None
    return ctypes.CDLL(None) if known else None
