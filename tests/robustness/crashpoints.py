"""A run is killed before, after and amid its writes to the store; what follows must be right, bit for bit.

    python tests/robustness/crashpoints.py [--every 1] [--images 24]

Prints what was found at every kill, and a line of counts; ends with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbirlab.store as store_module
from cbirlab.extract import batches
from cbirlab.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent))
from robustness.small import make_folder, result

LEARNED = {"whitening": "pca", "whitening_set": "database"}
OF_SYSTEM = ("replace", "rename", "mkdir", "rmdir", "unlink", "utime")
OF_PATHS = ("write_bytes", "write_text")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def armed(wanted: int, *, after: bool) -> None:
    """From now on this process ends at its `wanted`-th change of the disk: before it, or after (a block is cut)."""
    numbers = itertools.count(1)

    def ending(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **options: Any) -> Any:
            now = next(numbers) == wanted
            if now and not after:
                end()
            try:
                return call(*given, **options)
            finally:
                if now:
                    end()

        return called

    def cut(file: Any, block: memoryview) -> None:
        if next(numbers) == wanted:
            file.write(block[: len(block) // 2] if after else b"")
            end()
        while block:
            block = block[file.write(block) :]

    for holder, names in ((os, OF_SYSTEM), (Path, OF_PATHS)):
        for name in names:
            setattr(holder, name, ending(getattr(holder, name)))
    store_module.write_all = cut


def killed(act: Callable[[], Any], wanted: int, *, after: bool) -> bool:
    """Whether `act`, in a process of its own, came as far as the change at which it is killed."""
    pid = os.fork()
    if pid == 0:
        armed(wanted, after=after)
        act()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the run failed by itself")
    return os.WIFSIGNALED(status)


def findings(store: Path, act: Callable[[], Any], wanted: Any) -> Iterator[str]:
    """What is wrong in a store of a killed run, and after the run that follows."""
    if damaged := Store(store).verify():
        yield f"verify: {damaged}"
    if act() != wanted:
        yield "the next run gives something else"
    for folder in ("tmp", "partial"):
        if left := sorted((store / folder).rglob("*")):
            yield f"{folder} keeps {len(left)}, as {left[0].relative_to(store)}"


def crash(every: int, images: int, said: Callable[[str], None] = print) -> collections.Counter[str]:
    """Kill a run at every `every`-th change of the disk, and count what was found."""
    batches.SHARD_IMAGES = 8
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder, store = make_folder(place / "own", images), place / "store"

        def act() -> Any:
            return result(folder, store, **LEARNED)

        wanted = result(folder, place / "reference", **LEARNED)
        for after in (False, True):
            for number in itertools.count(1, every):
                shutil.rmtree(store, ignore_errors=True)
                if not killed(act, number, after=after):
                    break
                counts["kills"] += 1
                for finding in findings(store, act, wanted):
                    counts["wrong"] += 1
                    said(f"killed {'after' if after else 'before'} change {number}: {finding}")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--images", type=int, default=24)
    given = parser.parse_args()
    counts = crash(given.every, given.images)
    print(f"{counts['kills']} kills, {counts['wrong']} wrong")
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    sys.exit(main())
