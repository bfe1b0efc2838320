"""What encoding 1,000 images costs beside assigning the same columns to words with faiss, and how much memory it takes.

    python tests/benchmarks/bench_encoding.py [--images 1000] [--columns 300] [--channels 256] [--rounds 3]

One run measures both sides in turn and keeps the best of a few rounds: read the ratios, not the seconds.

faiss   `IndexFlatL2.search(columns, 1)` over as many words, on columns of 64 dimensions that are normalised already
encode  these columns to vectors: normalisation, assignment, sums, signed root and L2 (no PCA: they have 64 dimensions)
with PCA  the same from columns of `--channels`, reduced to 64; faiss does not do that part

Memory (on Linux) is the growth of a fresh process's peak while it encodes a quarter of the images, and all of them,
given as one tensor in one call; the vectors themselves, which have to grow, are subtracted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable

import faiss
import numpy as np
import torch

from cbirlab.encoding import ENCODINGS

DIMS, BATCH = 64, 32


def best_seconds(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """The shortest wall time of each work; the works take turns, so that a busy machine slows all of them."""
    seconds = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            start = time.perf_counter()
            work()
            seconds[place] = min(seconds[place], time.perf_counter() - start)
    return seconds


def columns_of(images: int, columns: int, channels: int, seed: int = 0) -> torch.Tensor:
    """Non-negative columns of length one, half of the values zero, as a ReLU leaves them."""
    values = torch.randn(images, columns, channels, generator=torch.Generator().manual_seed(seed)).clamp(min=0)
    return torch.nn.functional.normalize(values, dim=-1)


def fitted(name: str, channels: int):
    return ENCODINGS[name]().fit(columns_of(64, 300, channels, seed=1).flatten(0, 1).numpy())


def ratios(name: str, images: int, columns: int, channels: int, rounds: int) -> tuple[float, float, float]:
    """Seconds of faiss, and of encoding without and with a PCA as multiples of them."""
    narrow, wide = fitted(name, DIMS), fitted(name, channels)
    sets, wide_sets = columns_of(images, columns, DIMS), columns_of(images, columns, channels)
    rows = sets.flatten(0, 1).numpy()
    index = faiss.IndexFlatL2(DIMS)
    index.add(np.ascontiguousarray(getattr(narrow, "means_" if name == "fisher" else "centres_")))

    def encode(encoding, all_sets: torch.Tensor) -> None:
        for batch in all_sets.split(BATCH):
            encoding.encode(batch)

    library, plain, reduced = best_seconds(
        [lambda: index.search(rows, 1), lambda: encode(narrow, sets), lambda: encode(wide, wide_sets)], rounds
    )
    return library, plain / library, reduced / library


def peak_bytes(encoding, images: int, columns: int, channels: int) -> int:
    """What one call needs besides its input and its answer, in a process that has done nothing else."""
    torch.set_num_threads(1)
    sets = torch.empty(images, columns, channels).uniform_()  # in place: making it leaves no peak
    encoding.encode(sets[:1])
    before = _peak()
    vectors = encoding.encode(sets)
    return _peak() - before - vectors.nbytes


def _peak() -> int:
    """The peak of this process alone, which Linux tells; `getrusage` passes on the peak of the process it came from."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encodings", nargs="+", default=["vlad", "fisher"], choices=list(ENCODINGS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    print(f"{given.images} images, {given.columns} columns of {DIMS} ({given.channels} before the PCA), one thread")
    for name in given.encodings:
        library, plain, reduced = ratios(name, given.images, given.columns, given.channels, given.rounds)
        print(f"{name}, {ENCODINGS[name]().k} words: faiss assigns in {library:.3f} s; encoding takes {plain:.1f} x,")
        print(f"    with PCA {reduced:.1f} x", end="; ")
        encoding, sizes = fitted(name, given.channels), (given.images // 4, given.images)
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            peaks = [pool.apply(peak_bytes, (encoding, size, given.columns, given.channels)) for size in sizes]
        shown = (f"{peak / 2**20:.1f} MiB for {size} images" for peak, size in zip(peaks, sizes, strict=True))
        print(f"peak memory {', '.join(shown)}")


if __name__ == "__main__":
    main()
