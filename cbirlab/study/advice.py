"""Advice: which code and index fit a number of images, a memory and a time, by what `bench_index.py` measured.

The figures are of 100,000 rows of 128 dimensions, clustered as descriptors are, of one query at a time on one core, as
ratios to a scan of full rows by faiss; recall@10 is of the exact list. How they go on to other sizes is arithmetic: a
scan of codes grows with N, the lists that a query visits with its square root (as the number of lists does), a graph
with its logarithm. Recall does fall with N and depends on the data: measure it on your own with `compare`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.base.params import Range

if TYPE_CHECKING:
    import pandas as pd

MEASURED_ROWS, MEASURED_WIDTH = 100_000, 128
LINK_BYTES, LIST_BYTES = 272, 13
"""Bytes that a graph of 32 links, and inverted lists with their centres, add to an image."""


@dataclass(frozen=True)
class Way:
    """A code and an index as they were measured; `bytes_per_dimension` is of the code, `more` what the index adds."""

    compression: str
    index: str
    rescore: int
    recall: float
    speed: float
    bytes_per_dimension: float
    more: int = 0


WAYS = (
    Way("none", "exact", 0, 1.0, 0.43, 4),
    Way("none", "hnsw(ef=64)", 0, 0.994, 15.6, 4, LINK_BYTES),
    Way("none", "ivf(probes=16)", 0, 1.0, 13.0, 4, LIST_BYTES),
    Way("sq(bits=8)", "ivf(probes=16)", 0, 0.995, 15.2, 1, LIST_BYTES),
    Way("sq(bits=8)", "hnsw(ef=64)", 0, 0.969, 13.4, 1, LINK_BYTES),
    Way("sq(bits=8)", "exact", 0, 0.985, 0.2, 1),
    Way("itq(bits={width})", "hamming", 200, 0.950, 11.7, 1 / 8),
    Way("pq(m={quarter}, bits=4)", "fastscan", 100, 0.947, 7.5, 1 / 8),
)


def advise(images: int, memory: int, ms: float, dimensions: int = 128) -> pd.DataFrame:
    """Tell what each way to search would take, those that fit first.

    Parameters
    ----------
    images : N.
    memory : bytes for the index.
    ms : milliseconds for a query that comes alone, on one core of this machine.
    dimensions : D of the descriptors, a multiple of 8.

    Returns
    -------
    A row for each way with "compression", "index", "rescore", "fits", "memory_mb", "disk_mb" (full rows to score
    again), "ms" and the measured "recall@10"; of those that fit, the largest recall and then the least memory first.

    Raises
    ------
    ValueError, TypeError : a number out of range.
    MissingLibrary : faiss, which tells how fast this machine is, is not installed.
    """
    import pandas as pd

    count = int(Range(1, 10**12, integer=True).check("advise", "images", images))
    most = int(Range(1, 1 << 60, integer=True).check("advise", "memory", memory))
    longest = Range(0, 1e9).check("advise", "ms", ms)
    width = int(Range(8, 65536, integer=True).check("advise", "dimensions", dimensions))
    if width % 8:
        raise ValueError(f"advise: dimensions must be a multiple of 8, got {width}.")
    flat = count * width * _seconds_per_number()
    rows = []
    for way in WAYS:
        size = count * (way.bytes_per_dimension * width + way.more)
        spent = 1000 * flat / (way.speed * _gain(way.index, count))
        rows.append(
            {
                "compression": way.compression.format(width=width, quarter=width // 4),
                "index": way.index,
                "rescore": way.rescore,
                "fits": bool(size <= most and spent <= longest),
                "memory_mb": round(size / 1e6, 1),
                "disk_mb": round(4 * count * width / 1e6, 1) if way.rescore else 0.0,
                "ms": float(f"{spent:.2g}"),
                "recall@10": way.recall,
            }
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values(["fits", "recall@10", "memory_mb"], ascending=[False, False, True], ignore_index=True)


def _gain(index: str, count: int) -> float:
    """How many times more a search gains over a scan than it does at the number of rows that was measured."""
    times = count / MEASURED_ROWS
    if index.startswith("ivf"):
        return max(times, 1e-6) ** 0.5
    if index.startswith("hnsw"):
        return times * np.log(MEASURED_ROWS) / np.log(max(count, 2))
    return 1.0


def _seconds_per_number() -> float:
    """Time of faiss's scan on one core of this machine, for each number of a row: the least of three."""
    from cbirlab.compression.library import faiss_library, one_thread

    faiss = faiss_library("advise")
    rows = np.random.default_rng(0).standard_normal((20_000, MEASURED_WIDTH)).astype(np.float32)
    index = faiss.IndexFlatIP(MEASURED_WIDTH)
    index.add(rows)
    spent = []
    with one_thread("advise"):
        for _ in range(3):
            started = time.process_time()
            for query in rows[:10]:
                index.search(query[None], 10)
            spent.append(time.process_time() - started)
    return min(spent) / 10 / rows.size
