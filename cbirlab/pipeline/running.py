"""Running: turn a recipe into a run, and a run into a row of a table."""

from __future__ import annotations

import math
from typing import Any

from cbirlab.backbones import load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import PROTOCOLS, Evaluation
from cbirlab.pipeline.added import STAGES
from cbirlab.pipeline.bench import Bench
from cbirlab.pipeline.fitting import find_clipped, warn_of_clipped
from cbirlab.pipeline.recipe import Recipe
from cbirlab.pipeline.result import Clock, Run, count_left_out
from cbirlab.pipeline.search import RECALL_AT
from cbirlab.pipeline.timing import ms_per_image
from cbirlab.store import Store

EXACT_RECALL = f"recall@{RECALL_AT}"
"""Column of a table: how much of the exact list of the same descriptors a search finds. Beside the metric of that name,
which counts right answers, it is called "exact_recall@10"."""


def run(
    recipe: Recipe,
    *,
    dataset: Dataset | None = None,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    time_images: bool = False,
) -> Run:
    """Carry out a recipe.

    Parameters
    ----------
    dataset : used in place of the one that the recipe names, if it is loaded already.
    store : keeps the descriptors.
    device : runs the network.
    progress : show a bar when extraction takes more than a second.
    time_images : describe a few images again, to measure the milliseconds per image.

    Raises
    ------
    UnknownName, WeightsError, ValueError : as loading, extraction, whitening and evaluation do.
    """
    clock = Clock()
    with clock("load"):
        dataset = dataset or load_dataset(recipe.dataset)
        backbone = load_backbone(recipe.backbone, recipe.weights, device)
        recipe = recipe.resolved(dataset, backbone, store)
    warn_of_clipped([find_clipped(backbone, recipe.taps, recipe.aggregation)], stacklevel=3)
    bench = Bench(dataset, backbone, recipe, store=store or Store(), progress=progress)
    with clock("extract"):
        bench.fill([recipe])
    found = bench.run(recipe, clock)
    return bench.timed(found, ms_per_image(bench, [recipe])[recipe] if time_images else math.nan)


def select_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The metrics that a row shows: one precision at k, one interval, and any that were added to the protocol's."""
    protocol, metrics = evaluation.protocol, evaluation.metrics
    usual = PROTOCOLS[protocol.name].metrics if protocol.name in PROTOCOLS else protocol.metrics
    asked = [one + level.suffix for level in protocol.levels for one in protocol.metrics if one not in usual]
    kept = f"mp@10{protocol.level().suffix}"
    shown = [name for name in metrics if not name.startswith("mp@") and not name.endswith(("_low", "_high"))]
    shown += [f"{protocol.headline}_low", f"{protocol.headline}_high", kept, *asked]
    return {name: metrics[name] for name in shown if name in metrics}


def table_row(result: Run) -> dict[str, Any]:
    """One row of a table: what was done, what came out, what it costs, and the recipe to do it again.

    "ms_per_query" is the best of "best_of" searches; "ms_per_image" is there if it was asked for.
    """
    recipe = result.recipe
    times = {} if math.isnan(result.extract_ms) else {"ms_per_image": result.extract_ms}
    return {
        "dataset": result.dataset.name,
        "backbone": recipe.backbone,
        "weights": result.weights,
        **{name: str(getattr(recipe, name)) for name in ("tap", "aggregation", "passes", "whitening")},
        "whitening_set": recipe.whitening_set or "",
        **{name: str(getattr(recipe, name)) for name in ("compression", "index")},
        "rescore": recipe.rescore,
        "rerank": recipe.rerank.key,
        "distractors": recipe.distractors,
        **{name: str(getattr(recipe, name)) for name in STAGES},
        "dim": result.dim,
        "image_size": recipe.image_size,
        "preprocessing": f"{recipe.crop}, {recipe.resizing}",
        "numerics": f"{recipe.engine}, {recipe.precision}",
        **(select_metrics(result.evaluation) if result.evaluation else {}),
        "forward_passes": result.forward_passes,
        **times,
        "build_seconds": round(result.build_seconds, 3),
        "ms_per_query": result.ms_per_query,
        "rerank_ms": 1000 * result.seconds.get("rerank", 0.0) / max(1, len(result.ranking)),
        "prepare_seconds": round(result.seconds.get("prepare", 0.0), 3),
        "best_of": 1 + len(result.searches),
        "bytes_per_image": result.bytes_per_image,
        EXACT_RECALL if EXACT_RECALL not in result.metrics else f"exact_{EXACT_RECALL}": result.recall,
        "leak": result.leak,
        **count_left_out(result),
        "recipe": recipe.to_json(),
    }
