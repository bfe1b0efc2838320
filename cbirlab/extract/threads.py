"""Threads: as many for the network as the machine has cores to spare.

Threads of one product wait for each other: where others want the cores too, each wait lasts until the slowest had its
turn, and two threads are many times slower than one. So the load is looked at when a pass begins and now and then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

LOOK_SECONDS = 5.0
"""From one look at the load to the next."""
WAITING = "OMP_WAIT_POLICY"
"""What the OpenMP of torch (GNU's, Intel's too) reads when it is loaded: whether threads that wait keep a core busy."""

_STATISTICS = Path("/proc/stat")
_lock = Lock()
_users = 0
_usual = 1


def wait_quietly() -> None:
    """Let threads of processes that this one starts sleep while they wait, if the user has not said how they are to."""
    os.environ.setdefault(WAITING, "PASSIVE")


@contextmanager
def spare_cores() -> Iterator[Callable[[], None]]:
    """Give torch no more threads than cores are free while the block runs; calling what it yields looks again.

    Afterwards there are as many as before. No result depends on their number beyond rounding.
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
    """How many threads to take where other work keeps `others` of the cores busy.

    >>> [threads_for(4, 4, others) for others in (0, 1.2, 3, 9)]
    [4, 3, 1, 1]
    """
    return max(1, min(usual, round(cores - others)))


def _looker(usual: int) -> Callable[[], None]:
    import torch

    cores = _cores()
    now, busy, own = time.monotonic(), _busy_seconds(cores), time.process_time()
    others = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # before this pass nothing of it is ours

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


def _cores() -> set[int]:
    """Those that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _busy_seconds(cores: set[int]) -> float | None:
    """Seconds that these cores were busy since the machine started; None on systems that do not say so."""
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
