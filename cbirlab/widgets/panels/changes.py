"""Changes: what the last move has changed in a gallery and in the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cbirlab.datasets import Dataset
from cbirlab.index import Ranking
from cbirlab.pipeline import Run
from cbirlab.widgets.panels.setting_side import Side, difference, gone, moved
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.parts.views import Lead

SAME_PLACE = "="


class Found(NamedTuple):
    """What a side showed at some step.

    Attributes
    ----------
    question : what was asked, as plain values.
    ranking, results : the answer.
    run : all queries, ranked and judged.
    """

    question: Mapping[str, Any]
    ranking: Ranking
    results: Results
    run: Run


def found_by(side: Side, question: Question, run: Run) -> Found | None:
    """What a side shows now; None before it has found anything."""
    if side.ranking is None or side.results is None:
        return None
    return Found(question.trait_values(), side.ranking, side.results, run)


def moves(side: Side, before: Found | None, question: Question, dataset: Dataset) -> Sequence[str]:
    """For every result, how many places it has moved since the step before, or that it is new; "" where it stayed.

    Nothing at all if something else was asked then.
    """
    if before is None or side.ranking is None or side.results is None or before.question != question.trait_values():
        return ()
    notes = moved(side.results, before.results, before.ranking, question.own_rows(dataset))
    return ["" if note == SAME_PLACE else note for note in notes] if {*notes} != {SAME_PLACE} else ()


def differences(a: Side, b: Side, question: Question, dataset: Dataset) -> dict[str, Sequence[str]]:
    """Side to what differs for each of its results on the other side; empty before both have found something."""
    if not (a.ranking and b.ranking and a.results and b.results):
        return {}
    own = question.own_rows(dataset)
    return {"A": gone(a.results, b.results, b.ranking, own), "B": moved(b.results, a.results, a.ranking, own)}


def leads(run: Run, before: Found | None) -> dict[str, Lead]:
    """Main metric to what it was at the step before, and the paired test of the difference; empty for the same run."""
    if before is None or before.run.recipe == run.recipe:
        return {}
    tested = difference(before.run, run)[0]
    named = {level: f"map_{level}" if f"map_{level}" in run.metrics else level for level in tested}
    return {name: Lead(before.run.metrics[name], tested[level]) for level, name in named.items() if name in run.metrics}
