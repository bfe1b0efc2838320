"""What is lost, and what it costs, while a database grows: Toytown beside synthetic distractors, by code and index.

    python data/results/distractors.py [--distractors 1000 10000 100000 1000000] [--ways exact itq ...]

"peak MB" is the most memory of the whole process while a row was made, PyTorch and mapped files included (Linux);
distractors lie in a file of the store's folder. HNSW is built by one thread, which takes minutes for a million: ask for
it by --most-hnsw. README.md says what came out.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from cbirlab import Recipe, run

WAYS: dict[str, dict[str, Any]] = {
    "float": {},
    "ITQ, 64 bits": {"compression": "itq(bits=64)", "index": "hamming"},
    "ITQ, 64 bits, re-scored": {"compression": "itq(bits=64)", "index": "hamming", "rescore": 200},
    "PQ, 4 bits, re-scored": {"compression": "pq(m=32, bits=4)", "index": "fastscan", "rescore": 200},
    "IVF": {"index": "ivf(lists=16, probes=4)"},
    "HNSW": {"index": "hnsw(ef=200)"},
}
COMMON: dict[str, Any] = {"whitening": "pca(power=0.25)", "dimensions": 128}
COLUMNS = ("distractors", "way", "mAP Medium", "recall@10", "ms per query", "bytes", "build s", "peak MB")


def measured(name: str, count: int) -> list[str]:
    """One row of the table."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # Linux forgets the peak of what went before
    found = run(Recipe(distractors=count, **COMMON, **WAYS[name]), progress=False)
    with open("/proc/self/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    return [
        f"{count:,}",
        name,
        f"{found.metrics['map_medium']:.3f}",
        f"{found.recall:.3f}",
        f"{found.ms_per_query:.2f}",
        str(found.bytes_per_image),
        f"{found.build_seconds:.1f}",
        f"{peak:.0f}",
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--distractors", type=int, nargs="+", default=[0, 1000, 10_000, 100_000, 1_000_000])
    options.add_argument("--ways", nargs="+", default=[""], metavar="WORD", help="ways whose name holds one of these")
    options.add_argument("--most-hnsw", type=int, default=100_000, metavar="N")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    run(Recipe(**COMMON), progress=False)  # Toytown is described by then
    rows = (
        measured(name, count)
        for count in given.distractors
        for name in WAYS
        if any(word in name for word in given.ways) and (name != "HNSW" or count <= given.most_hnsw)
    )
    print("\n".join(("| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS))))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
