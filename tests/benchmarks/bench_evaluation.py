"""What judging rankings costs beside a plain loop over each list, and how much memory it takes.

    python tests/benchmarks/bench_evaluation.py [--queries 1000] [--images 100000] [--rounds 2] [--distractors 1001001]

One run measures both sides in turn and keeps the best of a few rounds: read the ratio, not the seconds. Both give the
same numbers, or the run fails.

loop      for each query, one walk down its sorted list in Python for all three levels, with sets of rows and running
          counts: AP by the trapezoid and precision at 1, 5 and 10
evaluate  `cbirlab.evaluate` under the revisited protocol: the same numbers, without intervals

Memory (on Linux) is the growth of a fresh process's peak while it evaluates 70 queries of revisited size, and 7 of
them, against the largest database; the rankings are given and do not count.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cbirlab.datasets import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, evaluate
from cbirlab.index import Ranking

LEVELS = PROTOCOLS["revisited"].levels
CUTS = (1, 5, 10)
LABELS = {"easy": 45, "hard": 40, "junk": 20}
"""About as many as a query of revisited Oxford has."""


def benchmark(queries: int, images: int) -> tuple[Ranking, Dataset]:
    """Random rankings in which positives come early, and random labels."""
    random = np.random.default_rng(0)
    marked = np.stack([random.choice(images, sum(LABELS.values()), replace=False) for _ in range(queries)])
    ends = np.cumsum(list(LABELS.values()))[:-1]
    labels = tuple(
        {name: tuple(rows.tolist()) for name, rows in zip(LABELS, np.split(row, ends), strict=True)} for row in marked
    )
    images_ranked = np.empty((queries, images), dtype=np.int64)
    scores = np.empty((queries, images), dtype=np.float32)
    for query in range(queries):
        values = random.random(images, dtype=np.float32)
        values[marked[query]] += 0.3
        order = np.argsort(-values, kind="stable")
        images_ranked[query], scores[query] = order, values[order]
    path = Path("image.jpg")
    dataset = Dataset("made", (path,) * images, (Query(path),) * queries, labels, protocol="revisited")
    return Ranking(images_ranked, scores), dataset


def looped(lists: list[list[int]], dataset: Dataset) -> dict[str, float]:
    """The metrics of the revisited protocol, one list after the other."""
    sums = {f"{name}_{level.name}": 0.0 for level in LEVELS for name in ("map", *(f"mp@{k}" for k in CUTS))}
    for results, labels in zip(lists, dataset.labels, strict=True):
        levels = [
            (
                {row for name in level.positive for row in labels[name]},
                {row for name in level.junk for row in labels[name]},
            )
            for level in LEVELS
        ]
        for level, found in zip(LEVELS, walked(results, levels), strict=True):
            for name, value in found.items():
                sums[f"{name}_{level.name}"] += value / len(lists)
    return sums


def walked(results: list[int], levels: list[tuple[set[int], set[int]]]) -> list[dict[str, float]]:
    """One list, for each level: AP, and precision in a list that ends at its last positive."""
    known = set().union(*(part for level in levels for part in level))
    ignored, places = [0] * len(levels), [[] for _ in levels]
    for place, row in enumerate(results):
        if row in known:
            for number, (positive, junk) in enumerate(levels):
                if row in junk:
                    ignored[number] += 1
                elif row in positive:
                    places[number].append(place - ignored[number])
    return [metrics_of(ranks, len(positive)) for ranks, (positive, _) in zip(places, levels, strict=True)]


def metrics_of(ranks: list[int], positives: int) -> dict[str, float]:
    total = 0.0
    for order, rank in enumerate(ranks):
        total += ((order / rank if rank else 1.0) + (order + 1) / (rank + 1)) / 2
    found = {"map": total / positives}
    for k in CUTS:
        end = min(k, ranks[-1] + 1)
        found[f"mp@{k}"] = sum(rank < end for rank in ranks) / end
    return found


def compared(queries: int, images: int, rounds: int) -> list[float]:
    """Seconds of the loop and of `evaluate`, once they have given the same numbers."""
    ranking, dataset = benchmark(queries, images)
    lists = ranking.images.tolist()
    expected, found = looped(lists, dataset), evaluate(ranking, dataset, resamples=0).metrics
    wrong = [name for name in expected if not math.isclose(expected[name], found[name], rel_tol=1e-9)]
    if wrong or set(expected) != set(found):
        raise SystemExit(f"loop and evaluate differ in {wrong or set(expected) ^ set(found)}")
    return best_seconds([lambda: looped(lists, dataset), lambda: evaluate(ranking, dataset, resamples=0)], rounds)


def best_seconds(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """The shortest wall time of each work; the works take turns, so that a busy machine slows all of them."""
    seconds = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            start = time.perf_counter()
            work()
            seconds[place] = min(seconds[place], time.perf_counter() - start)
    return seconds


def peak_bytes(queries: int, images: int) -> int:
    """What one evaluation needs besides the ranking and the labels, in a process that has done nothing else."""
    small = benchmark(2, 1000)
    evaluate(*small)
    made = benchmark(queries, images)
    before = _now()
    _reset_peak()
    evaluate(*made)
    return _peak() - before


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def _now() -> int:
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _reset_peak() -> None:
    """Making a benchmark has a peak of its own, which Linux forgets when it is asked to."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--distractors", type=int, default=1_001_001, help="database of the measurement of memory")
    given = parser.parse_args()
    loop, judged = compared(given.queries, given.images, given.rounds)
    size = f"{given.queries} queries x {given.images} images"
    print(f"{size}: loop {loop:.2f} s, evaluate {judged:.2f} s, {loop / judged:.1f} x as fast")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = [(queries, pool.apply(peak_bytes, (queries, given.distractors))) for queries in (7, 70)]
    for queries, peak in peaks:
        print(f"peak memory {peak / 2**20:.0f} MiB for {queries} queries x {given.distractors} images")


if __name__ == "__main__":
    main()
