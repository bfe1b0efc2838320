"""Peak memory of describing N and 4 N images every way at once: poolings, learned poolings, encodings, views.

    python tests/benchmarks/bench_memory.py [--images 150]

Each run is a process of its own on drawn pictures, toynet and a cold store; printed is the peak of its resident memory,
and what lies above that of a run on a few images. Exit status 1 if four times the images need more than 1.2 times that.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

FEW = 16
LIMIT = 1.2
AGGREGATIONS = ["mac", "spoc", "gem", "rmac", "rmac(learned=True)", "crow", "scda", "pwa(proposals=5)"]
ENCODINGS = ["vlad(k=16)", "fisher(k=16)"]


def main() -> int:
    """Print one line per number of images."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=150, metavar="N")
    options.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        describe(given.one)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    peaks = {count: peak(count) for count in (FEW, given.images, 4 * given.images)}
    for count, megabytes in peaks.items():
        print(f"{count:6} images: peak {megabytes:6.0f} MiB, {megabytes - peaks[FEW]:+5.0f} over that of {FEW}")
    ratio = peaks[4 * given.images] / peaks[given.images]
    print(f"4 N / N: {ratio:.2f}")
    return int(ratio > LIMIT)


def peak(count: int) -> float:
    """Peak resident memory in MiB of a process that describes so many pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        draw(Path(scratch) / "all", count)
        draw(Path(scratch) / "train", count // 2)
        command = [sys.executable, __file__, "--one", scratch]
        return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])


def draw(folder: Path, count: int) -> None:
    """Smooth random pictures of 320 x 240 pixels."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    for number in range(count):
        coarse = np.random.default_rng([count, number]).integers(0, 256, (9, 12, 3), np.uint8)
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{number:05}.jpg")


def describe(scratch: Path) -> None:
    """Every way at every tap of toynet, then the deepest in views."""
    from cbirlab import Recipe, load_backbone, load_dataset
    from cbirlab.pipeline import Bench
    from cbirlab.store import Store

    dataset = load_dataset(scratch / "all", train=scratch / "train", image_size=320)
    backbone = load_backbone("toynet")
    taps = ["layer1", "layer2", "layer3", "layer4"]
    plain = [Recipe(dataset="drawn", tap=tap, aggregation=one) for tap in taps for one in AGGREGATIONS + ENCODINGS]
    views = [Recipe(dataset="drawn", tap="layer4", passes="grid(rows=2, columns=2)")]
    for recipes in (plain, views):
        resolved = [recipe.resolved(dataset, backbone) for recipe in recipes]
        Bench(dataset, backbone, resolved[0], store=Store(scratch / "store"), progress=False).fill(resolved)


if __name__ == "__main__":
    sys.exit(main())
