"""Changes: what the last move has changed in a gallery and in the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cbirlab.index import Ranking
from cbirlab.pipeline import Run
from cbirlab.widgets.panels.setting_side import Side, difference, gone, moved
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.parts.views import Lead

SAME_PLACE = "="


class Found(NamedTuple):
    """What a side showed at some step.

    Attributes
    ----------
    asked : the question, how many results were shown, and among which rows.
    ranking, results : the answer.
    run : all queries, ranked and judged.
    """

    asked: Any
    ranking: Ranking
    results: Results
    run: Run


def found_by(side: Side, asked: Any, run: Run) -> Found | None:
    """What a side shows now; None before it has found anything."""
    if side.ranking is None or side.results is None:
        return None
    return Found(asked, side.ranking, side.results, run)


def moves(side: Side, before: Found | None, asked: Any, own: Sequence[int]) -> Sequence[str]:
    """For every result, how many places it has moved since the step before, or that it is new; "" where it stayed.

    Nothing at all if something else was asked then.

    Parameters
    ----------
    asked : as in `Found`.
    own : the rows that are the query's own pictures.
    """
    if before is None or side.ranking is None or side.results is None or before.asked != asked:
        return ()
    notes = moved(side.results, before.results, before.ranking, own)
    return ["" if note == SAME_PLACE else note for note in notes] if {*notes} != {SAME_PLACE} else ()


def differences(a: Side, b: Side, own: Sequence[int]) -> dict[str, Sequence[str]]:
    """Side to what differs for each of its results on the other side; empty before both have found something."""
    if not (a.ranking and b.ranking and a.results and b.results):
        return {}
    return {"A": gone(a.results, b.results, b.ranking, own), "B": moved(b.results, a.results, a.ranking, own)}


def leads(run: Run, before: Found | None, *, tests: bool = True) -> dict[str, Lead]:
    """Main metric to what it was at the step before, and the paired test of the difference; empty for the same run.

    Parameters
    ----------
    tests : False leaves the tests out, which take far longer than the rest.
    """
    if before is None or before.run.recipe == run.recipe or run.evaluation is None or before.run.evaluation is None:
        return {}
    tested = difference(before.run, run)[0] if tests else dict.fromkeys(run.evaluation.per_query)
    named = {level: f"map_{level}" if f"map_{level}" in run.metrics else level for level in tested}
    return {name: Lead(before.run.metrics[name], tested[level]) for level, name in named.items() if name in run.metrics}
