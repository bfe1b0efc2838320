"""Codes judged where they have learned and where they have not: the same instances, other pictures; other instances."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.backbones import load_backbone, usual_backbone
from cbirlab.base.progress import bar, showing
from cbirlab.compression import Compression, learn_code
from cbirlab.compression.base import Code
from cbirlab.compression.binary import BinaryCode
from cbirlab.compression.quality import bit_balance, bit_correlation, quantisation_error
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import PROTOCOLS, evaluate
from cbirlab.fusion.weighing import train_split
from cbirlab.index import ExactIndex, Rows
from cbirlab.index.base import values_of
from cbirlab.index.lists import lists_of
from cbirlab.pipeline import Bench, Recipe
from cbirlab.pipeline.learning_sets import held_for, learning_part, learning_set
from cbirlab.store import Store

if TYPE_CHECKING:
    import pandas as pd

LEARNED, SEEN, UNSEEN = "learned", "seen", "unseen"
NO_SEED = -1
LEARNS = Compression("lsh")  # any code that does: then a bench describes the learning set, and knows what is held out


def seen_and_unseen(
    compressions: Sequence[str | Compression],
    *,
    dataset: str | Path | Dataset = "toytown",
    backbone: str | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3),
    every: int = 3,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    **fields: Any,
) -> pd.DataFrame:
    """Learn codes on part of the learning set, and judge each of them three times.

    One image in three of each instance of the learning set is held out. "learned" is the mean average precision among
    the images that were learned on; "seen" that among the images that were held out, whose instances were learned;
    "unseen" that of the benchmark, whose instances were not, under its protocol. Only the last says what a code is
    worth for instances to come; published tables of supervised hashing mostly show the second.

    Parameters
    ----------
    compressions : methods of `COMPRESSIONS`, with parameters; "none" shows the descriptors themselves.
    seeds : every code that has a seed is learned with each of them.
    every : one image out of so many is held out of each instance, and of the images without an instance.
    device : runs the network.
    fields : other fields of `Recipe`, which decide the descriptors.

    Returns
    -------
    A row per code and seed: "compression" without its seed, "seed" (-1 if it has none), "bytes_per_image"; over the
    database "balance" and "correlation" of bits (NaN for other codes) and "quantisation_error"; "learned", "seen",
    "unseen"; "fit_seconds", of all processors.

    Raises
    ------
    ValueError : the learning set is the database, or of no instance two images are held out; and as `learn_code`.
    """
    import pandas as pd

    loaded = load_dataset(dataset)
    methods = [one for text in compressions for one in _seeded(Compression.parse(text), seeds)]
    learned_on = learning_set(fields.pop("whitening_set", None), loaded)
    backbone = backbone or usual_backbone(loaded.name)
    asked = Recipe(dataset=loaded.name, backbone=backbone, whitening_set=learned_on, compression=LEARNS, **fields)
    network = load_backbone(asked.backbone, asked.weights, device)
    recipe = asked.resolved(loaded, network, store)
    bench = Bench(loaded, network, recipe, store=store or Store(), progress=progress)
    rows, labels, judged = _described(bench, recipe, learned_on, every)
    found = []
    for name, seed, method in bar(methods, desc="codes", unit="code", show=progress):
        start = time.process_time()
        with showing(progress):
            code = learn_code(method, rows, labels)
        seconds = time.process_time() - start
        found.append(
            {"compression": name, "seed": seed, "bytes_per_image": code.row_bytes}
            | _quality(code, judged[UNSEEN].images)
            | {where: one.judge(code) for where, one in judged.items()}
            | {"fit_seconds": seconds}
        )
    return pd.DataFrame(found)


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The means over seeds of the numbers of `seen_and_unseen`, in its order; of mAP also "_low" and "_high"."""
    kept = [name for name in table.columns if name not in ("compression", "seed")]
    named = {name: (name, "mean") for name in kept}
    named |= {f"{where}_low": (where, "min") for where in (LEARNED, SEEN, UNSEEN)}
    named |= {f"{where}_high": (where, "max") for where in (LEARNED, SEEN, UNSEEN)}
    return table.groupby("compression", sort=False).agg(**named, seeds=("seed", "size")).reset_index()


