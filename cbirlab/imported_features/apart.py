"""Files that a library in C++ reads, HDF5 and Parquet, read by a process (`apart_reader`) that is started once."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cbirlab.datasets.unfolding import most_bytes

SCRIPT = Path(__file__).with_name("apart_reader.py")
PATIENCE_SECONDS, BYTES_PER_SECOND = 60, 5 << 20  # until the reader is killed, if its own limits have not ended it


_HDF5 = ("HDF5", "h5py", "hdf5")
_NEEDED = {".parquet": ("Parquet", "pyarrow", "parquet")}


class Item(NamedTuple):
    """A data set in a file: its shape, a description in words if it holds no numbers, and its type."""

    name: str
    shape: tuple[int, ...]
    said: str
    dtype: np.dtype


class _Process:
    """The reader; a forked process does not share it."""

    def __init__(self) -> None:
        self.lock, self.owner = threading.Lock(), 0
        self.running: Any = None

    def ask(self, request: dict[str, Any], file_bytes: int) -> tuple[dict[str, Any], np.ndarray | None]:
        """Send a request; return the answer and the array that comes with it.

        Raises
        ------
        ValueError : the file cannot be read, or reading it takes too long.
        """
        if self.running is None or self.owner != os.getpid() or self.running.poll() is not None:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self.running, self.owner = subprocess.Popen([sys.executable, "-P", str(SCRIPT)], **pipes), os.getpid()
            atexit.register(self.end)
        process: Any = self.running
        timer = threading.Timer(PATIENCE_SECONDS + file_bytes / BYTES_PER_SECOND, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline() or b"{}")
            values = _array(said, process.stdout) if "type" in said else None
        except OSError:
            said, values = {}, None
        except BaseException:  # interrupted: the rest of this answer would be taken for the next one
            self.end()
            raise
        finally:
            timer.cancel()
        if not said:
            self.end()
            raise ValueError("its library did not finish reading it")
        if "error" in said:
            raise ValueError(said["error"])
        return said, values

    def end(self) -> None:
        """End the process, if there is one."""
        process, self.running = self.running, None
        if process is not None and self.owner == os.getpid():
            process.kill()
            process.communicate()
            atexit.unregister(self.end)


def _array(said: dict[str, Any], stream: Any) -> np.ndarray:
    values = np.empty(said["shape"], said["type"])
    room = values.reshape(-1).view(np.uint8).data if values.size else b""
    while len(room):
        taken = stream.readinto(room)
        if not taken:
            raise OSError("the process has ended")
        room = room[taken:]
    return values


PROCESS = _Process()


@contextmanager
def items(source: Path) -> Iterator[list[Item]]:
    """Open a file and list its data sets; call `load` only inside the block.

    Raises
    ------
    ImportError : no h5py, or no pyarrow.
    ValueError : the file is damaged, or of another form.
    """
    kind, library, extra = _NEEDED.get(source.suffix.lower(), _HDF5)
    if find_spec(library) is None:
        raise ImportError(f"{kind} files need {library}: pip install 'cbirlab[{extra}]'.")
    size = os.path.getsize(source)
    with PROCESS.lock:
        said, _ = PROCESS.ask({"file": os.fsdecode(source.resolve()), "most": most_bytes(size)}, size)
        yield [Item(name, tuple(shape), words, np.dtype(kind)) for name, shape, words, kind in said["held"]]


def load(name: str, size: int) -> Any:
    """Read an array of the open file, or a list of texts; `size` is its number of bytes.

    Raises
    ------
    ValueError : the data are damaged, or far larger than the file.
    """
    said, values = PROCESS.ask({"load": name}, size)
    return said["texts"] if values is None else values
