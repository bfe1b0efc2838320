"""How much the whole grid costs beside the bare forward pass, and what precision and memory layout change.

    python tests/benchmarks/bench_extract.py --dataset toytown --backbone toynet
    python tests/benchmarks/bench_extract.py --dataset toytown --backbone mobilenet_v2 --weights FILE

One run measures all sides in turn, so that a busy machine slows all of them: read the ratios, not the seconds.

bare    decode and torch's forward pass to the deepest tap, in the batches of the extraction; nothing is pooled or kept
grid    `compare` into a store without descriptors: all taps x MAC, SPoC, GeM x none, PCA; up to the evaluation
naive   one pass over the images for every cell of the grid, on the first images only, beside the bare pass of the same

Wall time and processor time are both given; on a busy machine the latter is the steadier one.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cbirlab import compare
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import Backbone, load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import evaluate
from cbirlab.extract import BATCH_PIXELS, PARTS
from cbirlab.extract.batches import make_batches, part_items
from cbirlab.extract.decode import Decoded, decode_ahead
from cbirlab.extract.engines import OPENVINO
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.extract.graph import graph_of
from cbirlab.extract.network import Network
from cbirlab.extract.pooling import pool
from cbirlab.index import ExactIndex, Ranking
from cbirlab.store import Store
from cbirlab.whitening import WHITENINGS, normalise

SPECS = [Aggregation.parse(name) for name in ("mac", "spoc", "gem")]
NUMERICS = [("float32", False), ("float32", True), ("bfloat16", False), ("bfloat16", True)]


def seconds(work: Callable[[], object]) -> np.ndarray:
    """Wall time and processor time of one call."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - start


def decoded(
    dataset: Dataset, image_size: int, part: str, most: int | None = None, batch_pixels: int = BATCH_PIXELS
) -> Iterator[Decoded]:
    """The batches that the extraction makes of a part, or larger ones, decoded ahead as it does."""
    items = part_items(dataset, part)[:most]
    prints = fingerprints([item.path for item in items], Store("/dev/null/none"))
    plan = make_batches(items, prints, image_size=image_size, scale=1.0, batch_pixels=batch_pixels)
    batches = [batch for shard in plan.shards for batch in shard]
    return decode_ahead(batches, items, ahead_pixels=2 * batch_pixels, image_size=image_size)


def parts_of(dataset: Dataset) -> list[str]:
    """Parts that have rows; queries that are the database images are not computed twice."""
    same = [query.path for query in dataset.queries] == list(dataset.images)
    return [part for part in PARTS if part_items(dataset, part) and not (part == "queries" and same)]


def bare(
    dataset: Dataset,
    network: Network,
    image_size: int,
    most: int | None = None,
    parts: list[str] | None = None,
    batch_pixels: int = BATCH_PIXELS,
) -> None:
    """Decode and forward."""
    for part in parts or parts_of(dataset):
        for batch in decoded(dataset, image_size, part, most, batch_pixels):
            network.maps(batch.pixels, list(network.backbone.taps))


def naive(dataset: Dataset, network: Network, image_size: int, most: int) -> None:
    """One pass per cell."""
    for tap in network.backbone.taps:
        for spec in SPECS:
            for batch in decoded(dataset, image_size, "images", most):
                spec.apply(network.maps(batch.pixels, [tap])[tap])


def grid(dataset: Dataset, arguments: argparse.Namespace, engine: str, precision: str) -> None:
    """The whole table into a store that has nothing but the graph of the network."""
    with tempfile.TemporaryDirectory() as folder:
        if (arguments.graphs.path / "graphs").exists():
            shutil.copytree(arguments.graphs.path / "graphs", Path(folder) / "graphs")
        compare(
            dataset,
            backbones=arguments.backbone,
            weights=arguments.weights,
            taps="all",
            aggregations=[spec.key for spec in SPECS],
            whitenings=["none", "pca"] if dataset.train else ["none"],
            store=Store(folder),
            image_size=arguments.image_size,
            precision=precision,
            engine=engine,
            progress=False,
        )


def ranked(dataset: Dataset, network: Network, image_size: int) -> dict[tuple[str, str], Ranking]:
    """Rankings of every tap and aggregation."""
    pooled: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for part in ("images", "queries"):
        values: dict[tuple[str, str], np.ndarray] = {}
        for batch in decoded(dataset, image_size, part):
            for tap, maps in network.maps(batch.pixels, list(network.backbone.taps)).items():
                for key, block in pool(maps, SPECS).items():
                    rows = values.setdefault(
                        (tap, key), np.zeros((len(part_items(dataset, part)), block.shape[1]), np.float32)
                    )
                    rows[list(batch.rows)] = block
        pooled[part] = values
    unit = {part: {name: normalise(rows) for name, rows in values.items()} for part, values in pooled.items()}
    return {name: ExactIndex().fit(rows).search(unit["queries"][name]) for name, rows in unit["images"].items()}