@dataclass(frozen=True, eq=False)
class _Benchmark:
    """Descriptors and right answers.

    Attributes
    ----------
    images, queries : (N, D) and (Q, D), L2-normalised.
    dataset : holds the labels.
    without : (N,) bool, images to take out of the lists, or None.
    protocol, average_precision : as in a recipe.
    """

    images: np.ndarray
    queries: np.ndarray
    dataset: Dataset
    protocol: str
    average_precision: str | None
    without: np.ndarray | None = None

    def judge(self, code: Code) -> float:
        """The headline of the protocol, with images ranked by a code."""
        lists = lists_of(ExactIndex().fit(self.images, code).search(self.queries))
        lists = lists if self.without is None else lists.without(self.without)
        found = evaluate(lists, self.dataset, self.protocol, self.average_precision, resamples=0, remarking=False)
        return found.metrics[PROTOCOLS[self.protocol].headline]


def _described(
    bench: Bench, recipe: Recipe, learned_on: str, every: int
) -> tuple[np.ndarray, np.ndarray, dict[str, _Benchmark]]:
    """Rows to learn on, their labels, and what is judged."""
    owner, part = learning_part(learned_on, bench.dataset)
    if part != "train":
        raise ValueError(f"seen_and_unseen: codes must learn on other images than the database, got {learned_on!r}.")
    rows = _matrix(bench.project(recipe, bench.rows(recipe, learned_on)[0]))
    labels = np.array(owner.train_instances or [""] * len(rows))
    held = held_out(labels, every)
    judged = {}
    for where, chosen in ((LEARNED, ~held), (SEEN, held)):
        some = train_split(_with_train(owner, chosen))
        if not some.queries:
            raise ValueError(
                f"seen_and_unseen: {learned_on!r} must show an instance in two images that are {where}, got none with "
                f"every={every}; choose another, or a learning set (whitening_set) with instances."
            )
        asked = rows[chosen][[int(query.index or 0) for query in some.queries]]
        judged[where] = _Benchmark(rows[chosen], asked, some, some.protocol, recipe.average_precision)
    images, queries = map(_matrix, bench.pair(recipe))
    taken = held_for(learned_on, bench.dataset)
    truth, without = (bench.dataset, None) if taken is None else (taken.judged, taken.rows)
    judged[UNSEEN] = _Benchmark(images, queries, truth, str(recipe.protocol), recipe.average_precision, without)
    return rows[~held], labels[~held], judged


def _with_train(dataset: Dataset, chosen: np.ndarray) -> Dataset:
    """The dataset with some of its train images (n,)."""
    kept = np.flatnonzero(chosen)
    instances = [dataset.train_instances[row] for row in kept] if dataset.train_instances else []
    return replace(dataset, train=tuple(dataset.train[row] for row in kept), train_instances=tuple(instances))


def held_out(labels: np.ndarray, every: int) -> np.ndarray:
    """Mark one row in `every` of each label (n,), the empty one included: the last of each group, in their order."""
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[every - 1 :: every]] = True
    return held


def _seeded(method: Compression, seeds: Sequence[int]) -> list[tuple[str, int, Compression]]:
    """A method without its seed, a seed, and the method with it."""
    given = method.parameters
    if "seed" not in given:
        return [(method.key, NO_SEED, method)]
    bare = Compression(method.name, {name: value for name, value in given.items() if name != "seed"})
    return [(bare.key, seed, Compression(method.name, given | {"seed": seed})) for seed in seeds]


def _quality(code: Code, rows: np.ndarray) -> dict[str, float]:
    bits = isinstance(code, BinaryCode)
    return {
        "balance": bit_balance(code, rows) if bits else math.nan,
        "correlation": bit_correlation(code, rows) if bits else math.nan,
        "quantisation_error": quantisation_error(code, rows),
    }


def _matrix(rows: Rows) -> np.ndarray:
    return np.asarray(values_of("seen_and_unseen", rows))
