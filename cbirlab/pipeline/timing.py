"""Timing: milliseconds per query and per image, measured when a table asks for them, for all rows in one run.

Times taken while descriptors were made would also show what else the machine did then, for as long as the store
keeps the descriptors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store import Store

if TYPE_CHECKING:
    from cbirlab.pipeline.bench import Bench

SAMPLE, ROUNDS = 8, 3
"""How many images are described again to time them, and how often; the best round counts."""


def ms_per_image(bench: Bench, recipes: Sequence[Recipe]) -> Mapping[Recipe, float]:
    """Time the description of an image: decoding, the network, and what is made of its maps, for each recipe alone.

    A few images of the database go through the network anew, one pass per recipe. The recipes take turns, so that other
    work on the machine slows all of them alike.

    Parameters
    ----------
    recipes : resolved, of the bench.
    """
    cells = {_described(recipe): recipe for recipe in recipes}
    best: dict[Any, float] = {}
    with tempfile.TemporaryDirectory(prefix="cbirlab-timing-") as scratch:
        sample = _sample(bench.dataset, bench.unreadable("images"))
        bench.describe(sample, next(iter(cells.values())), Store(Path(scratch) / "warm"))
        for turn in range(ROUNDS):
            for number, (name, recipe) in enumerate(cells.items()):
                spent = bench.describe(sample, recipe, Store(Path(scratch) / f"{turn}-{number}"))
                best[name] = min(spent, best.get(name, spent))
    return {recipe: best[_described(recipe)] for recipe in recipes}


def _described(recipe: Recipe) -> tuple[str, str, str]:
    """The fields of recipes of one bench that the description of an image depends on."""
    learned_from = str(recipe.whitening_set) if recipe.aggregation.learns else ""
    return str(recipe.tap), recipe.aggregation, learned_from


def _sample(dataset: Dataset, unreadable: Mapping[int, str]) -> Dataset:
    """Some images from all over the database."""
    readable = [row for row in range(len(dataset.images)) if row not in unreadable]
    chosen = np.linspace(0, len(readable) - 1, min(SAMPLE, len(readable))).round().astype(int)
    nothing: dict[str, Any] = dict.fromkeys(("queries", "labels", "train", "train_instances", "instances"), ())
    return replace(dataset, images=tuple(dataset.images[readable[place]] for place in chosen), metadata={}, **nothing)
