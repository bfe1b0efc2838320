"""The process that reads HDF5 files: a damaged file can hang or crash the library, and then only this process.

Run as a script. Each line that comes in is a request in JSON, {"file": path, "most": bytes} or {"load": name}; each
answer is a line in JSON, followed by the bytes of an array if one was asked for.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

DEEPEST, MOST_GROUPS = 16, 10_000
SECONDS, BYTES_PER_SECOND = 3, 50 << 20  # processor time for a request, and more time for large arrays
SPARE_BYTES = 1 << 30


def main() -> None:
    held: dict[str, Any] = {}
    file, most = None, 0
    for line in sys.stdin:
        request = json.loads(line)
        allow(0)
        try:
            if "file" in request:
                if file is not None:
                    file.close()
                most, file = request["most"], h5py.File(request["file"], "r")
                held = dict(datasets(file))
                answer({"held": [[name, *described(item)] for name, item in held.items()]})
            else:
                item = held[request["load"]]
                if described(item)[1] == "text":
                    answer({"texts": texts(item, most)})
                else:
                    values = numbers(item, most)
                    answer({"shape": values.shape, "type": values.dtype.str}, values)
        except Exception as error:  # the library raises anything on damaged files
            answer({"error": f"{type(error).__name__}: {error}"})


def answer(said: dict[str, Any], values: np.ndarray | None = None) -> None:
    out = sys.stdout.buffer
    out.write(json.dumps(said).encode() + b"\n")
    if values is not None and values.size:
        out.write(values.reshape(-1).view(np.uint8).data)
    out.flush()


def allow(size: int) -> None:
    """Limit this request's time and memory, if the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = math.ceil(used.ru_utime + used.ru_stime + SECONDS + size / BYTES_PER_SECOND)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        with open("/proc/self/statm") as pages:
            space = int(pages.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (space + SPARE_BYTES + 2 * size, hard))


def datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """The data sets in a file. Links are not followed, since they may lead to other files or in circles."""
    groups, seen = [("", file, 0)], 0
    while groups:
        prefix, group, depth = groups.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_GROUPS:
            raise ValueError(f"its groups are nested more than {DEEPEST} deep, or more than {MOST_GROUPS:,}")
        inner = []
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                inner.append((f"{prefix}{name}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield f"{prefix}{name}", item
        groups += reversed(inner)


def described(item: Any) -> tuple[list[int], str, str]:
    """Shape, a description in words ("" for numbers), and the type."""
    shape, dtype = [*(item.shape or ())], item.dtype
    if item.external or item.is_virtual:
        return shape, "data in another file", dtype.str
    if h5py.check_string_dtype(dtype) or item.attrs.get("MATLAB_class") == b"char":
        return shape, "text", dtype.str
    return shape, "", dtype.str


def numbers(item: Any, most: int) -> np.ndarray:
    size = math.prod(item.shape) * item.dtype.itemsize
    for sides in (item.shape, item.chunks or ()):
        if math.prod(sides) * item.dtype.itemsize > most:
            raise ValueError(f"it would take {size:,} bytes, far more than the file has; save it uncompressed")
    allow(size)
    return np.ascontiguousarray(item[()])


def texts(item: Any, most: int) -> list[str]:
    """Read texts row by row, since many rows may point to one long text."""
    if item.ndim != 1 or item.dtype.kind not in "OS":
        return []
    found, total = [], 0
    for start in range(0, item.shape[0], 64):
        part = [bytes(one).decode("utf-8", "surrogateescape") for one in item[start : start + 64]]
        total += sum(map(len, part))
        if total > most:
            raise ValueError("its texts are far longer than the file")
        found += part
    return found


if __name__ == "__main__":
    main()
