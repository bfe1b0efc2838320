"""Exercises of notebook 5: words in place of averages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cbirlab.exercises.base import Solution, best, exercise, score, told_apart

CENTRES = ((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (-0.5, -0.5), (0.0, 1.0))
COLUMNS = ((1.0, 0.0), (-1.0, 0.0), (1.0, 2.0))
"""Codebook and descriptors from DELF's tests of its aggregation."""

Points = Sequence[Sequence[float]]


@exercise("5_embedding.prediction", title="The representation with the highest mAP")
def prediction(table: Any) -> Solution:
    """`table`: one row per tap and aggregation."""
    name = str(best(table, "aggregation")).partition("(")[0]
    return Solution(
        answer=name,
        why=f"{best(table, 'aggregation')} at {best(table, 'tap')}: mAP {table[score(table)].max():.3f} with "
        f"{best(table, 'dim')} dimensions.",
        hints=("The longest bar of the figure is the answer.",),
    )


@exercise("5_embedding.1", title="A bag of words by hand")
def bag(columns: Points = COLUMNS, centres: Points = CENTRES) -> Solution:
    """How many columns fall to each word, not normalised."""
    counts = np.bincount(_words(columns, centres), minlength=len(centres))
    return Solution(
        answer=counts.tolist(),
        why="Every column counts for its nearest word; how far away it lies is forgotten.",
        hints=("For each column, find the nearest centre.", "There are as many counts as words, and they sum to 3."),
        mistakes=((_words(columns, centres).tolist(), "Those are the words of the columns: now count each word."),),
    )


@exercise("5_embedding.2", title="VLAD by hand")
def vlad(columns: Points = COLUMNS, centres: Points = CENTRES) -> Solution:
    """The sums of residuals, word after word, before any normalisation."""
    sums = np.zeros_like(np.asarray(centres, float))
    for word, column in zip(_words(columns, centres), columns, strict=True):
        sums[word] += np.subtract(column, centres[word])
    return Solution(
        answer=sums.ravel().tolist(),
        why="The column that lies on its centre leaves nothing: VLAD cannot tell it from no column at all, BoW can.",
        hints=(
            "Subtract its nearest centre from each column; there are two numbers per word, in the order of the words.",
            "Words without a column have two zeros.",
        ),
        mistakes=(((-sums).ravel().tolist(), "The residual is the column minus the centre, not the other way round."),),
    )


@exercise("5_embedding.3", title="Numbers in a Fisher vector")
def fisher_width(k: int = 32, dims: int = 128) -> Solution:
    """Dimensions of the Fisher vector with all its gradients: weights, means and deviations."""
    return Solution(
        answer=k * (1 + 2 * dims),
        why=f"VLAD would have {k * dims} numbers and BoW {k}: a Fisher vector says more about each word.",
        hints=("Each Gaussian has a weight, a mean and a deviation per dimension.", "K (1 + 2 D)."),
        mistakes=(
            (2 * k * dims, "The gradients of the weights are missing."),
            (k * dims, "That is the length of VLAD, or of the means alone."),
        ),
    )


@exercise("5_embedding.4", title="The best codebook")
def codebook(table: Any) -> Solution:
    """The number of words with which VLAD does best; `table` has the columns "method", "k" and mAP."""
    of_vlad = table[table["method"] == "vlad"]
    k, sizes = int(best(of_vlad, "k")), of_vlad["k"]
    other = int(sizes.max() if k != sizes.max() else sizes.min())
    values = of_vlad.set_index("k")[score(table)]
    return Solution(
        answer=k,
        why=f"mAP {values[k]:.3f}, against {values[other]:.3f} with {other} words.",
        hints=("Look only at the line of VLAD.", "Sort the rows of VLAD by mAP."),
    )


@exercise("5_embedding.5", title="Learned columns against RootSIFT")
def against_sift(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the columns of the network first."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}. It depends on what the network was trained on: on other pictures it "
        "has to be measured again.",
        hints=(
            "Does the interval of the mean difference contain 0, or is p above 0.05?",
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )


def _words(columns: Points, centres: Points) -> np.ndarray:
    """The nearest centre of each column."""
    return np.linalg.norm(np.asarray(columns, float)[:, None] - np.asarray(centres, float), axis=2).argmin(axis=1)
