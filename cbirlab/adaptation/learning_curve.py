"""Learning curve: what a few labels bring, and how much of it is owed to the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.adaptation.known import PICTURES, control_of
from cbirlab.adaptation.labelling import Labels
from cbirlab.adaptation.matrix import own_half
from cbirlab.adaptation.running import train
from cbirlab.base.params import Range
from cbirlab.base.progress import bar, showing
from cbirlab.datasets import Dataset, load_named
from cbirlab.datasets.base import HELD_OUT
from cbirlab.evaluation.intervals import paired_difference
from cbirlab.evaluation.metrics import POOLED
from cbirlab.pipeline import Recipe, Run, run
from cbirlab.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.adaptation.training import Training
    from cbirlab.evaluation import Evaluation

COUNTS = (20, 40, 80, 160, 320)
NONE, HALF = "none", "pca(power=0.25)"
TRUE, CONTROL = "given", "shuffled"

_SEED = Range(0, 2**31 - 1, integer=True)


def label_curve(
    training: Training,
    dataset: str | Path | Dataset,
    *,
    counts: Sequence[int] = COUNTS,
    seeds: Sequence[int] = (0, 1, 2),
    store: Store | None = None,
    progress: bool = True,
    **fields: Any,
) -> pd.DataFrame:
    """What a training gains on a dataset if only so many pictures have labels.

    Each point is a plain `train` of ``labels="given(pictures=count)"``, and of the same labels dealt out anew. Nothing
    is learned from any other label, nor is the step chosen by one. Whole instances are labelled, in an order that the
    seed decides, so that of one seed the labels of a larger count hold those of a smaller one.

    Parameters
    ----------
    training : all but `labels` and `seed`.
    dataset : judges; it must have ground truth, and hold nothing that is learned on.
    counts : of labelled pictures, at most so many; all labels are used where there are fewer.
    seeds : of instances and batches; values are means over them.
    store : keeps descriptors.
    fields : of the recipes, `whitening_set="held_out"` for a folder of which one half is learned on.

    Returns
    -------
    A row for "none" and one for "pca(power=0.25)", fitted on the same pictures without labels, then a row for each
    count and each of "given" and "shuffled": "labels", that name; "pictures", the count, NaN where none are labelled;
    "labelled", how many have a label, and "metric", "value", both means over the seeds; "least" and "most", of one
    seed; "difference" from "none" with its 95 % interval from "low" to "high", paired over the queries, whole groups
    drawn together, APs being means over the seeds; "owed", "owed_low", "owed_high", the same of "given" less
    "shuffled"; and "leak", as tables say it.

    Raises
    ------
    ValueError : a count below 4, a count or seed twice, none of them; labels other than "given"; a dataset without
        ground truth, or one whose metric is no mean over queries; and as `train` and `run`.

    References
    ----------
    The survey's question 2, how a network is adapted with few labels; the control is that of `train(control=True)`.
    """
    import pandas as pd

    counts, seeds = _checked("counts", counts, replace(PICTURES, optional=False)), _checked("seeds", seeds, _SEED)
    if training.labels.key != TRUE:
        raise ValueError(f"label_curve: training must have labels 'given', got {training.labels!r}; leave them out.")
    data, name = load_named(dataset)
    store = store or Store()
    half = own_half(training.on, data)
    shared: dict[str, Any] = {"dataset": name, "image_size": training.image_size}
    shared |= {"whitening_set": HELD_OUT} if half == HELD_OUT else {}
    given: dict[str, Any] = {one: getattr(training, one) for one in ("backbone", "weights", "tap", "aggregation")}

    def judged(recipe: Recipe) -> Run:
        return _meant(run(recipe, dataset=data, store=store, device=training.device, progress=False))

    def taught(labels: Labels, seed: int) -> tuple[Run, int]:
        done = train(replace(training, labels=labels, seed=seed), store=store, progress=False)
        return judged(done.recipe(**shared | fields)), done.known

    with showing(progress):
        none = judged(Recipe(**given | shared | fields))
        whitened: dict[str, Any] = {"whitening_set": half, **fields, "whitening": HALF}
        unlabelled = judged(Recipe(**given | shared | whitened))
        rows = [_row(name, np.nan, [one], none, 0) for name, one in ((NONE, none), (HALF, unlabelled))]
        for count in bar(counts, desc="labels", unit="count"):
            labels = Labels("given", {"pictures": count})
            true, control = ([taught(one, seed) for seed in seeds] for one in (labels, control_of(labels)))
            known = float(np.mean([one for _, one in true]))
            both = [[one for one, _ in found] for found in (true, control)]
            rows.append(_row(TRUE, count, both[0], none, known, against=both[1]))
            rows.append(_row(CONTROL, count, both[1], none, known))
    return pd.DataFrame(rows)


def _row(
    labels: str, pictures: float, runs: Sequence[Run], none: Run, labelled: float, against: Sequence[Run] = ()
) -> dict[str, Any]:
    """A row of the table; `against` is what "owed" is less than."""
    metric = _evaluation(none).protocol.headline
    values = [one.metrics[metric] for one in runs]
    about = {"labels": labels, "pictures": pictures, "labelled": labelled, "metric": metric}
    about |= {"value": float(np.mean(values)), "least": min(values), "most": max(values)}
    nothing = dict.fromkeys(("difference", "low", "high"), np.nan)
    about |= nothing if labels == NONE else _difference(runs, [none])
    owed = _difference(runs, against) if against else nothing
    names = ("owed", "owed_low", "owed_high")
    return about | dict(zip(names, owed.values(), strict=True)) | {"leak": runs[0].leak}


def _difference(runs: Sequence[Run], others: Sequence[Run]) -> dict[str, float]:
    """The difference of two means over seeds, with its interval over the same queries."""
    first, second = (np.mean([_scores(one) for one in side], axis=0) for side in (runs, others))
    found = paired_difference(first, second, _evaluation(runs[0]).groups)
    return {"difference": found.mean, "low": found.low, "high": found.high}


def _scores(run: Run) -> np.ndarray:
    """The main metric (Q,) of each query; NaN where one does not count."""
    evaluation = _evaluation(run)
    return np.asarray(evaluation.per_query[evaluation.protocol.level().name])


def _evaluation(run: Run) -> Evaluation:
    assert run.evaluation is not None
    return run.evaluation


def _meant(run: Run) -> Run:
    """A run whose metric is a mean over queries."""
    if run.evaluation is None or run.evaluation.protocol.main == POOLED:
        what = "no ground truth" if run.evaluation is None else f"the metric {POOLED}, of all queries together"
        raise ValueError(
            f"label_curve: dataset must have a metric that is a mean over queries, and {run.dataset.name!r} has "
            f"{what}; name another one."
        )
    return run


def _checked(name: str, values: Sequence[int], allowed: Range) -> list[int]:
    """Whole numbers, each once, in ascending order."""
    found = [allowed.check("label_curve", name, value) for value in values]
    if not found or len({*found}) < len(found):
        raise ValueError(f"label_curve: {name} must be one or more numbers that differ, got {list(values)}.")
    return sorted(found)
