"""Owners: which process a temporary folder belongs to, so that what a killed one left behind is told from work."""

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
    """A name for a temporary folder of this process that no other has."""
    return f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def left_behind(parent: Path, now: float) -> list[Path]:
    """Temporary folders in `parent` that nobody works in any more.

    Those of processes of this machine that have ended; and whatever did not change for a day, because of another
    machine, which may share the folder, nothing can be known.
    """
    return [folder for folder in folders(parent) if _ended(folder.name) or last_change(folder) < now - DAY_SECONDS]


def _ended(name: str) -> bool:
    """Whether the process that made a folder of this name ran here and has ended."""
    machine, _, rest = name.partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal() or sys.platform == "win32":  # there, signal 0 ends a process
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # not ours to signal, so it lives
        return False
    return False


@lru_cache(maxsize=1)
def _machine() -> str:
    """This machine since it was started, and where containers number their processes anew, this container."""
    known = [socket.gethostname(), hex(uuid.getnode())]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            known.append(os.readlink(source) if source.startswith("/proc/self") else Path(source).read_text())
        except OSError:  # not Linux: the names above have to do
            continue
    return sha256("\n".join(known).encode("utf-8", "surrogateescape")).hexdigest()[:12]
