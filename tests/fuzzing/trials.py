"""Trials: one worker process per reader, with bounded memory; whoever ends it or never answers is a fault too."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from fuzzing.mutations import damaged
from fuzzing.readers import READERS, File, Reader

SECONDS, BYTES = 10, 2 << 30
"""What a trial may take: of the processor, and of memory beyond what the worker had before."""

_PATIENCE_SECONDS = 90  # on a busy machine, until a worker that says nothing counts as hanging
_SMALL = 20_000
_SPACE = 2 * BYTES  # of addresses; beyond it, whoever does not look gets a MemoryError instead of the machine


class Fault(NamedTuple):
    """A trial that went wrong; `index` repeats it."""

    reader: str
    index: int
    what: str


def faults(name: str, count: int) -> Iterator[Fault]:
    """Run the trials 0 to `count` of a reader."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzzing.readers"])
    first = 0
    while first < count:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(name, first, count, theirs), daemon=True)
        worker.start()
        theirs.close()
        try:
            while first < count:
                if not ours.poll(_PATIENCE_SECONDS):
                    yield Fault(name, first, f"no answer within {_PATIENCE_SECONDS} s")
                    break
                first, said = ours.recv()
                if said:
                    yield Fault(name, first, said)
                first += 1
            else:
                worker.join()
                return
        except EOFError:
            worker.join()
            yield Fault(name, first, f"ended the process ({worker.exitcode})")
        worker.kill()
        first += 1


def work(name: str, first: int, last: int, answers: Connection) -> None:
    """The worker: trials one after the other, each answered by its index and what was wrong."""
    reader = READERS[name]
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries complain of damaged files
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        files = reader.files(Path(folder))
        _limit(_memory("VmSize") + _SPACE)
        for index in range(first, last):
            answers.send((index, _tried(reader, files, Path(folder), name, index)))


def _tried(reader: Reader, files: list[File], folder: Path, name: str, index: int) -> str:
    rng = random.Random(f"{name} {index}")
    file, data = _file(files, rng, index)
    path = folder / file.name
    path.write_bytes(data)
    before, started = _memory("VmRSS"), time.process_time()  # what else is busy does not count
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    try:
        reader.read(path)
        wrong = ""
    except reader.errors as error:
        own = type(error) in reader.errors
        wrong = "" if own and str(error) else f"not its own error: {type(error).__name__}: {error}"
        if own and reader.named and path.name not in str(error):
            wrong = f"the file is not named: {error}"
        if data == file.content and file.good:
            wrong = f"a good file was refused: {error}"
    except BaseException as error:
        wrong = f"{type(error).__name__}: {error}"
    taken, held = time.process_time() - started, _memory("VmHWM") - before
    if taken > SECONDS:
        wrong += f" {taken:.0f} s"
    if held > BYTES:
        wrong += f" {held >> 20} MiB"
    path.write_bytes(file.content)
    return f"{file.name}: {wrong[:300]}" if wrong else ""


def _file(files: list[File], rng: random.Random, index: int) -> tuple[File, bytes]:
    """First every file as it is, the good and the hostile ones; then damaged ones, most of them good before."""
    if index < len(files):
        return files[index], files[index].content
    file = rng.choice([one for one in files if one.good or (len(one.content) < _SMALL and rng.random() < 0.05)])
    return file, damaged(rng, file.content, [one.content for one in files if len(one.content) < _SMALL])


def content(name: str, index: int, folder: Path) -> Path:
    """The file of one trial, to be looked at."""
    file, data = _file(READERS[name].files(folder), random.Random(f"{name} {index}"), index)
    path = folder / file.name
    path.write_bytes(data)
    return path


def _limit(space: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (space, space))


def _memory(what: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) << 10
    raise OSError(what)