def report_ratios(dataset: Dataset, backbone: Backbone, arguments: argparse.Namespace) -> None:
    """Grid and naive way beside the bare pass."""
    size = arguments.image_size
    network = Network(backbone)
    bare(dataset, network, size, most=32)  # warm up: kernels, file cache, modules that are loaded when first used
    WHITENINGS["pca"]
    ratios: dict[str, list[np.ndarray]] = {name: [] for name in arguments.grids}
    if any(name.startswith(OPENVINO) for name in ratios):
        arguments.graphs.path.mkdir()
        print(f"conversion {shown(seconds(lambda: graph_of(backbone, arguments.graphs)), ' s')}, once")
    for _ in range(arguments.repeats):
        plain = seconds(lambda: bare(dataset, network, size))
        for name, found in ratios.items():
            whole = seconds(partial(grid, dataset, arguments, *name.split(",")))
            found.append(whole / plain)
            print(f"bare {shown(plain, ' s')}, {name} {shown(whole, ' s')}, ratio {shown(found[-1])}", flush=True)
    for name, found in ratios.items():
        print(f"grid / bare, {name}: median ratio {shown(np.median(found, axis=0))}")
    most = arguments.naive_images
    few = seconds(lambda: bare(dataset, network, size, most, ["images"]))
    many = seconds(lambda: naive(dataset, network, size, most))
    cells = len(backbone.taps) * len(SPECS)
    print(f"naive / bare on {most} images: {shown(many / few)} ({cells} cells, one pass each)")


def shown(pair: np.ndarray, unit: str = "") -> str:
    """Wall and processor time, or their ratios."""
    return f"{pair[0]:.2f}{unit} ({pair[1]:.2f}{unit} processor)"


def report_numerics(dataset: Dataset, backbone: Backbone, arguments: argparse.Namespace) -> None:
    """Speed and rankings of every precision and memory layout, beside float32 NCHW."""
    size, most = arguments.image_size, arguments.numeric_images
    networks = {one: Network(backbone, precision=one[0], channels_last=one[1]) for one in NUMERICS}
    times = {
        one: np.min(
            [seconds(lambda network=network: bare(dataset, network, size, most, ["images"])) for _ in range(3)], axis=0
        )
        for one, network in networks.items()
    }
    base = None
    for one, network in networks.items():
        results = ranked(dataset, network, size)
        base = base or results
        speed = times[NUMERICS[0]] / times[one]
        print(f"{one[0]} {'channels-last' if one[1] else 'NCHW'}: {shown(speed)} times as fast on {most} images")
        for name, ranking in results.items():
            same = np.mean(
                [np.array_equal(a, b) for a, b in zip(ranking.images[:, :10], base[name].images[:, :10], strict=True)]
            )
            line = f"  {name[0]:10} {name[1]:26} first ten unchanged for {same:.3f} of the queries"
            if dataset.labels:
                maps = [
                    {
                        level: value
                        for level, value in evaluate(which, dataset, resamples=0).metrics.items()
                        if level.startswith("map")
                    }
                    for which in (ranking, base[name])
                ]
                line += "; " + ", ".join(
                    f"{level} {value:.4f} ({value - maps[1][level]:+.5f})" for level, value in maps[0].items()
                )
            print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="toytown")
    parser.add_argument("--train", help="a folder to learn whitening on, for a folder of images")
    parser.add_argument("--backbone", default="toynet")
    parser.add_argument("--weights")
    parser.add_argument("--image-size", type=int)
    parser.add_argument(
        "--grids", nargs="+", default=["torch,float32", "openvino,float32"], help="engine and precision of each grid"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--naive-images", type=int, default=96)
    parser.add_argument("--numeric-images", type=int, default=128)
    parser.add_argument("--only", choices=["ratios", "numerics"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", UserWarning)
    options = {"train": arguments.train} if arguments.train else {}
    dataset = load_dataset(arguments.dataset, **options)
    arguments.image_size = arguments.image_size or dataset.image_size
    backbone = load_backbone(arguments.backbone, arguments.weights)
    rows = sum(len(part_items(dataset, part)) for part in parts_of(dataset))
    print(f"{backbone.name} ({backbone.weights}) on {dataset.name}, {rows} images, {arguments.threads} threads")
    if arguments.only != "numerics":
        with tempfile.TemporaryDirectory() as folder:
            arguments.graphs = Store(Path(folder) / "store")
            report_ratios(dataset, backbone, arguments)
    if arguments.only != "ratios":
        report_numerics(dataset, backbone, arguments)


if __name__ == "__main__":
    main()
