"""A session without a network: drawn pictures and random descriptors, with the interface of `Session`."""

from __future__ import annotations

import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image, ImageDraw

from cbirlab.base.progress import bar
from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, Evaluation, evaluate
from cbirlab.index import ExactIndex
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store import Store
from cbirlab.whitening import normalise

SCENES, VIEWS = 6, 6


def draw_pictures(folder: Path, *, scenes: int = SCENES, views: int = VIEWS) -> list[Path]:
    """`views` pictures of each of `scenes` towers, the queries last (one per scene)."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for view in range(views + 1):
        for scene in range(scenes):
            sky = tuple(int(value) for value in random.integers(150, 256, 3))
            image = Image.new("RGB", (160, 120), sky)
            wall = tuple(int(value) for value in np.random.default_rng(scene).integers(0, 200, 3))
            left = 20 + int(random.integers(0, 60))
            ImageDraw.Draw(image).rectangle((left, 20 + 5 * scene % 80, left + 50, 118), fill=wall, outline="black")
            paths.append(folder / f"scene{scene}_{'query' if view == views else view}.jpg")
            image.save(paths[-1])
    return paths


def fake_dataset(folder: Path, *, scenes: int = SCENES, views: int = VIEWS) -> Dataset:
    """Towers with easy, hard and junk images per query."""
    paths = draw_pictures(folder, scenes=scenes, views=views)
    images, queries = paths[: scenes * views], paths[scenes * views :]
    labels = tuple(
        {
            "easy": tuple(scene + scenes * view for view in range(views - 3)),
            "hard": tuple(scene + scenes * view for view in range(views - 3, views - 1)),
            "junk": (scene + scenes * (views - 1),),
        }
        for scene in range(scenes)
    )
    return Dataset(
        name="towers",
        images=tuple(images),
        queries=tuple(Query(path, box=(10.0, 10.0, 150.0, 118.0)) for path in queries),
        labels=labels,
        protocol="revisited",
        instances=tuple(f"tower {row % scenes}" for row in range(len(images))),
        image_size=160,
    )


def write_toytown_form(folder: Path, *, scenes: int = SCENES, views: int = VIEWS) -> Path:
    """The same towers on disk in the form of Toytown, with a train split of their own."""
    dataset = fake_dataset(folder / "images", scenes=scenes, views=views)
    draw_pictures(folder / "train", scenes=scenes, views=views)
    names = [path.stem for path in dataset.images]
    truth = {
        "imlist": names,
        "qimlist": [query.path.stem for query in dataset.queries],
        "gnd": [
            {"bbx": query.box} | {name: list(rows) for name, rows in labels.items()}
            for query, labels in zip(dataset.queries, dataset.labels, strict=True)
        ],
    }
    (folder / "gnd_towers.json").write_text(json.dumps(truth))
    rows = [{"name": name, "landmark": row % scenes} for row, name in enumerate(names)]
    (folder / "images.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def with_pairs(dataset: Dataset, seed: int = 0) -> Dataset:
    """The dataset, knowing of made-up changes within each pair."""
    random = np.random.default_rng(seed)
    known = []
    for labels in dataset.labels:
        index = [*labels["easy"], *labels["hard"]]
        known.append(
            {
                "index": index,
                "overlap": random.random(len(index)).tolist(),
                "viewpoint_deg": (90 * random.random(len(index))).tolist(),
                "scale_ratio": (1 + 2 * random.random(len(index))).tolist(),
                "sun_deg": [None if value < 0.3 else 180 * value for value in random.random(len(index))],
                "illumination": random.choice(["sun to sun", "sun to night", "overcast to sun"], len(index)).tolist(),
                "occlusion": (0.8 * random.random(len(index))).tolist(),
            }
        )
    return replace(dataset, metadata={"pairs": known})


class FakeSession:
    """Descriptors are scene vectors in noise; each setting has its own noise, so each has its own ranking."""

    backbone = "toynet"
    weights = "fake"
    taps = ("stem", "layer1", "layer2", "layer3", "layer4")
    default_tap = "layer4"
    methods = ("mac", "spoc", "gem")

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.calls: list[tuple] = []
        self.prepared = False
        self.unready: set[str] = set()
        self.made: list[tuple] = []
        self.steps = 3  # that `make_ready` takes, at `pause` seconds each
        self.pause = 0.0
        self.learners = 0
        self.store, self.device = Store(Path(tempfile.mkdtemp())), "cpu"
        self.common = Recipe(dataset=str(dataset.images[0].parent), whitening_set="database")

    def prepare(self, progress: bool = True) -> None:
        self.prepared = True

    def unreadable(self, part):
        return {}

    def learn_ahead(self) -> None:
        """There is nothing to learn, but who waits for it is counted."""
        self.learners += 1

    def learn_no_more(self) -> None:
        self.learners -= 1

    def ready(
        self, tap: str, aggregation: str, whitening: str = "none", dimensions: int | None = None, stages=()
    ) -> bool:
        """Aggregations in `unready` are as those that a session computes on first use."""
        return aggregation not in self.unready

    def make_ready(self, tap, aggregation, whitening="none", dimensions=None, stages=()):
        self.made.append((tap, aggregation, whitening, dimensions, stages))
        for _ in bar(range(self.steps), desc="towers", unit="image", show=False):
            time.sleep(self.pause)
        self.unready.discard(aggregation)

    def allowed(self, tap: str, aggregation: str) -> bool:
        return True

    def vectors(self, tap, aggregation, whitening="none", dimensions=None, stages=()):
        queries, images = self._descriptors(tap, aggregation, whitening, dimensions)
        return np.concatenate([images, queries]), str((tap, aggregation, whitening, dimensions))

    def dimensions(self, tap: str, aggregation: str = "gem") -> int:
        return {"stem": 16, "layer1": 32}.get(tap, 64)

    def rank(self, tap, aggregation, whitening="none", dimensions=None, stages=()):
        self.calls.append((tap, aggregation, whitening, dimensions))
        queries, images = self._descriptors(tap, aggregation, whitening, dimensions)
        ranking = ExactIndex().fit(images).search(queries) if len(queries) else None
        recipe = self._recipe(tap, aggregation, whitening, dimensions)
        if not self.dataset.labels:  # as of a flat folder
            return SimpleNamespace(
                dataset=self.dataset, ranking=ranking, metrics={}, evaluation=None, recipe=recipe, distractors=0
            )
        if self.dataset.protocol != "revisited":
            found = evaluate(ranking, self.dataset, resamples=50)
            return SimpleNamespace(
                dataset=self.dataset,
                ranking=ranking,
                metrics=found.metrics,
                evaluation=found,
                recipe=recipe,
                distractors=0,
            )
        found = np.asarray(
            [len({*row[:5]} & {*label["easy"]}) for row, label in zip(ranking.images, self.dataset.labels, strict=True)]
        )
        ap = found / 5
        metrics = {}
        for level in ("easy", "medium", "hard"):
            metrics |= {
                f"map_{level}": ap.mean(),
                f"map_{level}_low": ap.mean() * 0.9,
                f"map_{level}_high": ap.mean() * 1.1,
            }
        groups = np.arange(len(ap))
        levels = {"easy": ap, "medium": ap, "hard": ap}
        evaluation = Evaluation(PROTOCOLS["revisited"], metrics, levels, groups)
        return SimpleNamespace(
            dataset=self.dataset, ranking=ranking, metrics=metrics, evaluation=evaluation, recipe=recipe, distractors=0
        )

    def _recipe(self, tap, aggregation, whitening, dimensions):
        return Recipe(
            dataset=str(self.dataset.images[0].parent),
            tap=tap,
            aggregation=aggregation,
            whitening=whitening,
            dimensions=dimensions,
        )

    def rank_query(self, query, tap, aggregation, whitening="none", dimensions=None, stages=()):
        queries, images = self._descriptors(tap, aggregation, whitening, dimensions)
        return ExactIndex().fit(images).search(queries[[query]])

    def rank_image(
        self, image, tap, aggregation, whitening="none", dimensions=None, stages=(), *, box=None, prepared=False
    ):
        """A picture or a part of one has a descriptor of its size and place."""
        _, images = self._descriptors(tap, aggregation, whitening, dimensions)
        if isinstance(image, list):
            return ExactIndex().fit(images).search(normalise(images[image].sum(axis=0, keepdims=True)))
        if isinstance(image, int) and box is None:
            return ExactIndex().fit(images).search(images[[image]])
        self.asked = (image, box)
        random = np.random.default_rng(int(sum(box or (1, 2, 3))))
        return ExactIndex().fit(images).search(random.normal(size=(1, 64)).astype(np.float32))

    def table_row(self, run):
        recipe = run.recipe
        named = {name: getattr(recipe, name) for name in ("backbone", "tap", "aggregation", "whitening")}
        dim = recipe.dimensions or self.dimensions(recipe.tap)
        return named | {"dim": dim} | run.metrics | {"recipe": recipe.to_json()}

    def _descriptors(self, *setting):
        if self.dataset is None:
            raise ValueError("fake session: there is no dataset.")
        random = np.random.default_rng(sum(str(setting).encode()))
        scenes = len(self.dataset.labels) or SCENES
        prototypes = np.random.default_rng(1).normal(size=(scenes, 64))
        rows = [prototypes[row % scenes] for row in range(len(self.dataset.images))]
        images = np.asarray(rows) + random.normal(size=(len(rows), 64)) * 1.5
        asked = prototypes[np.arange(len(self.dataset.queries)) % scenes]
        queries = asked + random.normal(size=asked.shape)
        return tuple((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (queries, images))


def label(widget) -> str:
    """The label of a control as it is read, without the tags that carry its tooltip."""
    return re.sub("<[^>]*>", "", getattr(widget, "description", ""))
