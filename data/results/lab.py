"""What the tables of `choices.py` are made with: networks at hand, folders of photographs, Markdown."""

from __future__ import annotations

import csv
import math
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from cbirlab import Dataset, Recipe, compare, evaluate, load_backbone, run
from cbirlab.aggregation import Aggregation
from cbirlab.datasets.base import HeldOut, Query
from cbirlab.evaluation import paired_difference
from cbirlab.extract import extract
from cbirlab.index.lists import without
from cbirlab.passes import Passes
from cbirlab.pipeline import Run
from cbirlab.store import Store

IMAGENET = (
    ("MobileNetV2", "mobilenet_v2", "mobilenet_v2*.pth"),
    ("DeiT-Tiny", "deit_tiny", "deit_tiny*.pth"),
    ("ResNet-18 (to layer3)", "resnet18", "resnet18*.pth"),
)
OTHERS = (
    ("SqueezeNet 1.0", "squeezenet1_0", "squeezenet1_0*.pth"),
    ("SqueezeNet 1.1", "squeezenet1_1", "squeezenet1_1*.pth"),
)
LEVELS = {"map_easy": "Easy", "map_medium": "Medium", "map_hard": "Hard", "map": "mAP"}
COSTS = {"forward_passes": "passes", "processor_ms": "processor ms"}
TIMED = 24  # images
LONG_SIDE = 256  # of photographs
RENDERED = "toytown"
"""What is learned on for photographs, but in the table that asks for better."""


@dataclass(frozen=True)
class Network:
    """A network, or the hand-crafted descriptors: what tables call it, its backbone, its weights."""

    title: str
    backbone: str
    weights: str | None = None

    def taps(self, *kinds: str) -> list[str]:
        """Taps of these kinds that the weights serve, shallow to deep."""
        return [tap for tap, entry in load_backbone(self.backbone, self.weights).taps.items() if entry.kind in kinds]

    def image_taps(self) -> list[str]:
        """What stands for an image: the default tap, and a transformer's class token."""
        loaded = load_backbone(self.backbone, self.weights)
        return [loaded.default_tap, *({"class_token"} & {*loaded.taps})]


TOYNET = Network("toynet", "toynet")
RANDOM = Network("toynet, random weights", "toynet", "random")
LITE = Network("EfficientNet-Lite0", "efficientnet_lite0")  # its weights come with cbirlab
HAND_CRAFTED = Network("hand-crafted", "handcrafted")


