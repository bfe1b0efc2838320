"""What re-ranking costs beside the exact search before it: CPU time of a query, in a batch and alone, and preparation.

    python tests/benchmarks/bench_rerank.py [--rows 1000 20000] [--rounds 3] [--only diffusion]

One run measures the search and every method in turn and keeps the best of a few rounds of each: read the ratios, not
the milliseconds. Rows and queries are those of `bench_index`. Up to 5,000 rows, all of them are listed and re-ranked;
beyond, the first 1,000.

Exit status 1 if a bar of rerank.md 7 is missed: those of 1,000 rows, for a query of the batch.
"""

from __future__ import annotations

import os

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait would count as CPU time; read when OpenMP is loaded

import argparse

import numpy as np
from bench_index import best_seconds, clustered

from cbirlab.index import ExactIndex
from cbirlab.reranking import Answers, Gallery, rerank_answers

BATCH, SINGLE, COMPLETE, LISTED = 96, 20, 5_000, 1_000

BARS = {"aqe": 2, "decay": 2, "k_reciprocal": 15, "diffusion(steps=20)": 15}
"""Times the exact search of 1,000 rows; the published expansion searches again, and nothing else."""

WAYS = [
    *("aqe", "decay", "dba", "k_reciprocal", "k_reciprocal_graph", "rank_neighbours", "diffusion"),
    *(
        "diffusion(steps=20)",
        "diffusion(truncate=200)",
        "diffusion_offline(truncate=200)",
        "diffusion_spectral(rank=100)",
    ),
    *("rdp", "super_global"),
]


class Searched:
    """A database, queries, and what a search finds for them."""

    def __init__(self, count: int) -> None:
        rows, queries = clustered(count)
        self.gallery, self.queries = Gallery(rows), queries[:BATCH].astype(np.float64)
        self.depth = count if count <= COMPLETE else LISTED
        self._index = ExactIndex().fit(rows)
        self._none = np.full(BATCH, -1)
        self._ranking = self.search(self.queries)

    def search(self, queries: np.ndarray, k: int | None = None):
        """The exact search before re-ranking."""
        return self._index.search(queries, k or self.depth)

    def answers(self, part: slice) -> Answers:
        """What was found for some queries."""
        ranking, none = self._ranking, self._none[part]
        return Answers(
            self.queries[part],
            self.gallery,
            self.search,
            type(ranking)(ranking.images[part], ranking.scores[part]),
            none,
            none,
        )


def milliseconds(searched: Searched, methods: list[str], rounds: int) -> np.ndarray:
    """CPU milliseconds of a query (methods + 1, 2), the search first: in a batch, and one at a time."""
    parts = [[slice(0, BATCH)], [slice(n, n + 1) for n in range(SINGLE)]]
    times = []
    for some, count in zip(parts, (BATCH, SINGLE), strict=True):
        answers = [searched.answers(part) for part in some]
        works = [lambda some=some: [searched.search(searched.queries[part]) for part in some]]
        works += [lambda one=one, answers=answers: [rerank_answers(a, one) for a in answers] for one in methods]
        times.append(1000 * np.array(best_seconds(works, rounds)) / count)
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
        searched, prepared = Searched(count), []
        for method in methods:
            before = searched.gallery.seconds
            rerank_answers(searched.answers(slice(0, 1)), method)
            prepared.append(searched.gallery.seconds - before)
        times = milliseconds(searched, methods, given.rounds)
        print(f"{count} rows, {searched.depth} listed; ms of a query in the exact search: ", end="")
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
