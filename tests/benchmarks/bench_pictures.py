"""From file to row: pictures per second end to end, beside what a user would write, and where the time goes.

    python tests/benchmarks/bench_pictures.py --dataset FOLDER [--backbone resnet18 --weights random] [--pictures 1000]

One run measures all sides in turn, `--repeats` times, and gives the median: read the ratios to the first line.

torchvision   a DataLoader, the transforms of torchvision's documentation, and the mean of the last maps of its network
timm          the same with timm's own network and transforms, where timm has one of that name
cbirlab       one tap, one pooling into an empty store, by each engine and precision
all taps      all taps x MAC, SPoC, GeM into an empty store: what a table needs

Stages are milliseconds of processor time for a picture, on one thread: reading and decoding, resizing, normalising, the
pass to the deepest tap, and the pass with MAC, SPoC and GeM of all taps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from cbirlab import images
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import Backbone, load_backbone
from cbirlab.datasets import load_dataset
from cbirlab.extract import Network, Request, compute, extract, plan
from cbirlab.extract.engines import computes_in_bfloat16
from cbirlab.extract.graph import NotConverted
from cbirlab.images.preprocessing import Resizing
from cbirlab.store import Store

SPECS = [Aggregation.parse(name) for name in ("mac", "spoc", "gem")]
ENGINES = [("torch", "float32"), ("openvino", "float32"), ("torch", "bfloat16"), ("openvino", "bfloat16")]


class Files(Dataset):
    """Pictures as a user's own class reads them."""

    def __init__(self, paths: Sequence[Path], transform: Callable) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> torch.Tensor:
        with Image.open(self.paths[place]) as image:
            return self.transform(image.convert("RGB"))


def by_hand(paths: Sequence[Path], network: Callable, transform: Callable, workers: int) -> None:
    with torch.inference_mode():
        for batch in DataLoader(Files(paths, transform), batch_size=32, num_workers=workers):
            network(batch).mean(dim=(-2, -1)).numpy()


def users(backbone: Backbone, size: int) -> dict[str, tuple[Callable, Callable]]:
    """Networks and transforms by library: square pictures of `size`, as both have it."""
    import torchvision
    from torchvision import transforms

    steps = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(backbone.mean, backbone.std)]
    found = {}
    if hasattr(torchvision.models, backbone.name):
        model = torchvision.models.get_model(backbone.name, weights=None).eval()
        parts = list(model.children())[:-2] if backbone.name.startswith("resnet") else [model.features]
        found["torchvision"] = torch.nn.Sequential(*parts), transforms.Compose(steps)
    try:
        import timm

        model = timm.create_model({"mobilenet_v2": "mobilenetv2_100"}.get(backbone.name, backbone.name)).eval()
        found["timm"] = model.forward_features, timm.data.create_transform((3, size, size))
    except (ImportError, RuntimeError):
        pass
    return found


def described(dataset, backbone: Backbone, engine: str, precision: str, size: int, taps: Sequence[str], specs) -> None:
    """All pictures into an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        extract(
            dataset, backbone, taps=taps, aggregations=specs, image_size=size, parts=["images"], engine=engine,
            precision=precision, store=Store(folder), progress=False,
        )  # fmt: skip


def report_speed(dataset, backbone: Backbone, arguments: argparse.Namespace) -> None:
    size, count = arguments.image_size, len(dataset.images)
    ways: dict[str, Callable[[], object]] = {
        f"{name}, float32": lambda own=own: by_hand(dataset.images, *own, arguments.workers)
        for name, own in users(backbone, size).items()
    }
    deepest, whole = [backbone.default_tap], list(backbone.taps)
    for engine, precision in ENGINES:
        if precision == "bfloat16" and not computes_in_bfloat16():
            continue
        given = (dataset, backbone, engine, precision, size)
        ways[f"cbirlab, {engine}, {precision}"] = lambda given=given: described(*given, deepest, SPECS[2:])
        ways[f"cbirlab, {engine}, {precision}, all taps"] = lambda given=given: described(*given, whole, SPECS)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    first = float(np.median(next(iter(seconds.values()))))
    for name, spent in seconds.items():
        middle = float(np.median(spent))
        print(f"{name:44} {count / middle:8.1f} pictures a second, {first / middle:5.2f} times the first")


def passes(network: Network, pictures: Sequence[np.ndarray]) -> None:
    """To the deepest tap."""
    for picture in pictures:
        network.maps(picture, [list(network.backbone.taps)[-1]])


def report_stages(dataset, backbone: Backbone, arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    size, paths = arguments.image_size, dataset.images[: arguments.stages]

    def spent(work: Callable[[], object]) -> float:
        start = time.process_time()
        work()
        return 1000 * (time.process_time() - start) / len(paths)

    opened = [images.read(path) for path in paths]
    small = [images.pixels(image, image_size=size)[None] for image in opened]
    print(f"read and decode {min(spent(lambda: [images.read(path) for path in paths]) for _ in range(3)):.2f} ms")
    resized = min(spent(lambda: [images.pixels(image, image_size=size) for image in opened]) for _ in range(3))
    print(f"resize {resized:.2f} ms")
    drafts = Resizing("draft")
    drafted = min(spent(lambda: [images.pixels(p, image_size=size, resizing=drafts) for p in paths]) for _ in range(3))
    print(f"read, decode and resize as a draft {drafted:.2f} ms")
    options = {"mean": backbone.mean, "std": backbone.std}
    normal = min(spent(lambda: [images.normalise(one, **options) for one in small]) for _ in range(3))
    print(f"normalise {normal:.2f} ms")
    for engine, precision in ENGINES:
        if precision == "bfloat16" and not computes_in_bfloat16():
            continue
        network = Network(backbone, engine=engine, precision=precision)
        with tempfile.TemporaryDirectory() as folder:
            several = {"taps": list(backbone.taps), "aggregations": SPECS, "image_size": size, "parts": ["images"]}
            planned = plan(Request(dataset, backbone, engine=engine, precision=precision, **several), Store(folder))
            shards = planned.shards[: max(1, len(paths) // 128)]
            done = sum(len(shard.items) for shard in shards)
            for shard in shards:  # every shape has been seen then
                compute(shard, network, Store(Path(folder) / "warm"))
            alone = min(spent(partial(passes, network, small)) for _ in range(3))
            start = time.process_time()
            for shard in shards:
                compute(shard, network, Store(Path(folder) / "timed"))
            whole = 1000 * (time.process_time() - start) / done
        print(f"{engine}, {precision}: pass {alone:.2f} ms, decoding to stored rows {whole:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="toytown")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--weights", default="random")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--stages", type=int, default=128, help="pictures of which the stages are timed")
    parser.add_argument("--workers", type=int, default=2, help="processes of the DataLoader")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["speed", "stages"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    loaded = load_dataset(arguments.dataset)
    nothing = dict.fromkeys(("queries", "labels", "train", "train_instances", "instances"), ())
    dataset = replace(loaded, images=loaded.images[: arguments.pictures], metadata={}, **nothing)
    backbone = load_backbone(arguments.backbone, arguments.weights)
    try:
        Network(backbone, engine="openvino")
    except NotConverted as error:
        parser.error(f"{backbone.name}: {error}")
    print(f"{backbone.name} on {len(dataset.images)} pictures of {loaded.name}, {torch.get_num_threads()} threads")
    if arguments.only != "stages":
        report_speed(dataset, backbone, arguments)
    if arguments.only != "speed":
        report_stages(dataset, backbone, arguments)


if __name__ == "__main__":
    main()
