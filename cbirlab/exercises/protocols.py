"""Exercises of notebook 12: why do my numbers differ?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cbirlab.datasets import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, average_precision, told_apart
from cbirlab.exercises.base import Solution, exercise
from cbirlab.index import Ranking, ranked
from cbirlab.study.choices import Judging


def made_ranking(
    queries: int = 2000, images: int = 1000, *, right: int = 10, shift: float = 1.5, seed: int = 0
) -> tuple[Ranking, Dataset]:
    """Rank by random scores, those of right answers larger by `shift` standard deviations; give the labels too.

    None of it exists as a picture, and judging needs none.
    """
    scores = np.random.default_rng(seed).standard_normal((queries, images))
    scores[:, :right] += shift
    dataset = Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(images)),
        queries=tuple(Query(Path(f"query {row}.jpg")) for row in range(queries)),
        labels=({"positive": tuple(range(right))},) * queries,
    )
    return ranked(scores), dataset


def reported(ranking: Ranking, dataset: Dataset) -> float:
    """What a colleague reports for a ranking; exercise 4 asks how."""
    usual = Judging.of(PROTOCOLS[dataset.protocol])
    return _mean(replace(usual, measure="over right in results", results=10).values(ranking, dataset))


@exercise("12_protocols.prediction", title="The choice that moves mAP most")
def prediction(effects: Mapping[str, float]) -> Solution:
    """`effects`: the largest change by each choice."""
    return Solution(
        answer=max(effects.keys(), key=lambda name: effects[name]),
        why="Largest changes: " + ", ".join(f"{name} {value:.3f}" for name, value in effects.items()) + ".",
        hints=("Look for the longest bar, to the left or to the right.", "Look into `effects`."),
    )


@exercise("12_protocols.1", title="Average precision, twice")
def average_precision_twice(places: Sequence[int] = (1, 3, 6)) -> Solution:
    """Both average precisions of a list with right answers at these places, counted from 1."""
    ranks = [place - 1 for place in places]
    both = [average_precision(ranks, method=method) for method in ("finite-sum", "trapezoid")]
    return Solution(
        answer=both,
        why="The trapezoid is never larger: it also looks at the precision just before each right answer.",
        hints=(
            "The finite sum is the mean of 1/1, 2/3 and 3/6.",
            "The trapezoid takes, for each right answer, the mean of the precision just before and just after it; "
            "before the first place the precision is 1.",
        ),
        mistakes=((both[::-1], "Turn them round: the finite sum comes first."),),
    )


@exercise("12_protocols.2", title="What junk does")
def junk(right: Sequence[int] = (2, 4, 6), ignored: Sequence[int] = (1, 5)) -> Solution:
    """The finite sum with junk ignored and with junk counted as wrong; places counted from 1."""
    ranks, others = ([place - 1 for place in places] for places in (right, ignored))
    both = [average_precision(ranks, junk, method="finite-sum") for junk in (others, ())]
    return Solution(
        answer=both,
        why="If junk counted as wrong, whoever finds pictures that nobody can judge fairly would lose by it.",
        hints=(
            "What is ignored is removed from the list, which leaves R, W, R, R.",
            "Ignored: the mean of 1/1, 2/3 and 3/4. Wrong: of 1/2, 2/4 and 3/6.",
        ),
        mistakes=((both[::-1], "Turn them round: ignored comes first."),),
    )


@exercise("12_protocols.3", title="One ranking, five numbers")
def five_numbers(numbers: Mapping[str, float]) -> Solution:
    """The factor by which the largest of some numbers exceeds the smallest."""
    values = [*numbers.values()]
    return Solution(
        answer=max(values) / min(values),
        why="All five have been called mAP in print.",
        hints=("Divide the largest by the smallest.",),
        mistakes=((max(values) - min(values), "That is the difference, not the factor."),),
        tolerance=0.01,
    )


@exercise("12_protocols.4", title="How did they get that?")
def how(ranking: Ranking, dataset: Dataset) -> Solution:
    """The choice with which a colleague gets what `reported` says."""
    return Solution(
        answer="results",
        why="The list is cut at ten, and the sum is divided by the right answers among these ten: a system that finds "
        "one of a hundred and puts it first has an average precision of 1. Hashing papers report this.",
        hints=("Look for their number in the column `value`.", "Nothing on the way to the ranking was changed."),
    )


@exercise("12_protocols.5", title="Changes that are more than chance")
def told(table: Any) -> Solution:
    """How many changes have an interval without 0, and a p that agrees with it."""
    known = table.dropna(subset=["change"])
    tests = known[["change_low", "change_high", "change_p"]].to_numpy(float)
    apart = np.array([told_apart(*test) for test in tests], dtype=bool)
    count, others = int(apart.sum()), int((~apart).sum())
    return Solution(
        answer=count,
        why=f"The other {others} may matter too, but these few queries cannot show it.",
        hints=(
            'A change counts if "change_low" is above 0 or "change_high" below 0, and "change_p" at most 0.05.',
            "Both ends must lie on the same side of 0, and p must agree.",
        ),
        mistakes=((others, "That counts the changes that could be chance."),) if others != count else (),
    )


@exercise("12_protocols.6", title="The range of one method")
def spread_of(table: Any) -> Solution:
    """The largest value in a table of choices minus the smallest."""
    return Solution(
        answer=float(table["value"].max() - table["value"].min()),
        why="No network was changed or trained for this.",
        hints=('Subtract the smallest number of the column "value" from the largest.',),
        tolerance=0.02,
    )


def _mean(values: np.ndarray) -> float:
    return float(values[~np.isnan(values)].mean())
