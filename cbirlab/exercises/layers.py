"""Exercises of notebook 1: which layer sees what?"""

from __future__ import annotations

from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score, told_apart


@exercise("1_layers.prediction", title="The tap with the highest mAP")
def prediction(table: Any) -> Solution:
    """`table`: one row per tap."""
    tap, value = best(table, "tap"), table[score(table)].max()
    return Solution(
        answer=tap,
        why=f"{tap} reaches an mAP of {value:.3f}.",
        hints=("Look for the highest line of the figure: which tap has it?",),
    )


@exercise("1_layers.1", title="Columns of a map")
def columns(height: int = 240, width: int = 320, stride: int = 16) -> Solution:
    """How many positions the map of a picture of `height` x `width` pixels has."""
    down, across = height // stride, width // stride
    return Solution(
        answer=down * across,
        why=f"{down} rows of {across} columns each.",
        hints=("Divide height and width by the stride, then count the cells.", "It is a product of two quotients."),
        mistakes=((height * width // stride, "The stride counts in both directions."),),
    )


@exercise("1_layers.2", title="The light that is lost")
def light(light: Any) -> Solution:
    """`light`: from `cbirlab.study.perturbation.by_factor`, the taps as settings, by illumination."""
    wide = light.pivot_table(index="setting", columns="bin", values="auc", sort=False)
    gap = wide["day"] - wide["night"]
    tap = str(gap.idxmax())
    return Solution(
        answer=tap,
        why=f"At {tap} night is {gap.max():.2f} of AUC behind day, at {gap.idxmin()} {gap.min():.2f}. "
        "A tap that is near chance by day has little to lose; one that goes by colours has much.",
        hints=(
            "For each tap, subtract the AUC at night from the AUC by day.",
            "Which line falls the most to the right?",
        ),
        mistakes=((str(gap.idxmin()), "At that tap the gap is smallest."),),
    )


@exercise("1_layers.3", title="Queries that a shallower tap wins")
def share_won(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the shallower tap first."""
    won, lost = float((wins["difference"] > 0).mean()), float((wins["difference"] < 0).mean())
    return Solution(
        answer=won,
        why=f"It wins on {won:.0%} of the queries, and on average the two differ by "
        f"{float(wins['difference'].mean()):+.3f}: what is best for all is not best for each, and fusion "
        "makes use of this.",
        hints=(
            'The column "difference" is positive where the first one wins.',
            'A share is a mean of yes and no: (wins["difference"] > 0).mean().',
        ),
        mistakes=((lost, "That is the share on which the deeper tap wins."),) if lost != won else (),
        tolerance=0.02,
    )


@exercise("1_layers.4", title="The cosine of two taps, concatenated")
def concatenated(cosines: tuple[float, float] = (0.6, 0.9), weights: tuple[float, float] = (1.0, 0.5)) -> Solution:
    """The cosine of two vectors whose parts are L2-normalised, multiplied by their weights and concatenated."""
    squares = [weight**2 for weight in weights]
    plain = sum(weight * one for weight, one in zip(weights, cosines, strict=True)) / sum(weights)
    dot = sum(square * one for square, one in zip(squares, cosines, strict=True))
    return Solution(
        answer=dot / sum(squares),
        why="Both vectors carry the weight, so it counts squared: a mean of the cosines, weighted by w².",
        hints=(
            "Write the dot product of the two long vectors as a sum of two, then divide by their lengths.",
            "Each length is the root of the sum of the squared weights.",
        ),
        mistakes=(
            (plain, "The weight is in the query and in the image: it counts twice."),
            (dot, "That is the dot product; the long vectors do not have length one."),
            (sum(cosines) / 2, "That is right for equal weights."),
        ),
    )


@exercise("1_layers.5", title="Does the concatenation pay?")
def pays(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the concatenation first."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}.",
        hints=(
            'Look at "low" and "high" of wins.attrs: what does an interval say that contains 0?',
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )
