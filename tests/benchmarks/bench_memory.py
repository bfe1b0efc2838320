"""Peak memory: of describing N and 4 N images every way at once, of one run on many images, of a workbench on them.

    python tests/benchmarks/bench_memory.py [--images 150] [--many 20000] [--moves 50]

Each is a process of its own on drawn pictures and toynet; printed is the peak of its resident memory. The first two
begin with a cold store and tell what lies above the peak of a few images: poolings, learned poolings, encodings, views.
The many pictures are small, four of each thing, and every one is a query: one recipe is run, then a workbench opens on
them and its controls are moved. Exit status 1 if four times the images need more than 1.2 times the memory, or if the
run or the workbench needs more than 4 GB.
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
LIMIT_MB = 4e9 / 2**20
AGGREGATIONS = ["mac", "spoc", "gem", "rmac", "rmac(learned=True)", "crow", "scda", "pwa(proposals=5)"]
ENCODINGS = ["vlad(k=16)", "fisher(k=16)"]


def main() -> int:
    """Print one line per process."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=150, metavar="N", help="described every way; 0 leaves it out")
    options.add_argument("--many", type=int, default=20_000, metavar="N", help="run and shown; 0 leaves it out")
    options.add_argument("--moves", type=int, default=50)
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        task, scratch = given.one
        TASKS[task](Path(scratch), given.moves)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    described = ratio_of(given.images) if given.images else 0.0
    largest = max(many_of(given.many, given.moves)) if given.many else 0.0
    return int(described > LIMIT or largest > LIMIT_MB)


def ratio_of(images: int) -> float:
    """How many times more memory it takes to describe four times the images."""
    peaks = {}
    for count in (FEW, images, 4 * images):
        with tempfile.TemporaryDirectory() as scratch:
            draw(Path(scratch) / "all", count)
            draw(Path(scratch) / "train", count // 2)
            peaks[count] = peak("describe", scratch)
    for count, megabytes in peaks.items():
        print(f"{count:6} images: peak {megabytes:6.0f} MiB, {megabytes - peaks[FEW]:+5.0f} over that of {FEW}")
    ratio = peaks[4 * images] / peaks[images]
    print(f"4 N / N: {ratio:.2f}")
    return ratio


def many_of(count: int, moves: int) -> list[float]:
    """Peaks of one run and of a workbench on so many images."""
    with tempfile.TemporaryDirectory() as scratch:
        for group in range(count // 4):
            draw(Path(scratch) / "many" / f"{group:05}", 4, side=48)
        peaks = [peak(task, scratch, "--moves", str(moves)) for task in ("run", "panel")]
    print(f"one run on {count} images: peak {peaks[0]:.0f} MiB")
    print(f"a workbench on {count} images, {moves} moves: peak {peaks[1]:.0f} MiB")
    return peaks


def peak(task: str, scratch: str, *options: str) -> float:
    """Peak resident memory in MiB of a process that does a task."""
    command = [sys.executable, __file__, *options, "--one", task, scratch]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])


def draw(folder: Path, count: int, side: int = 320) -> None:
    """Smooth random pictures in the shape of a camera's."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True)
    for number in range(count):
        coarse = np.random.default_rng([count, number, *folder.name.encode()]).integers(0, 256, (9, 12, 3), np.uint8)
        Image.fromarray(coarse).resize((side, 3 * side // 4), Image.Resampling.BICUBIC).save(
            folder / f"{number:05}.jpg"
        )


def describe(scratch: Path, _moves: int) -> None:
    """Every way at every tap of toynet, then the deepest in views."""
    from cbirlab import Recipe, load_backbone, load_dataset
    from cbirlab.pipeline import Bench
    from cbirlab.store import Store

    dataset = load_dataset(scratch / "all", train=scratch / "train", image_size=320)
    backbone = load_backbone("toynet")
    taps = ["layer1", "layer2", "layer3", "layer4"]
    plain = [
        Recipe(dataset="drawn", backbone="toynet", tap=tap, aggregation=one)
        for tap in taps
        for one in AGGREGATIONS + ENCODINGS
    ]
    views = [Recipe(dataset="drawn", backbone="toynet", tap="layer4", passes="grid(rows=2, columns=2)")]
    for recipes in (plain, views):
        resolved = [recipe.resolved(dataset, backbone) for recipe in recipes]
        Bench(dataset, backbone, resolved[0], store=Store(scratch / "store"), progress=False).fill(resolved)


def carry_out(scratch: Path, _moves: int) -> None:
    """One recipe on all pictures."""
    from cbirlab import Recipe, run
    from cbirlab.store import Store

    recipe = Recipe(
        dataset=str(scratch / "many"), backbone="toynet", whitening="pca", whitening_set="database", image_size=48
    )
    run(recipe, store=Store(scratch / "store"), progress=False)


def move(scratch: Path, moves: int) -> None:
    """A workbench that opens, ranks and is moved: queries, dimensions, poolings, two settings side by side."""
    from cbirlab.live import Session
    from cbirlab.store import Store
    from cbirlab.widgets import Workbench

    shared = {"image_size": 48, "whitening_set": "database", "store": Store(scratch / "store")}
    panel = Workbench(Session(scratch / "many", "toynet", **shared), backbones=["toynet"], pause=0)
    for number in range(moves):
        if number == moves // 2:
            panel.compared = True
        side = panel.sides[-1]
        if number % 5 == 4:
            panel.pick(len(panel.dataset.images) + 37 * number)
        elif number % 5 == 3:
            side.state.set_parameter("gem", "p", 1.0 + number % 8)
        else:
            side.state.dimensions = 8 + 2 * (number % 40)
        if panel.error.value:
            raise RuntimeError(panel.error.value)
    panel.map.wait(900)
    panel.close()


TASKS = {"describe": describe, "run": carry_out, "panel": move}


if __name__ == "__main__":
    sys.exit(main())