@dataclass(frozen=True)
class Lab:
    """A benchmark and everything that is tried on it.

    Attributes
    ----------
    dataset : what is searched.
    networks : those besides the bundled one.
    others : more networks, for the table of all of them.
    photographs : more benchmarks.
    store : where descriptors are kept.
    """

    dataset: Dataset
    networks: tuple[Network, ...] = ()
    photographs: tuple[Dataset, ...] = ()
    store: Store = field(default_factory=Store)
    others: tuple[Network, ...] = ()

    def compare(self, network: Network, **grid: Any) -> pd.DataFrame:
        """`cbirlab.compare` of one network, with the network's title in the column "network"."""
        return compare(self.dataset, **{**self.asked(network), **grid}).assign(network=network.title)

    def asked(self, network: Network) -> dict[str, Any]:
        """What all comparisons of one network share."""
        options = {"backbones": network.backbone, "weights": network.weights, "store": self.store, "progress": False}
        return options if self.dataset.train else {**options, "whitening_set": RENDERED}

    def run(self, row: Any) -> Any:
        """The run behind a row of `compare`."""
        return self.carry_out(Recipe.from_json(row["recipe"]))

    def carry_out(self, recipe: Recipe) -> Run:
        """The run of a recipe on the benchmark."""
        return run(recipe, dataset=self.dataset, store=self.store, progress=False)

    def processor_ms(self, row: Any) -> float:
        """Processor time per image, decoding included, to describe some images as a row does, the faster of two times.

        NaN for what has to learn first. The clock on the wall would tell what else the machine was doing.
        """
        recipe = Recipe.from_json(row["recipe"])
        spec = Aggregation.parse(recipe.aggregation)
        if spec.learns:
            return math.nan
        options = {name: getattr(recipe, name) for name in ("image_size", "scales", "scale_pooling")}
        few = Dataset(name="some", images=self.dataset.images[:TIMED])
        backbone = load_backbone(recipe.backbone, recipe.weights)
        found = []
        for _ in range(2):
            with TemporaryDirectory() as folder:
                options |= {"passes": Passes.parse(recipe.passes), "store": Store(folder), "progress": False}
                start = time.process_time()
                extract(few, backbone, taps=[str(recipe.tap)], aggregations=[spec], parts=["images"], **options)
                found.append(1000 * (time.process_time() - start) / len(few.images))
        return min(found)

    def timed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows with their processor time; those that differ in whitening alone share it."""
        same = ["backbone", "weights", "tap", "aggregation", "passes"]
        same = frame[same].apply(tuple, axis=1) + frame["recipe"].map(_scales)
        first = {key: frame.index[same == key][0] for key in same.unique()}
        times = {key: self.processor_ms(frame.loc[place]) for key, place in first.items()}
        return frame.assign(processor_ms=[times[key] for key in same])


def _scales(recipe: str) -> tuple[Any, ...]:
    found = Recipe.from_json(recipe)
    return (found.scales, found.scale_pooling)


def networks(folder: Path | None, known: Sequence[tuple[str, str, str]] = IMAGENET) -> tuple[Network, ...]:
    """Those of the `known` networks whose weights lie in `folder` or below it."""
    found = [(title, backbone, sorted(folder.rglob(pattern))[:1]) for title, backbone, pattern in known if folder]
    return tuple(Network(title, backbone, str(path)) for title, backbone, paths in found for path in paths)


def photographs(folder: Path | None) -> tuple[Dataset, ...]:
    """The benchmarks with a `groundtruth.csv` of categories or instances in the sub-folders of `folder`."""
    tables = sorted(folder.glob("*/groundtruth.csv")) if folder else []
    return tuple(photograph_benchmark(table.parent) for table in tables)


def photograph_benchmark(folder: Path) -> Dataset:
    """A folder with `groundtruth.csv`: "path", and "instance" and "role" (the database, or a query), or "category".

    Without roles every image is searched for with every other one; images of a query's instance or category are right.
    """
    with (folder / "groundtruth.csv").open(encoding="utf-8", newline="") as file:
        rows = [{**row, "shows": row.get("instance") or row["category"]} for row in csv.DictReader(file)]
    database = [row for row in rows if row.get("role", "database") == "database"]
    asked = [row for row in rows if row.get("role", "database") != "database"]
    own = [None] * len(asked) if asked else range(len(database))
    asked = asked or database
    places = {shown: [n for n, row in enumerate(database) if row["shows"] == shown] for shown in {*_shown(database)}}
    return Dataset(
        name=folder.name,
        images=tuple(folder / row["path"] for row in database),
        queries=tuple(Query(folder / row["path"], index=index) for row, index in zip(asked, own, strict=True)),
        labels=tuple(
            {"positive": tuple(place for place in places[row["shows"]] if place != index)}
            for row, index in zip(asked, own, strict=True)
        ),
        image_size=LONG_SIDE,
        instances=tuple(_shown(database)),
    )


def _shown(rows: Iterable[dict[str, str]]) -> list[str]:
    return [row["shows"] for row in rows]


def drawn(dataset: Dataset, count: int, seed: int) -> Dataset:
    """The dataset with the images and queries of so many of its instances, drawn at random."""
    kept = {*random.Random(seed).sample(sorted({*dataset.instances}), count)}
    rows = [row for row, shown in enumerate(dataset.instances) if shown in kept]
    places = {row: place for place, row in enumerate(rows)}
    asked = [
        (query, tuple(places[row] for row in labels["positive"] if row in places))
        for query, labels in zip(dataset.queries, dataset.labels, strict=True)
    ]
    asked = [(query, answers) for query, answers in asked if answers]
    return replace(
        dataset,
        images=tuple(dataset.images[row] for row in rows),
        instances=tuple(dataset.instances[row] for row in rows),
        queries=tuple(replace(query, index=places.get(query.index)) for query, _ in asked),
        labels=tuple({"positive": answers} for _, answers in asked),
    )


def on_the_other_half(run: Any, held: HeldOut) -> float:
    """mAP of a run on what is judged where the rest is learned on; what is held out is taken from its lists."""
    return evaluate(without(run.ranking, held.rows), held.judged, resamples=0).metrics["map"]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def listing(frame: pd.DataFrame, names: Sequence[str], extra: Sequence[str] = (), *, costs: bool = False) -> str:
    """Every row of a comparison: its `names`, dimensions, mAP at each level, costs, and `extra` columns of text."""
    levels = [level for level in LEVELS if level in frame]
    counted = [name for name in COSTS if costs and name in frame]
    header = [*names, "dim", *(LEVELS[one] + " [95 % interval]" * (one == main_level(frame)) for one in levels)]
    rows = [
        [
            *(str(row[name]) for name in names),
            str(row["dim"]),
            *(score(row, level) for level in levels),
            *(f"{row[name]:.1f}" if row[name] == row[name] else "" for name in counted),
            *(row[name] for name in extra),
        ]
        for _, row in frame.iterrows()
    ]
    return markdown([*header, *(COSTS[name] for name in counted), *extra], rows)


def summary(frame: pd.DataFrame, down: Sequence[str], across: Sequence[str], value: Any = None) -> str:
    """mAP at the level that counts, `down` the rows and `across` the columns; or another `value` (row to text)."""
    level = main_level(frame)
    value = value or (lambda row: f"{row[level]:.3f}")
    keyed = [(tuple(row[list(down)]), ", ".join(filter(None, row[list(across)])), row) for _, row in frame.iterrows()]
    columns = list(dict.fromkeys(column for _, column, _ in keyed))
    cells = {(key, column): value(row) for key, column, row in keyed}
    keys = dict.fromkeys(key for key, _, _ in keyed)
    body = [[*map(str, key), *(cells.get((key, column), "") for column in columns)] for key in keys]
    return markdown([*down, *columns], body)


def main_level(frame: pd.DataFrame) -> str:
    """The column that counts: Medium of the revisited protocol, else mAP."""
    return "map_medium" if "map_medium" in frame else "map"


def level_of(found: Run) -> float:
    """What counts of a run."""
    return found.metrics["map_medium" if "map_medium" in found.metrics else "map"]


def score(row: Any, level: str) -> str:
    """A number, with its interval where there is one."""
    if f"{level}_low" not in row:
        return f"{row[level]:.3f}"
    return f"{row[level]:.3f} [{row[f'{level}_low']:.3f}, {row[f'{level}_high']:.3f}]"


def difference(run: Any, bar: Any) -> str:
    """Paired difference of two runs at the level that counts, with its interval over instances."""
    level = "medium" if "medium" in run.evaluation.per_query else "map"
    ours, theirs = (one.evaluation.per_query[level] for one in (run, bar))
    mean, low, high = paired_difference(ours, theirs, bar.evaluation.groups)
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
