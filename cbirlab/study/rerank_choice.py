"""Choose the settings of re-ranking on the learning set, never on what is judged."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cbirlab.backbones import load_backbone
from cbirlab.base.progress import bar
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.base import Query
from cbirlab.pipeline import Bench, Recipe
from cbirlab.pipeline.learning_sets import learning_part, learning_set
from cbirlab.reranking import RERANKERS, Reranking
from cbirlab.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Chosen:
    """Which settings were chosen, and why.

    Attributes
    ----------
    rerank : the best of those that were tried.
    recipe : the given one with it.
    table : a row for each: "rerank", "map" on the learning set, "difference" from no re-ranking; the best first, of
        equal ones the one that was named first.
    learned_on : the images that asked, in words.
    """

    rerank: Reranking
    recipe: Recipe
    table: pd.DataFrame
    learned_on: str


def settings_to_try(name: str) -> list[Reranking]:
    """The settings of a method that are worth trying: all combinations of the values in its fact `tried`.

    Raises
    ------
    UnknownName : no such method.
    """
    tried = RERANKERS.info(name).facts.get("tried", {})
    return [Reranking(name, dict(zip(tried, values, strict=True))) for values in itertools.product(*tried.values())]


def published_settings(name: str) -> Reranking:
    """A method with the parameters that were published."""
    return Reranking(name, RERANKERS.info(name).facts.get("published", {}))


def choose_reranking(
    recipe: Recipe,
    candidates: Iterable[str],
    *,
    dataset: Dataset | None = None,
    store: Store | None = None,
    progress: bool = True,
) -> Chosen:
    """Find the best of several re-rankings on what the recipe learns on.

    Every image of the learning set asks for the other images of its instance, which are judged by their mAP. The
    queries there are whole images, even where those of the benchmark are cut to a box.

    Parameters
    ----------
    recipe : its own re-ranking does not count.
    candidates : chains, "aqe(k=3)" or "dba > k_reciprocal"; `settings_to_try` gives those of one method.
    dataset : used in place of the one that the recipe names.

    Raises
    ------
    ValueError : no candidate, one that learns, or a learning set without two images of one instance.
    """
    import pandas as pd

    chains = list(dict.fromkeys(Reranking.parse(one) for one in candidates))
    if not chains:
        raise ValueError("choose_reranking: candidates must be at least one, got none; take 'decay(k=5)'.")
    if learners := [chain.key for chain in chains if chain.learns]:
        raise ValueError(
            f"choose_reranking: candidates must learn nothing, got {', '.join(learners)}: these learn on the images "
            "that would choose among them; measure them by compare."
        )
    dataset = dataset or load_dataset(recipe.dataset)
    learning = _asking_itself(dataset, recipe)
    backbone = load_backbone(recipe.backbone, recipe.weights)
    asking = {"dataset": learning.name, "whitening_set": "database", "distractors": 0, "rerank": "none"}
    judging = {"protocol": "retrieval", "average_precision": None, "metrics": ()}
    plain = replace(recipe, **asking, **judging).resolved(learning, backbone, store)
    bench = Bench(learning, backbone, plain, store=store or Store(), progress=progress)
    bench.fill([plain])
    before = bench.run(plain).metrics["map"]
    rows = []
    for chain in bar(chains, desc="tried", unit="setting", show=progress):
        found = bench.run(replace(plain, rerank=chain)).metrics["map"]
        rows.append({"rerank": chain.key, "map": found, "difference": found - before})
    table = pd.DataFrame(rows).sort_values("map", ascending=False, kind="stable", ignore_index=True)
    best = Reranking.parse(table["rerank"].iloc[0])
    words = f"{len(learning.images)} images of {learning.name}"
    return Chosen(best, replace(recipe, rerank=best), table, words)


def _asking_itself(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The learning set of a recipe, whose every image is a query for the others of its instance."""
    owner, part = learning_part(learning_set(recipe.whitening_set, dataset), dataset)
    images, kinds = (owner.train, owner.train_instances) if part == "train" else (owner.images, owner.instances)
    members: dict[str, list[int]] = {}
    for row, kind in enumerate(kinds):
        if kind:
            members.setdefault(kind, []).append(row)
    if not any(len(rows) > 1 for rows in members.values()):
        raise ValueError(
            f"choose_reranking: the learning set of {dataset.name} must have two images of one instance, got "
            f"{len(images)} images of {len(members)} instances; name another whitening_set, such as 'toytown'."
        )
    right = [tuple(other for other in members.get(kind, ()) if other != row) for row, kind in enumerate(kinds)]
    return Dataset(
        name=f"{owner.name}/{part}",
        images=tuple(images),
        queries=tuple(Query(path, index=row) for row, path in enumerate(images)),
        labels=tuple({"positive": rows} for rows in right),
        image_size=dataset.image_size,
        instances=tuple(kinds),
    )
