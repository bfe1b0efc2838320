"""Exercises of notebook 7: what is gained by putting representations together?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score, told_apart


@exercise("7_fusion.prediction", title="The best partner")
def prediction(table: Any) -> Solution:
    """`table`: a row per partner, fused with learned weights."""
    return Solution(
        answer=str(best(table, "partner")),
        why=f"mAP {table[score(table)].max():.3f}, with {best(table, 'weight'):.2f} of the weight.",
        hints=("The longest bar of the figure is the answer.",),
    )


@exercise("7_fusion.1", title="Reciprocal ranks")
def reciprocal_ranks(ranks: Sequence[int] = (1, 3), k: float = 60) -> Solution:
    """The score of an image, from its ranks in the lists."""
    return Solution(
        answer=sum(1 / (k + rank) for rank in ranks),
        why="Scores are not looked at, so it does not matter how two models scale theirs.",
        hints=("Add up one fraction for each list.", "The first list gives 1/61; what does the second give?"),
        mistakes=(
            (sum(1 / rank for rank in ranks), "The 60 is missing: it keeps first places from deciding alone."),
            (sum(1 / (k + rank - 1) for rank in ranks), "Ranks are counted from 1."),
            (1 / (k + sum(ranks)), "Add up the fractions, not the ranks."),
        ),
        tolerance=0.002,
    )


@exercise("7_fusion.2", title="The oracle")
def oracle(a: Sequence[float] = (1.0, 0.2, 0.6, 0.4), b: Sequence[float] = (0.5, 0.8, 0.2, 0.4)) -> Solution:
    """The mAP if each query got the better of its two answers."""
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return Solution(
        answer=sum(max(pair) for pair in zip(a, b, strict=True)) / len(a),
        why=f"Alone they have {mean_a:.3g} and {mean_b:.3g}. A fusion could beat this, but few reach it.",
        hints=("For each query take the larger of the two numbers.", "Then take the mean of these."),
        mistakes=(
            (max(mean_a, mean_b), "That is the better of the two alone: choose the better one for each query."),
            ((mean_a + mean_b) / 2, "That is the mean of both; take the larger of the two for each query."),
            (sum(max(pair) for pair in zip(a, b, strict=True)), "Take their mean, not their sum."),
        ),
    )


@exercise("7_fusion.3", title="The pair with the most to gain")
def most_to_gain(pairs: Any) -> Solution:
    """`pairs`: from `cbirlab.complementarity`."""
    row, top = pairs.loc[pairs["gain"].idxmax()], pairs.loc[pairs["oracle"].idxmax()]
    answer, highest = {str(row["a"]), str(row["b"])}, {str(top["a"]), str(top["b"])}
    return Solution(
        answer=answer,
        why=f"Its oracle adds {row['gain']:.3f} to {max(row['map_a'], row['map_b']):.3f}; the correlation of their "
        f"average precisions is {row['spearman']:.2f}.",
        hints=("Look for the row with the largest gain, and give its columns a and b.",),
        mistakes=((highest, "That pair has the best oracle, but also a strong member."),) if highest != answer else (),
    )


@exercise("7_fusion.4", title="The best weight")
def weight(sweep: Any) -> Solution:
    """`sweep`: a row per weight of the partner."""
    found, value = float(best(sweep, "weight")), sweep[score(sweep)]
    return Solution(
        answer=found,
        why=f"mAP {value.max():.3f} there, {value.iloc[0]:.3f} without it and {value.iloc[-1]:.3f} with it alone.",
        hints=("Where is the top of its line?", "Sort its rows by mAP."),
    )


@exercise("7_fusion.5", title="Is the fusion really better?")
def really(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the fusion first."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}.",
        hints=(
            "Does the interval of the mean difference contain 0, or is p above 0.05?",
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )
