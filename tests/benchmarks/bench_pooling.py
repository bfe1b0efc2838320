"""What pooling costs: R-MAC beside MAC, each pooling beside MAC, and the whole training-free grid beside the network.

    python tests/benchmarks/bench_pooling.py --backbone mobilenet_v2 --weights FILE

rmac    R-MAC of 3 levels over MAC (torch's amax) of the same maps, by size and memory layout, 16 images
taps    each pooling over MAC at each tap, alone and all of them together, per image
grid    `extract` into an empty store, all taps x all training-free poolings, over decode and forward pass of the same:
        in batches of 16 images, which is what one would write, and in the smaller ones of the extraction ("same"),
        in which the forward pass of a network with large maps alone takes half as long

The sides are measured in turn, so that a busy machine slows all of them: read the ratios. "warm" maps lie in the
processor's cache from the call before, "cold" ones are fetched from memory, as they are after a forward pass.
Exits with 1 where a ratio is above its limit.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import torch
from bench_extract import bare, seconds, shown
from torch import Tensor

from cbirlab.aggregation import AGGREGATIONS, Aggregation, rmac
from cbirlab.backbones import Backbone, load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.extract import extract
from cbirlab.extract.network import Network
from cbirlab.extract.pooling import pool
from cbirlab.store import Store

GRID_LIMIT = 1.35
SIXTEEN = 16 * 320 * 240  # pixels of a batch of 16 images of Toytown
RMAC_LIMIT = 3.0
SIZES = [(7, 7), (8, 10), (14, 14), (15, 20), (24, 32), (32, 32)]
LAYOUTS = {"channels-last": torch.channels_last, "NCHW": torch.contiguous_format}
CACHE = 2**25  # bytes; maps that are to come from memory are several times as many
SPECS = [Aggregation(name) for name in AGGREGATIONS]


def medians(sides: dict[str, Callable[[Tensor], object]], maps: Sequence[Tensor], repeats: int) -> dict[str, float]:
    """Milliseconds per call of each side, in turn, each call on the next of `maps`."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    waiting = cycle(maps)
    for _ in range(repeats + 2):
        for name, work in sides.items():
            one = next(waiting)
            start = time.perf_counter()
            work(one)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.median(values[2:])) for name, values in times.items()}


def report_rmac(channels: int, images: int, repeats: int) -> bool:
    """Whether R-MAC stays within its limit on all sizes, in the layout that extraction uses, on maps from memory."""
    print(f"R-MAC / MAC, {images} images of {channels} channels (limit {RMAC_LIMIT:g}, channels-last, cold)")
    within = True
    for height, width in SIZES:
        line = f"  {height:3} x {width:<3}"
        for layout, memory_format in LAYOUTS.items():
            for state in ("warm", "cold"):
                one = torch.rand(images, channels, height, width).contiguous(memory_format=memory_format)
                copies = 1 if state == "warm" else 1 + 4 * CACHE // one.nbytes
                maps = [one.clone() for _ in range(copies)]
                with torch.no_grad():
                    found = medians({"mac": lambda x: x.amax((-2, -1)), "rmac": rmac}, maps, repeats)
                ratio = found["rmac"] / found["mac"]
                line += f"  {layout} {state} {ratio:5.2f} ({found['mac']:.3f} ms)"
                within &= ratio <= RMAC_LIMIT or layout == "NCHW" or state == "warm"
        print(line, flush=True)
    return within


def report_taps(backbone: Backbone, dataset: Dataset, repeats: int) -> None:
    """Each pooling alone, and all of them together."""
    network = Network(backbone)
    pixels = np.random.default_rng(0).integers(
        0, 256, (16, dataset.image_size * 3 // 4, dataset.image_size, 3), np.uint8
    )
    found = network.maps(pixels, list(backbone.taps))
    for tap, maps in found.items():
        sides = {spec.name: lambda x, spec=spec: pool(x, [spec]) for spec in SPECS}
        times = medians({**sides, "together": lambda x: pool(x, SPECS)}, [maps], repeats)
        line = "  ".join(f"{name} {ms / times['mac']:.1f}" for name, ms in times.items())
        print(f"  {tap:9} {tuple(maps.shape)[1:]!s:16} MAC {times['mac'] / 16:.3f} ms per image, over it: {line}")


def grid(backbone: Backbone, dataset: Dataset) -> None:
    """All columns of the database images into an empty store; of taps without positions one, as `compare` has it."""
    spoc = [spec for spec in SPECS if spec.name == "spoc"]
    cells = {tap: SPECS if entry.kind == "map" else spoc for tap, entry in backbone.taps.items()}
    with tempfile.TemporaryDirectory() as folder:
        extract(
            dataset, backbone, taps=list(cells), aggregations=cells, parts=["images"],
            store=Store(folder), progress=False,
        )  # fmt: skip


def report_grid(backbone: Backbone, dataset: Dataset, repeats: int) -> bool:
    """Whether the cold grid stays within its limit."""
    network = Network(backbone)
    size = dataset.image_size
    few = replace(dataset, images=dataset.images[:32])
    bare(few, network, size, parts=["images"])
    grid(backbone, few)
    ratios = []
    for _ in range(repeats):
        same = seconds(lambda: bare(dataset, network, size, parts=["images"]))
        whole = seconds(lambda: grid(backbone, dataset))
        usual = seconds(lambda: bare(dataset, network, size, parts=["images"], batch_pixels=SIXTEEN))
        ratios.append([whole / usual, whole / same])
        print(
            f"  grid {shown(whole, ' s')}, bare in batches of 16 {shown(usual, ' s')}, ratio {shown(ratios[-1][0])}; "
            f"in the same {shown(same, ' s')}, ratio {shown(ratios[-1][1])}",
            flush=True,
        )
    median, spread = np.median(ratios, axis=0), np.ptp(ratios, axis=0)
    for name, middle, width in zip(("bare", "same"), median, spread, strict=True):
        print(f"  grid / {name}: median {shown(middle)}, from lowest to highest {shown(width)}")
    print(f"  limit of grid / bare {GRID_LIMIT}")
    return bool(median[0, 0] <= GRID_LIMIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="toytown")
    parser.add_argument("--backbone", default="toynet")
    parser.add_argument("--weights")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["rmac", "taps", "grid"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", UserWarning)
    dataset = load_dataset(arguments.dataset)
    dataset = replace(
        dataset,
        images=dataset.images[: arguments.images],
        queries=(),
        labels=(),
        train=(),
        train_instances=(),
        instances=(),
    )
    backbone = load_backbone(arguments.backbone, arguments.weights)
    print(f"{backbone.name} ({backbone.weights}) on {len(dataset.images)} images, {arguments.threads} threads")
    within = True
    if arguments.only in (None, "rmac"):
        within &= report_rmac(arguments.channels, 16, 10 * arguments.repeats)
    if arguments.only in (None, "taps"):
        print("poolings over MAC")
        report_taps(backbone, dataset, arguments.repeats)
    if arguments.only in (None, "grid"):
        print(f"cold grid: {len(backbone.taps)} taps x {', '.join(spec.name for spec in SPECS)}")
        within &= report_grid(backbone, dataset, arguments.repeats)
    raise SystemExit(0 if within else 1)


if __name__ == "__main__":
    main()
