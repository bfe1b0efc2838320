"""Choose on the validation set: mAP of every tap x pooling x whitening of some weights, beside RootSIFT-VLAD.

    python data/toynet/evaluate_val.py --val FOLDER --train FOLDER --weights RUN/toynet.safetensors [...]

The validation set (``python data/toytown/make.py val``) has landmarks of its own, so that nothing is chosen on Toytown.
Whitening and the codebook are learned on the pictures of --train.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from cbirlab import load_dataset
from cbirlab.aggregation import Aggregation
from cbirlab.backbones.networks.toynet import MEAN, STD, ToyNet, load_weights
from cbirlab.datasets.base import Dataset
from cbirlab.images import prepare

sys.path.append(str(Path(__file__).resolve().parent.parent / "toytown"))

from baselines import Parts, root_sift_vlad, searched


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, a row at a time."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    dataset = replace(load_dataset(str(options.val)), train=tuple(sorted(options.train.glob("*.jpg"))))
    print(f"{len(dataset.queries)} queries, {len(dataset.images)} images, {len(dataset.train)} to learn whitening from")
    print("| method | size | tap | pooling | whitening | easy | medium | hard |\n|---|---|---|---|---|---|---|---|")
    if options.sift:
        report(("RootSIFT-VLAD64", "320", "", ""), root_sift_vlad(dataset), dataset)
    for name, network in networks(options):
        for size in options.size:
            found = descriptors(dataset, network, [Aggregation.parse(one) for one in options.pooling], size)
            for (tap, pooling), parts in found.items():
                report((name, str(size), tap, pooling), parts, dataset)
    return 0


def networks(options: argparse.Namespace) -> Iterable[tuple[str, ToyNet]]:
    """Each network that is asked for, after its name."""
    for path in options.weights:
        yield path.parent.name, load_weights(path)
    if options.random:
        torch.manual_seed(0)
        yield "random", calibrate(ToyNet(), options)


def calibrate(network: ToyNet, options: argparse.Namespace) -> ToyNet:
    """Give a random network the batch statistics of real pictures: without them its deep maps are nearly constant."""
    paths = sorted(options.train.glob("*.jpg"))[:128]
    tensors = (prepare(path, image_size=224, mean=MEAN, std=STD)[None] for path in paths)
    images = torch.cat([functional.interpolate(one, (160, 160), mode="bilinear") for one in tensors])
    network.train()
    with torch.inference_mode():
        for _ in range(30):
            network.features(images[torch.randperm(len(images))[:32]])
    return network.eval()


def descriptors(
    dataset: Dataset, network: ToyNet, poolings: Sequence[Aggregation], size: int
) -> dict[tuple[str, str], Parts]:
    """Descriptors of all parts by tap and pooling; one forward pass per picture."""
    found: dict[tuple[str, str], dict[str, list[np.ndarray]]] = {}
    entries = [("images", path, None) for path in dataset.images]
    entries += [("queries", query.path, query.box) for query in dataset.queries]
    entries += [("train", path, None) for path in dataset.train]
    for part, path, box in tqdm(entries, f"{size} px", disable=not sys.stderr.isatty()):
        image = prepare(path, image_size=size, box=box, mean=MEAN, std=STD)[None]
        with torch.inference_mode():
            for tap, maps in network.features(image.contiguous(memory_format=torch.channels_last)).items():
                for pooling in poolings:
                    rows = found.setdefault((tap, pooling.key), {}).setdefault(part, [])
                    rows.append(pooling.apply(maps)[0].numpy())
    return {setting: {part: np.stack(rows) for part, rows in parts.items()} for setting, parts in found.items()}


def report(labels: tuple[str, ...], parts: Parts, dataset: Dataset) -> None:
    """Print one row without and one with PCA-whitening."""
    for whitening in ("none", "pca"):
        numbers = searched(labels[0], parts, dataset, whitening).evaluation.metrics
        levels = (f"{numbers[f'map_{level}']:.3f}" for level in ("easy", "medium", "hard"))
        print("|", " | ".join([*labels, whitening, *levels]), "|", flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--val", type=Path, required=True, help="folder of the validation set")
    made.add_argument("--train", type=Path, required=True, help="folder of .jpg files to learn whitening from")
    made.add_argument("--weights", type=Path, nargs="*", default=[], help="toynet.safetensors of one or more runs")
    made.add_argument("--random", action="store_true", help="rows of a random network, as a floor")
    made.add_argument("--sift", action=argparse.BooleanOptionalAction, default=True, help="rows of RootSIFT-VLAD")
    made.add_argument("--size", type=int, nargs="+", default=[320], help="long sides in pixels (320)")
    made.add_argument("--pooling", nargs="+", default=["spoc", "gem(p=3)"], help="poolings (spoc, gem(p=3))")
    made.add_argument("--threads", type=int, default=1)
    return made


if __name__ == "__main__":
    raise SystemExit(main())
