"""Notebook 0 has no exercises; what it asks first is answered by what it has measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cbirlab.evaluation import title_of
from cbirlab.exercises.base import score, told_apart
from cbirlab.fusion import versus

if TYPE_CHECKING:
    from cbirlab.fusion import FusedRun
    from cbirlab.pipeline import Run

_SAID = {"yes": "Yes", "no": "No", "cannot tell": "One cannot tell"}


def is_best(name: str, runs: Mapping[str, Run | FusedRun]) -> str:
    """Whether one run is better than the best of the others, as a sentence with numbers and the paired test.

    Parameters
    ----------
    name : of the run in question.
    runs : at least two, on one benchmark under one protocol, by name.

    Raises
    ------
    ValueError : no other run, or runs that cannot be compared.
    """
    others = {other: run for other, run in runs.items() if other != name}
    if name not in runs or not others:
        raise ValueError(f"is_best: runs must hold {name!r} and another one, got {', '.join(runs) or 'none'}.")
    if any(run.evaluation is None for run in runs.values()):
        return "One cannot tell: these images have no ground truth."
    metric = score(runs[name].metrics)
    other = max(others, key=lambda one: others[one].metrics[metric])
    word, interval = told_apart(versus(runs[name], others[other]))
    (mine, theirs), title = (runs[one].metrics[metric] for one in (name, other)), title_of(metric)
    return f"{_SAID[word]}. {title} is {mine:.3f} with {name} and {theirs:.3f} with {other}: {interval}."
