"""What codes and indexes cost and find beside faiss flat: bytes, recall@10 of the exact list, speed-up, time to build.

    python tests/benchmarks/bench_index.py [--rows 100000] [--rounds 3] [--only hnsw ivf]

One run measures all sides in turn and keeps the best of a few rounds of each: read the ratios, not the milliseconds.
Times are CPU time of all threads, of a batch of 100 queries, and of queries one at a time.

The rows (N, 128) are of length one: topics, instances of them, images of these, each a Gaussian around the one before
whose i-th dimension has the standard deviation i^-0.5. Codes and lists learn on a sample of them; queries are other
images of the same instances.

flat    `faiss.IndexFlatIP` over the same rows: exact, and what speed-ups are of
bytes   of the index for each image (codes, numbers, links). What is re-scored needs the full rows too (512 bytes each),
        which may lie on disk; in brackets, what `faiss.serialize_index` writes, if the index is of faiss

Exit status 1 if a bar of the measurements is missed.
"""

from __future__ import annotations

import os

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait would count as CPU time; read when OpenMP is loaded

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch  # noqa: F401

import faiss  # isort: skip

from cbirlab.compression import Compression
from cbirlab.index import ExactIndex, IndexMethod, Ranking, rescore
from cbirlab.index.recall import recall_of_exact

WIDTH, BATCH, SINGLE, TRAIN, K = 128, 100, 30, 40_000, 10


@dataclass(frozen=True)
class Way:
    """A code, an index, how many results are re-scored, and bars: recall@10, speed-up, bytes."""

    index: str
    code: str = "none"
    rescored: int = 0
    bars: tuple[float, float, float] = (0, 0, float("inf"))

    def __str__(self) -> str:
        shown = self.index if self.code == "none" else f"{self.code}, {self.index}"
        return shown + (f", re-score {self.rescored}" if self.rescored else "")


WAYS = [
    Way("exact", "float16"),
    Way("exact", "sq(bits=8)", bars=(0.98, 0, 130)),
    Way("fastscan", "pq(m=32, bits=4)", 100, bars=(0.92, 15, float("inf"))),
    Way("hamming", "itq(bits=128)", 200),
    Way("exact", "itq(bits=128)", 200),
    Way("ivf(lists=1024, probes=4)"),
    Way("ivf(lists=1024, probes=16)", bars=(0.94, 25, float("inf"))),
    Way("ivf(lists=1024, probes=64)"),
    Way("ivf(lists=1024, probes=16)", "sq(bits=8)", bars=(0, 0, 150)),
    Way("ivf(lists=512, probes=16)", "pq(m=32, bits=4)", 100),
    Way("hnsw(ef=16)"),
    Way("hnsw(ef=64)", bars=(0.98, 20, float("inf"))),
    Way("hnsw(ef=200)"),
    Way("hnsw(ef=64)", "sq(bits=8)"),
]
"""The least recall and speed-up of each way; some need no speed-up."""


