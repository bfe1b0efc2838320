"""Aside: a file is written beside its place and put there in one step, so that nobody ever reads half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path to write to; afterwards the file takes its place, or nothing is left behind if the block failed.

    >>> with written_aside(Path("page.html")) as aside:
    ...     aside.write_text("...")
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
