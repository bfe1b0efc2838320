"""Exercises of notebook 18: in what order did the field find out what matters?"""

from __future__ import annotations

from typing import Any

from cbirlab.exercises.base import Solution, exercise
from cbirlab.study.systems import SYSTEMS

CONCATENATED = 4096 + 2 * 100 * 500


@exercise("18_systems.prediction", title="The best system on an equal budget")
def prediction(table: Any, metric: str) -> Solution:
    """`table`: of `compare_systems`."""
    ran = table[table["error"] == ""].sort_values(metric, ascending=False)
    best, second = (ran.iloc[place] for place in (0, min(1, len(ran) - 1)))
    return Solution(
        answer=str(best["system"]),
        why=f"It has {best[metric]:.3f}, and the next one, {second['system']}, {second[metric]:.3f}.",
        hints=("Sort the table by its metric.", 'A name as in the column "system".'),
    )


@exercise("18_systems.1", title="MOP-CNN by hand")
def mop_cnn() -> Solution:
    """Dimensions of MOP-CNN before its PCA."""
    return Solution(
        answer=CONCATENATED,
        why="4,096 of the whole picture, and two levels of 100 words with 500 dimensions each.",
        hints=("A VLAD has words times dimensions.", "Add the whole picture to the two levels."),
        mistakes=((100 * 500 + 4096, "There are two levels of patches."), (2 * 100 * 500, "And the whole picture?")),
    )


@exercise("18_systems.2", title="Systems that must learn")
def learning() -> Solution:
    """How many systems train a network or a pooling first."""
    count = sum(bool(SYSTEMS[name].training) for name in SYSTEMS)
    return Solution(
        answer=count,
        why="Of the 14 in Table 4 one is listed only, and one learns as it re-ranks.",
        hints=("`SYSTEMS[name].training` is empty where nothing is trained.", "Count them in a loop over `SYSTEMS`."),
        mistakes=((14, "Not all of Table 4: look at `training`."),),
    )


@exercise("18_systems.3", title="Does the order of the papers hold?")
def order(table: Any, metric: str, printed: str) -> Solution:
    """`table`: of `compare_systems`, with a column of printed numbers."""
    both = table[(table["error"] == "") & table[printed].notna()]
    kept = wrong = 0
    for place, (mine, theirs) in enumerate(zip(both[metric], both[printed], strict=True)):
        for own, other in list(zip(both[metric], both[printed], strict=True))[:place]:
            same = (own - mine) * (other - theirs)
            kept, wrong = kept + (same > 0), wrong + (same < 0)
    return Solution(
        answer=kept,
        why=f"{wrong or 'None'} of the others is the other way round."
        if wrong < 2
        else f"The other {wrong} are reversed.",
        hints=(
            "Take two systems: is the better one here the better one in print?",
            "Count the pairs of systems that stand in the same order in both columns.",
        ),
        mistakes=((wrong, "These are the pairs in the other order."),) if wrong != kept else (),
    )
