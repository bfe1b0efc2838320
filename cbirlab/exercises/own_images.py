"""Exercises of notebook 10: which descriptor for your own pictures?"""

from __future__ import annotations

from typing import Any

from cbirlab.datasets import Dataset
from cbirlab.exercises.base import Solution, best, exercise, score, told_apart


@exercise("10_your_own_images.prediction", title="The best tap for a folder")
def prediction(table: Any) -> Solution:
    """`table`: a row per tap, aggregation and whitening."""
    rows = table[(table["aggregation"].str.startswith("gem")) & (table["whitening"] == "none")]
    return Solution(
        answer=str(best(rows, "tap")),
        why=f"GeM, not whitened, has an mAP of {rows[score(table)].max():.3f} there.",
        hints=("Take the first of the rows with GeM and without whitening.",),
    )


@exercise("10_your_own_images.1", title="Queries of a folder")
def queries(dataset: Dataset) -> Solution:
    """How many queries a folder gives, and how many right answers each of them has."""
    count = len(dataset.queries)
    if not count:
        raise ValueError(
            f"10_your_own_images.1: the folder must have sub-folders, one per thing to find; {dataset.name!r} gives no "
            "query."
        )
    right = {len(labels["positive"]) for labels in dataset.labels}
    most = max(right)
    return Solution(
        answer=[count, most],
        why="Pictures beside the sub-folders are never queries, and never right answers."
        + ("" if len(right) == 1 else " (Where sub-folders differ, the largest counts here.)"),
        hints=("Only pictures in a sub-folder are queries.", "A query is not one of its own right answers."),
        mistakes=(
            ([count, most + 1], "A query is left out of its own answers."),
            ([len(dataset.images), most], "Pictures beside the sub-folders are not queries.")
            if len(dataset.images) != count
            else ([most, count], "Give the number of queries first."),
        ),
    )


@exercise("10_your_own_images.2", title="Is the first better than the second?")
def really(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the first row first."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}.",
        hints=(
            "Does the interval of the mean difference contain 0, or is p above 0.05?",
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )


@exercise("10_your_own_images.3", title="Dimensions that a folder determines")
def dimensions(table: Any) -> Solution:
    """`table`: a row learned elsewhere and one learned on the folder."""
    leaking = table["leak"] != ""
    here, elsewhere = (int(table.loc[rows, "dim"].iloc[0]) for rows in (leaking, ~leaking))
    return Solution(
        answer=here,
        why="The cloud of N descriptors spans N - 1 directions at most, and never more than the descriptor has.",
        hints=(
            "How many pictures does the folder have, and how many directions do they span?",
            "Compute a row's `dim`.",
        ),
        mistakes=((elsewhere, "That is what remains if whitening is learned elsewhere."),) if elsewhere != here else (),
    )


@exercise("10_your_own_images.4", title="Where whitening may be learned")
def honest(table: Any) -> Solution:
    """`table`: as in exercise 3."""
    leaking = table["leak"] != ""
    return Solution(
        answer=str(table.loc[~leaking, "whitening_set"].iloc[0]),
        why="The other has seen the evaluated pictures, though not their labels: use it, but do not compare with it.",
        hints=('Which of the rows has nothing in the column "leak"?',),
        mistakes=((str(table.loc[leaking, "whitening_set"].iloc[0]), "That one has seen the evaluated pictures."),),
    )
