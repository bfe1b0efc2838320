"""Owners: which process a temporary folder belongs to, to tell leftovers of killed processes from work in progress."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cbirlab.store.files import folders, last_change

DAY_SECONDS = 86400


def new_name() -> str:
    """A unique name for a temporary folder of this process."""
    return f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def left_behind(parent: Path, now: float) -> list[Path]:
    """Temporary folders in `parent` in which no process works any more.

    These are the folders of ended processes of this machine, and any that did not change for a day: another machine may
    share the parent folder, and whether its processes still run cannot be known from here.
    """
    return [folder for folder in folders(parent) if _ended(folder.name) or last_change(folder) < now - DAY_SECONDS]


def _ended(name: str) -> bool:
    """Whether the process that made a folder of this name ran here and has ended."""
    machine, _, rest = name.partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal() or sys.platform == "win32":  # on Windows, signal 0 ends a process
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # we may not signal it, so it is running
        return False
    return False


@lru_cache(maxsize=1)
def _machine() -> str:
    """A name for this machine since its last start, and for this container if containers number their own processes."""
    known = [socket.gethostname(), hex(uuid.getnode())]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            known.append(os.readlink(source) if source.startswith("/proc/self") else Path(source).read_text())
        except OSError:  # not Linux: the names above must be enough
            continue
    return sha256("\n".join(known).encode("utf-8", "surrogateescape")).hexdigest()[:12]
