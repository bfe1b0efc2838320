"""Folders: pictures that look like one from outside, and pictures that stand in a folder more than once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.backbones import load_backbone
from cbirlab.base.params import Range
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.live.query_image import Outside
from cbirlab.pipeline import Bench, Recipe
from cbirlab.pipeline.distractors import refuse
from cbirlab.store import Store

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 2**24
"""Scores that are held at a time."""


def find_pictures(
    recipe: Recipe,
    pictures: Sequence[str | Path],
    *,
    k: int = 20,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> pd.DataFrame:
    """Search the images of a recipe's dataset for pictures from outside.

    The dataset is described once, and its descriptors are kept in the store.

    Parameters
    ----------
    recipe : its dataset is a name or a folder; it needs no ground truth.
    pictures : files.
    k : results for each, of a smaller dataset all.

    Returns
    -------
    A row per result, best first, with the columns "query", "rank" (from 1), "score" and "path".

    Raises
    ------
    ImageError : a picture that cannot be read.
    UnknownName, WeightsError, ValueError : as `cbirlab.run`.
    """
    import pandas as pd

    wanted = int(Range(1, 1 << 20, integer=True).check("find_pictures", "k", k))
    bench, resolved = _bench(recipe, store, device, progress)
    outside = Outside(bench, [tap for _, tap in resolved.taps])
    rows = []
    for picture in pictures:
        found = outside.rank(resolved, picture).top(wanted)
        answers = int(found.answers()[0])
        best = zip(found.images[0, :answers], found.scores[0, :answers], strict=True)
        rows += [
            {"query": str(picture), "rank": rank, "score": float(score), "path": str(bench.dataset.images[image])}
            for rank, (image, score) in enumerate(best, start=1)
        ]
    return pd.DataFrame(rows, columns=["query", "rank", "score", "path"])


def find_duplicates(
    recipe: Recipe,
    threshold: float = 0.95,
    *,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> pd.DataFrame:
    """Group the images of a recipe's dataset that have a cosine of at least `threshold` to another of their group.

    All pairs are compared, by full descriptors, a block of them at a time.

    Parameters
    ----------
    threshold : in [-1, 1]. What it means depends on the descriptor: look at some pairs first.

    Returns
    -------
    A row per image of a group, large groups first, with the columns "group" (from 1), "score" (the largest cosine to
    another image of the group) and "path".

    Raises
    ------
    UnknownName, WeightsError, ValueError : as `cbirlab.run`; a threshold out of range.
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    least = Range(-1, 1).check("find_duplicates", "threshold", threshold)
    bench, resolved = _bench(recipe, store, device, progress)
    rows = bench.pair(resolved)[0].means()
    pairs, best = [], np.full(len(rows), -np.inf)
    there = np.asarray(rows.any(axis=1))
    for start in range(0, len(rows), step := max(1, BLOCK // len(rows))):
        scores = rows[start : start + step] @ rows.T
        near = (scores >= least) & there
        near[np.arange(len(near)), start + np.arange(len(near))] = False
        near[~there[start : start + step]] = False
        pairs.append(np.argwhere(near) + np.array([start, 0]))
        best[start : start + step] = np.where(near, scores, -np.inf).max(axis=1)
    one, other = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(rows), len(rows)))
    label = connected_components(graph, directed=False)[1]
    size = np.bincount(label)[label]
    order = [row for row in np.lexsort((np.arange(len(rows)), label, -size)) if size[row] > 1]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(label[order]), start=1)}
    return pd.DataFrame(
        [
            {"group": numbers[label[row]], "score": float(best[row]), "path": str(bench.dataset.images[row])}
            for row in order
        ],
        columns=["group", "score", "path"],
    )


def _bench(recipe: Recipe, store: Store | None, device: str, progress: bool) -> tuple[Bench, Recipe]:
    """A bench on which everything is described that the recipe needs, and the resolved recipe."""
    refuse("search", recipe)
    dataset: Dataset = load_dataset(recipe.dataset)
    backbone = load_backbone(recipe.backbone, recipe.weights, device)
    resolved = recipe.resolved(dataset, backbone, store)
    bench = Bench(dataset, backbone, resolved, store=store or Store(), progress=progress)
    bench.fill([resolved])
    return bench, resolved
