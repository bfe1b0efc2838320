"""What re-ranking costs beside the exact search before it: CPU time of a query, in a batch and alone, and preparation.

    python tests/benchmarks/bench_rerank.py [--rows 1000 20000] [--rounds 3] [--only diffusion]

One run measures the search and every method in turn and keeps the best of a few rounds of each: read the ratios, not
the milliseconds. Rows and queries are those of `bench_index`. Up to 5,000 rows, all of them are listed and re-ranked;
beyond, the first 1,000.

Exit status 1 if a method is above its limit in `BARS`, for a query of the batch among 1,000 rows.
"""

from __future__ import annotations

import os

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait would count as CPU time; read when OpenMP is loaded

import argparse

import numpy as np
from bench_index import best_seconds, clustered

from cbirlab.reranking import Answers, Gallery, rerank_answers

BATCH, SINGLE, COMPLETE, LISTED = 96, 20, 5_000, 1_000

BARS = {"aqe": 2, "decay": 2, "k_reciprocal": 15, "diffusion(steps=20)": 15}
"""Times the exact search of 1,000 rows, which expansion carries out once more."""

WAYS = [
    "aqe",
    "decay",
    "dba",
    "k_reciprocal",
    "k_reciprocal_graph",
    "rank_neighbours",
    "diffusion",
    "diffusion(steps=20)",
    "diffusion(truncate=200)",
    "diffusion_offline(truncate=200)",
    "diffusion_spectral(rank=100)",
    "rdp",
    "super_global",
]


def milliseconds(gallery: Gallery, queries: np.ndarray, depth: int, methods: list[str], rounds: int) -> np.ndarray:
    """CPU milliseconds of a query (methods + 1, 2), the search first: in a batch, and one at a time."""
    times = []
    for some in ([queries], [queries[n : n + 1] for n in range(SINGLE)]):
        answers = [Answers.of_exact(part, gallery, depth) for part in some]
        works = [lambda answers=answers: [one.search(one.queries, depth) for one in answers]]
        works += [lambda way=way, answers=answers: [rerank_answers(one, way) for one in answers] for way in methods]
        times.append(1000 * np.array(best_seconds(works, rounds)) / sum(map(len, some)))
    return np.array(times).T


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, nargs="+", default=[1_000, 20_000])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument(
        "--only", nargs="+", default=[""], metavar="WORD", help="methods whose name holds one of these"
    )
    given = options.parse_args()
    methods = [way for way in WAYS if any(word in way for word in given.only)]
    missed = False
    for count in given.rows:
        rows, queries = clustered(count)
        gallery, queries, depth = Gallery(rows), queries[:BATCH], count if count <= COMPLETE else LISTED
        prepared = []
        for method in methods:
            before = gallery.seconds
            rerank_answers(Answers.of_exact(queries[:1], gallery, depth), method)
            prepared.append(gallery.seconds - before)
        times = milliseconds(gallery, queries, depth, methods, given.rounds)
        print(f"{count} rows, {depth} listed; ms of a query in the exact search: ", end="")
        print(f"{times[0, 0]:.3f} of {BATCH}, {times[0, 1]:.3f} alone")
        print(f"{'times as long':34} {'batch':>8} {'alone':>8} {'limit':>6} {'prepared, s':>12}")
        for method, seconds, ratios in zip(methods, prepared, times[1:] / times[0], strict=True):
            bar = BARS.get(method) if count == 1_000 else None
            verdict = "" if bar is None else "ok" if ratios[0] <= bar else "MISSED"
            missed |= verdict == "MISSED"
            print(f"{method:34} {ratios[0]:8.2f} {ratios[1]:8.2f} {bar or '':>6} {seconds:12.2f} {verdict}", flush=True)
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
