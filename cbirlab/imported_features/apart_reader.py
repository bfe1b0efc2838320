"""The process that reads HDF5 and Parquet files: a damaged one can hang or crash the library, and only this process.

Run as a script. Each line that comes in is a request in JSON, {"file": path, "most": bytes} or {"load": name}; each
answer is a line in JSON, followed by the bytes of an array if one was asked for.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

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
                most, opened = request["most"], parquet if request["file"].lower().endswith(".parquet") else hdf5
                file, held = opened(request["file"], most)
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


def hdf5(path: str, most: int) -> tuple[Any, dict[str, Any]]:
    """An open HDF5 file and its data sets."""
    import h5py

    file = h5py.File(path, "r")
    return file, dict(datasets(file))


def parquet(path: str, most: int) -> tuple[None, dict[str, Any]]:
    """Columns of a Parquet file: lists of numbers and texts, and numbers side by side as the matrix "columns".

    If there is a column "part", as cbirlab writes it, the rows of each part are apart, and its matrix has its name.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # others reserve more addresses than this process may have
    from pyarrow import parquet as library
    from pyarrow import types

    with library.ParquetFile(path) as file:
        about = file.metadata
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        size = sum(8 * group.column(place).num_values for group in groups for place in range(group.num_columns))
        if max(size, about.num_rows * about.num_columns) > most:
            raise ValueError(f"it would take {size:,} bytes, far more than the file has; save it uncompressed")
        allow(size)
        table = file.read(use_threads=False)
    table.validate(full=True)
    said = [field.name for field in table.schema if types.is_string(field.type) or types.is_large_string(field.type)]
    texts = {name: table[name].to_pylist() for name in said}
    matrices, single = {}, []
    for place, field in enumerate(table.schema):
        column = table.column(place).combine_chunks()
        if types.is_list(field.type) or types.is_large_list(field.type) or types.is_fixed_size_list(field.type):
            flat = column.flatten()
            if column.null_count or flat.null_count or not len(column) or len(flat) % len(column):
                continue
            lengths = column.value_lengths().unique() if not types.is_fixed_size_list(field.type) else [1]
            if len(lengths) == 1:
                matrices[field.name] = flat.to_numpy(zero_copy_only=False).reshape(len(column), -1)
        elif types.is_floating(field.type) and not column.null_count:
            single.append(column.to_numpy(zero_copy_only=False))
    if single:
        matrices["columns"] = np.stack(single, axis=1)
    parts = texts.pop("part", None)
    if parts is None or len(matrices) != 1:
        return None, {**matrices, **texts}
    (values,), found = matrices.values(), dict[str, Any]()
    for part in dict.fromkeys(parts):
        rows = [row for row, one in enumerate(parts) if one == part]
        found[str(part)] = values[rows]
        found |= {f"{part}/{name}": [given[row] for row in rows] for name, given in texts.items()}
    return None, found


def datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """The data sets in a file. Links are not followed, since they may lead to other files or in circles."""
    import h5py

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
    if isinstance(item, list):
        return [len(item)], "text", "O"
    if isinstance(item, np.ndarray):
        return [*item.shape], "" if item.dtype.kind in "fiu" else "objects", item.dtype.str
    import h5py

    shape, dtype = [*(item.shape or ())], item.dtype
    if item.external or item.is_virtual:
        return shape, "data in another file", dtype.str
    if h5py.check_string_dtype(dtype) or item.attrs.get("MATLAB_class") == b"char":
        return shape, "text", dtype.str
    return shape, "", dtype.str


def numbers(item: Any, most: int) -> np.ndarray:
    if isinstance(item, np.ndarray):
        return np.ascontiguousarray(item)
    size = math.prod(item.shape) * item.dtype.itemsize
    for sides in (item.shape, item.chunks or ()):
        if math.prod(sides) * item.dtype.itemsize > most:
            raise ValueError(f"it would take {size:,} bytes, far more than the file has; save it uncompressed")
    allow(size)
    return np.ascontiguousarray(item[()])


def texts(item: Any, most: int) -> list[str]:
    """Read texts row by row, since many rows may point to one long text."""
    if isinstance(item, list):
        return ["" if one is None else one for one in item]
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