def clustered(count: int, *, per_instance: int = 20, per_topic: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """The database (count, 128), and queries of which no image is in it."""
    random = np.random.default_rng(0)
    spectrum = np.arange(1, WIDTH + 1, dtype=np.float32) ** -0.5

    def spread(number: int, size: float) -> np.ndarray:
        return size * spectrum * random.standard_normal((number, WIDTH), dtype=np.float32)

    instances = max(1, count // per_instance)
    centres = spread(-(-instances // per_topic), 1.0)[np.arange(instances) // per_topic] + spread(instances, 0.7)
    rows = centres[np.arange(count) % instances]
    for start in range(0, count, 1 << 16):
        part = rows[start : start + (1 << 16)]
        part += spread(len(part), 0.45)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    queries = centres[random.integers(0, instances, BATCH)] + spread(BATCH, 0.45)
    return rows, queries / np.linalg.norm(queries, axis=1, keepdims=True)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def best_seconds(works: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The shortest CPU time of each work; the works take turns, so that a busy machine slows all of them."""
    seconds = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            seconds[place] = min(seconds[place], cpu_seconds(work))
    return seconds


def milliseconds(search: Callable[[np.ndarray], object], queries: np.ndarray, rounds: int, *others: Any) -> np.ndarray:
    """CPU milliseconds of a query for each search, (searches, 2): in a batch, and one at a time."""
    searches = [search, *others]
    batch = [lambda one=one: one(queries) for one in searches]
    single = [lambda one=one: [one(queries[n : n + 1]) for n in range(SINGLE)] for one in searches]
    times = np.array([best_seconds(batch, rounds), best_seconds(single, rounds)]).T
    return 1000 * times / [len(queries), SINGLE]


class Built:
    """A way with its code and its index, filled."""

    def __init__(self, way: Way, rows: np.ndarray, train: np.ndarray) -> None:
        start, compression = time.process_time(), Compression.parse(way.code)
        self.way, self.rows = way, rows
        code = compression.make().fit(train) if compression.used else None
        self.index: Any = IndexMethod.parse(way.index).make()
        self.index.fit(rows, code, train)
        self.build_seconds = time.process_time() - start

    def search(self, queries: np.ndarray) -> Ranking:
        """The first ten, re-scored if that is asked for."""
        found = self.index.search(queries, self.way.rescored or K)
        return rescore(found, queries, self.rows, self.way.rescored).top(K) if self.way.rescored else found

    @property
    def serialised(self) -> int:
        """Bytes that faiss writes of its index; of scans that keep codes alone, those of the codes."""
        written = self.index.saved().get("index")
        return self.index.nbytes if written is None else len(written)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="ways whose name holds one of these")
    given = options.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    rows, queries = clustered(given.rows)
    train = rows[np.random.default_rng(1).permutation(len(rows))[:TRAIN]]
    flat, exact = faiss.IndexFlatIP(WIDTH), ExactIndex().fit(rows)
    flat.add(rows)
    nearest = exact.search(queries, K)
    assert np.array_equal(nearest.images, flat.search(queries, K)[1]), "the exact index and faiss flat differ"
    base, own = milliseconds(lambda q: flat.search(q, K), queries, given.rounds, lambda q: exact.search(q, K))
    print(f"{len(rows)} x {WIDTH}; ms of a query in a batch of {BATCH}, and alone: flat {base[0]:.3f}, {base[1]:.3f};")
    print(f"ExactIndex {own[0]:.3f}, {own[1]:.3f}: {own[0] / base[0]:.2f} and {own[1] / base[1]:.2f} times as long")
    print(f"{'way':58} {'bytes':>14} recall@10  batch x  alone x  build s")
    failed = []
    for way in WAYS:
        if any(word in str(way) for word in given.only):
            failed += measured(Built(way, rows, train), queries, nearest, flat, given.rounds)
    print("\n".join(failed) or "all bars are reached")
    return int(bool(failed))


def measured(built: Built, queries: np.ndarray, nearest: Ranking, flat: Any, rounds: int) -> list[str]:
    """Print a line, and say which bars are missed."""
    way, images = built.way, len(built.rows)
    recall = float(recall_of_exact(built.search(queries), queries, built.rows, K, exact=nearest).mean())
    base, own = milliseconds(lambda q: flat.search(q, K), queries, rounds, built.search)
    faster, told, serialised = base / own, built.index.nbytes / images, built.serialised / images
    print(
        f"{way!s:58} {told:6.1f} ({serialised:5.1f}) {recall:9.3f} {faster[0]:8.1f} {faster[1]:8.1f} "
        f"{built.build_seconds:8.1f}",
        flush=True,
    )
    least, speed, most = way.bars
    return [
        f"{way}: {what} {value:.3f}, the bar is {bar}"
        for what, value, bar, missed in (
            ("recall@10", recall, least, recall < least),
            ("speed-up in a batch", faster[0], speed, faster[0] < speed),
            ("bytes", told, most, told > most),
            ("bytes told / written", told / serialised, 1.05, abs(told / serialised - 1) > 0.05),
        )
        if missed
    ]


if __name__ == "__main__":
    raise SystemExit(main())
