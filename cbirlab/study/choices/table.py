"""The table of `cbirlab why`: one row per choice changed alone, with the paired interval of the change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.backbones import Backbone, load_backbone
from cbirlab.backbones.weights import WeightsError
from cbirlab.base.params import Choice
from cbirlab.base.progress import bar
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import PROTOCOLS, Protocol, evaluate, paired_difference, query_groups, randomisation_p
from cbirlab.evaluation.comparing import resample_pooled
from cbirlab.evaluation.intervals import percentiles
from cbirlab.index import Ranking
from cbirlab.index.lists import Lists, lists_of
from cbirlab.pipeline import Bench, Recipe
from cbirlab.pipeline.distractors import refuse
from cbirlab.pipeline.learning_sets import held_for
from cbirlab.store import Store
from cbirlab.study.choices.base import Alternative
from cbirlab.study.choices.judging import Judging, Measured, measured_by
from cbirlab.study.choices.judgings import judgings
from cbirlab.study.choices.recipes import reruns

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.datasets.base import HeldOut

OF_RECIPES = ("crop", "resize", "interpolation", "antialias", "scales", "numerics", "weights", "whitening_set")
OF_JUDGING = ("junk", "own_image", "level", "average_precision", "results", "precision")
CHOICES = Choice(OF_RECIPES + OF_JUDGING)


def differences(
    recipe: Recipe,
    *,
    choices: Sequence[str] | None = None,
    level: str | None = None,
    dataset: Dataset | None = None,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> pd.DataFrame:
    """Why numbers differ: every choice of a recipe and of its judging changed alone.

    Parameters
    ----------
    choices : some of `CHOICES`; by default all. Those marked in the column "forward_pass" cost one pass of every
        picture (of the queries alone for "crop") the first time.
    level : a level of the protocol; "medium" by default if it has several.
    dataset : used in place of the one that the recipe names, if it is loaded already.
    store : keeps the descriptors.
    device : runs the network.
    progress : show bars.

    Returns
    -------
    One row per alternative: "choice", "from", "to"; "metric"; its value "before" and after ("value"); "change" with the
    bounds "change_low" and "change_high" of its 95 % interval and "change_p" of the randomisation test, paired over the
    "queries" that count both times and drawn by instance; "forward_pass"; "note"; and "recipe", if another ranking is
    judged. A choice that does not apply has a row without numbers, and the note says why.

    Raises
    ------
    ValueError : no such choice or level, a dataset without ground truth; and as `cbirlab.run`.
    """
    refuse("differences", recipe)
    wanted = _chosen(choices)
    store = store or Store()
    dataset = dataset or load_dataset(recipe.dataset)
    backbone = load_backbone(recipe.backbone, recipe.weights, device)
    recipe = recipe.resolved(dataset, backbone, store)
    protocol = PROTOCOLS[str(recipe.protocol)].with_average_precision(str(recipe.average_precision))
    usual, held = _usual(dataset, protocol, level), held_for(recipe.whitening_set, dataset)
    computed = _Computed(dataset, backbone, recipe.weights, held, store=store, progress=progress)
    lists = computed.lists(recipe)[0]
    truth = dataset if held is None else held.judged
    found = [*reruns(recipe, dataset, store), *judgings(usual, truth, protocol, lists.shape[1])]
    chosen = [one for one in found if one.choice in wanted]
    known = _known(chosen, usual, lists, truth)
    todo = bar(chosen, desc="choices", unit="choice", show=progress)
    return _frame([_row(one, usual, known, truth, computed.lists) for one in todo])


def ranking_differences(
    ranking: Ranking | Lists,
    dataset: Dataset,
    *,
    protocol: str | Protocol | None = None,
    average_precision: str | None = None,
    choices: Sequence[str] | None = None,
    level: str | None = None,
) -> pd.DataFrame:
    """Do what `differences` does for a ranking from anywhere: only the choices of the judging.

    Parameters
    ----------
    ranking : ranks all queries of `dataset`, in their order; may be cut off at K results.
    protocol, average_precision : as in `cbirlab.evaluate`.

    Raises
    ------
    ValueError : as `cbirlab.evaluate`, or no such choice or level.
    """
    wanted = _chosen(choices)
    found = PROTOCOLS[protocol or dataset.protocol] if not isinstance(protocol, Protocol) else protocol
    found = found.with_average_precision(average_precision or found.average_precision)
    usual = _usual(dataset, found, level)
    evaluate(ranking, dataset, found, resamples=0)  # refuses a ranking that is not of this dataset
    lists = lists_of(ranking)
    chosen = [one for one in judgings(usual, dataset, found, lists.shape[1]) if one.choice in wanted]
    known = _known(chosen, usual, lists, dataset)
    return _frame([_row(one, usual, known, dataset) for one in chosen])


def _chosen(choices: Sequence[str] | None) -> tuple[str, ...]:
    return (
        CHOICES.options if choices is None else tuple(CHOICES.check("differences", "choices", one) for one in choices)
    )


def _usual(dataset: Dataset, protocol: Protocol, level: str | None) -> Judging:
    if not dataset.labels:
        raise ValueError(
            f"differences: dataset {dataset.name!r} has no ground truth, so its rankings have no metrics to compare."
        )
    return Judging.of(protocol, level)


class _Computed:
    """Carries out recipes; keeps the network of the first for the others, and never judges held-out images."""

    def __init__(
        self, dataset: Dataset, backbone: Backbone, weights: str | None, held: HeldOut | None, **options: Any
    ) -> None:
        self.dataset, self.backbone, self.weights, self.held = dataset, backbone, weights, held
        self.options = options

    def lists(self, recipe: Recipe) -> tuple[Lists, str]:
        """The lists of a recipe, and its leak."""
        backbone = self.backbone
        if recipe.weights != self.weights:
            backbone = load_backbone(recipe.backbone, recipe.weights, str(backbone.device))
        asked, recipe = recipe.engine, recipe.resolved(self.dataset, backbone, self.options["store"])
        if recipe.engine != asked:
            raise ValueError(f"{asked} does not carry out the passes of {backbone.name} here")
        bench = Bench(self.dataset, backbone, recipe, **self.options)
        bench.fill([recipe])
        run = bench.run(recipe)
        lists = lists_of(run.ranking)
        return lists if self.held is None else lists.without(self.held.rows), run.leak


def _known(chosen: Sequence[Alternative], usual: Judging, lists: Lists, dataset: Dataset) -> dict[Judging, Measured]:
    """Judge the lists in all ways that the alternatives need."""
    return measured_by({usual, *(judging for one in chosen for judging in one.judging or ())}, lists, dataset)


def _row(
    one: Alternative,
    usual: Judging,
    known: Mapping[Judging, Measured],
    dataset: Dataset,
    rerun: Callable[[Recipe], tuple[Lists, str]] | None = None,
) -> dict[str, Any]:
    before, after = one.judging or (usual, usual)
    found, note = (None, one.note) if one.note else (known[after], "")
    if one.recipe is not None and rerun is not None:
        try:
            other, note = rerun(one.recipe)
        except (ValueError, WeightsError) as error:  # this combination does not exist
            found, note = None, str(error)
        else:
            found = measured_by([after], other, dataset)[after]
    return {
        "choice": one.choice,
        "from": one.was,
        "to": one.to,
        "metric": (one.metric or before.metric) + usual.level.suffix,
        **_numbers(known[before], found, query_groups(dataset)),
        "forward_pass": one.forward_pass,
        "note": note,
        "recipe": one.recipe.to_json() if one.recipe is not None and found is not None else "",
    }


def _numbers(first: Measured, other: Measured | None, groups: np.ndarray) -> dict[str, Any]:
    """Means over the queries that count both times, and the paired interval of their difference."""
    before = first.values
    if other is None:
        known = before[~np.isnan(before)]
        start = float(known.mean()) if len(known) else math.nan
        return {
            "before": start,
            **dict.fromkeys(("value", "change", "change_low", "change_high", "change_p"), math.nan),
            "queries": 0,
        }
    after = other.values
    both = ~np.isnan(before) & ~np.isnan(after)
    means = [float(values[both].mean()) if both.any() else math.nan for values in (before, after)]
    if first.judged is not None and other.judged is not None:
        draws = resample_pooled(other.judged, groups) - resample_pooled(first.judged, groups)
        change, p = percentiles(means[1] - means[0], draws, 0.95), math.nan
    else:
        change = paired_difference(after, before, groups=groups)
        p = randomisation_p(after, before, groups)
    named = {"before": means[0], "value": means[1], "change": change.mean}
    bounds = {"change_low": change.low, "change_high": change.high, "change_p": p}
    return {**named, **bounds, "queries": int(both.sum())}


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
