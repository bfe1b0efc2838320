"""What Toytown discriminates: one table from chance to ImageNet networks, and what breaks under which change.

    python data/toytown/baselines.py --weights FOLDER > table.md

Networks other than the bundled one are shown where FOLDER holds their weights. Every row is measured by the revisited
protocol (query cropped to its box, junk ignored, trapezoid AP) on the whole benchmark; whitening and codebooks are
learned on the train split; intervals are bootstraps over landmarks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cbirlab import Recipe, compare, load_dataset, run
from cbirlab.datasets.base import Dataset
from cbirlab.evaluation import Evaluation, evaluate, paired_difference
from cbirlab.handcrafted import hsv_histogram, root_sift
from cbirlab.images import read
from cbirlab.index import ExactIndex, Ranking
from cbirlab.study.perturbation import FACTORS, by_factor, pairs
from cbirlab.whitening import learn, whiten

Parts = dict[str, np.ndarray]  # "images", "queries", "train" -> (N, D)


@dataclass(frozen=True)
class Result:
    """One row of the table: what was searched with how many dimensions, and what came out."""

    name: str
    dim: int
    ranking: Ranking
    evaluation: Evaluation


PARTS = ("images", "queries", "train")
POOLINGS = ("mac", "spoc", "gem(p=3)")
SETTINGS = (("", "none", None), (", PCA-whitened", "pca", None), (", PCA-whitened to 64", "pca", 64))
IMAGENET = (
    ("ImageNet ResNet-18 (to layer3)", "resnet18", "resnet18*.pth"),
    ("ImageNet SqueezeNet 1.0", "squeezenet1_0", "squeezenet1_0*.pth"),
    ("ImageNet SqueezeNet 1.1", "squeezenet1_1", "squeezenet1_1*.pth"),
    ("ImageNet MobileNetV2", "mobilenet_v2", "mobilenet_v2*.pth"),
)
BROKEN = ("HSV histogram", "RootSIFT-VLAD64", "toynet, layer4 GeM", "ImageNet MobileNetV2, last GeM")
WORDS = 64


def pictures(dataset: Dataset, part: str) -> Iterator[np.ndarray]:
    """RGB arrays (H, W, 3) of one part; queries are cropped to their box."""
    for entry in getattr(dataset, part):
        path, box = (entry.path, entry.box) if part == "queries" else (entry, None)
        image = read(path)
        yield np.asarray(image.crop(tuple(round(value) for value in box)) if box else image)


def each(dataset: Dataset, describe: Callable[[np.ndarray], np.ndarray]) -> Parts:
    """Apply `describe` (image to vector) to every image of the dataset."""
    return {part: np.stack([describe(image) for image in pictures(dataset, part)]) for part in PARTS}


def chance(dataset: Dataset, seed: int = 0) -> Parts:
    """Random vectors: what a descriptor that knows nothing scores."""
    rng = np.random.default_rng(seed)
    return each(dataset, lambda image: rng.standard_normal(128).astype(np.float32))


def colour_histogram(dataset: Dataset) -> Parts:
    """HSV histogram, 16 x 4 x 4 bins."""
    return each(dataset, hsv_histogram)


def vlad(local: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """VLAD (Jégou et al., CVPR 2010) of (n, D) with centres (K, D): intra-normalised, signed root, L2; (K * D,)."""
    sums = np.zeros_like(centres)
    if len(local):
        nearest = ((centres**2).sum(axis=1) - 2 * local @ centres.T).argmin(axis=1)
        np.add.at(sums, nearest, local - centres[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    flat = np.sign(sums) * np.sqrt(np.abs(sums))
    return (flat / max(float(np.linalg.norm(flat)), 1e-12)).ravel()


def root_sift_vlad(dataset: Dataset, words: int = WORDS) -> Parts:
    """RootSIFT-VLAD; the codebook is learned on the train split."""
    from sklearn.cluster import KMeans

    local = {part: [root_sift(image) for image in pictures(dataset, part)] for part in PARTS}
    sample = np.concatenate(local["train"])
    sample = sample[np.random.default_rng(0).permutation(len(sample))[:60_000]]
    centres = KMeans(words, n_init=1, max_iter=30, random_state=0).fit(sample).cluster_centers_.astype(np.float32)
    return {part: np.stack([vlad(one, centres) for one in rows]).astype(np.float32) for part, rows in local.items()}


HAND_CRAFTED = {"random vectors": chance, "HSV histogram": colour_histogram, "RootSIFT-VLAD64": root_sift_vlad}


def searched(name: str, parts: Parts, dataset: Dataset, whitening: str) -> Result:
    """Search with one set of descriptors, plain or whitened on its train part."""
    fitted = learn(whitening, parts["train"])
    images, queries = whiten(fitted, parts["images"]), whiten(fitted, parts["queries"])
    ranking = ExactIndex().fit(images).search(queries)
    title = name if whitening == "none" else f"{name}, PCA-whitened"
    return Result(title, images.shape[1], ranking, evaluate(ranking, dataset))


def hand_crafted(dataset: Dataset) -> Iterator[Result]:
    """Every hand-crafted row."""
    for name, describe in HAND_CRAFTED.items():
        parts = describe(dataset)
        yield from (searched(name, parts, dataset, whitening) for whitening in ("none", "pca"))


def networks(folder: Path | None) -> Iterator[tuple[str, str, str | None]]:
    """Title, backbone and weights of every network that is at hand."""
    yield "toynet, random weights", "toynet", "random"
    yield "toynet", "toynet", None
    for title, backbone, pattern in IMAGENET:
        for path in sorted(folder.rglob(pattern))[:1] if folder else ():
            yield title, backbone, str(path)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def scores(result: Result) -> list[str]:
    """One row: mAP at the three levels, with the interval of Medium."""
    metrics = result.evaluation.metrics
    easy, medium, hard = (f"{metrics[f'map_{level}']:.3f}" for level in ("easy", "medium", "hard"))
    low, high = (metrics[f"map_medium_{end}"] for end in ("low", "high"))
    return [result.name, str(result.dim), easy, f"{medium} [{low:.3f}, {high:.3f}]", hard]


def difference(result: Result, bar: Result) -> list[str]:
    """Paired difference of Medium mAP to `bar`, with its interval."""
    ours, theirs = result.evaluation.per_query["medium"], bar.evaluation.per_query["medium"]
    mean, low, high = paired_difference(ours, theirs, bar.evaluation.groups)
    return [result.name, f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"]


def factors(results: Sequence[Result], dataset: Dataset) -> str:
    """Mean AUC of the pairs in each bin of each factor: where a descriptor breaks; factors are not independent."""
    frames = {result.name: pairs(result.ranking, dataset) for result in results}
    rows = []
    for factor in FACTORS:
        for title, found in by_factor(frames, factor, resamples=1).groupby("bin", sort=False):
            rows.append([factor, str(title), str(found["pairs"].iloc[0]), *(f"{auc:.3f}" for auc in found["auc"])])
    return table(["factor", "bin", "pairs", *frames], rows)


def grid(frame) -> str:
    """Medium mAP of one network, taps down, aggregations across, plain > whitened."""
    cells = frame.pivot_table(index="tap", columns=["aggregation", "whitening"], values="map_medium", sort=False)
    poolings = list(dict.fromkeys(frame["aggregation"]))
    rows = [[tap, *(f"{row[p]['none']:.3f} > {row[p]['pca']:.3f}" for p in poolings)] for tap, row in cells.iterrows()]
    return table(["tap", *poolings], rows)


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder with weights of ImageNet networks, searched recursively")
    parser.add_argument("--dataset", default="toytown", help="name or folder")
    options = parser.parse_args()
    dataset = load_dataset(options.dataset)
    results = {result.name: result for result in hand_crafted(dataset)}
    grids = {}
    for title, backbone, weights in networks(options.weights):
        grids[title] = compare(dataset, backbones=backbone, weights=weights, taps="all", aggregations=POOLINGS)
        tap = grids[title].query("aggregation == 'gem(p=3)'")["tap"].iloc[-1]  # the deepest map
        recipe = Recipe(dataset=dataset.name, backbone=backbone, weights=weights, tap=tap, aggregation="gem(p=3)")
        for ending, whitening, dimensions in SETTINGS:
            found = run(replace(recipe, whitening=whitening, dimensions=dimensions), dataset=dataset)
            name = f"{title}, {recipe.tap} GeM{ending}"
            results[name] = Result(name, found.dim, found.ranking, found.evaluation)
    header = ["method", "dim", "Easy", "Medium [95 % interval]", "Hard"]
    print(table(header, (scores(result) for result in results.values())))
    bar = results["RootSIFT-VLAD64"]
    print("\nMedium mAP less that of RootSIFT-VLAD64 (95 % interval, paired bootstrap over landmarks):\n")
    print(table(["method", "difference"], (difference(result, bar) for result in results.values())))
    for title, frame in grids.items():
        print(f"\n{title}: Medium mAP, plain > PCA-whitened\n\n{grid(frame)}")
    shown = [result for name, result in results.items() if name in BROKEN]
    print(f"\nPairs ranked before negatives (AUC), by what changed\n\n{factors(shown, dataset)}")


if __name__ == "__main__":
    main()
