"""Exercises of notebook 6: does it help to look at the right places?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score, told_apart


@exercise("6_attention.prediction", title="The best weights before a mean")
def prediction(table: Any, pooling: str = "spoc") -> Solution:
    """`table`: a row per attention and pooling."""
    rows = table[table["pooling"] == pooling]
    values = rows.set_index("attention")[score(table)]
    return Solution(
        answer=str(best(rows, "attention")),
        why=f"mAP {values.max():.3f}, against {values['none']:.3f} without weights.",
        hints=("Look for the highest point of the line of spoc.",),
    )


@exercise("6_attention.1", title="CroW's weight of a position")
def crow_by_hand(sums: Sequence[float] = (0, 3, 4, 0), position: int = 1, a: float = 2, b: float = 2) -> Solution:
    """The weight of a position, from the sums over channels at all positions."""
    norm = sum(value**a for value in sums) ** (1 / a)
    share = sums[position] / norm
    return Solution(
        answer=share ** (1 / b),
        why=f"The strongest position has {(max(sums) / norm) ** (1 / b):.3f}: the root brings the two closer together.",
        hints=("The norm is the root of the sum of squares: 5.", "Divide by the norm, then take the root."),
        mistakes=(
            (share, "The root is missing."),
            ((sums[position] / sum(sums)) ** (1 / b), "Divide by the root of the sum of squares, not by the sum."),
            ((max(sums) / norm) ** (1 / b), "That is the weight of the other position."),
        ),
    )


@exercise("6_attention.2", title="Weights before a power")
def before_a_power(weight: float = 0.5, p: float = 3) -> Solution:
    """How a weight before GeM changes a position's share in the sum of powers."""
    return Solution(
        answer=weight**p,
        why="The larger the power, the more a small difference counts; before a maximum, a slightly smaller value "
        "can count for nothing at all.",
        hints=("The value is multiplied first, then raised to the third power.", "What is (0.5 x) to the third?"),
        mistakes=(
            (weight, "So it is in a mean; here the weighted value is raised to a power."),
            (weight ** (1 / p), "The power comes after the weight, and the root after the sum."),
        ),
    )


@exercise("6_attention.3", title="The pooling that gains most")
def gains_most(table: Any) -> Solution:
    """`table`: a row per attention and pooling."""
    wide = table.pivot_table(index="attention", columns="pooling", values=score(table), sort=False)
    gain = wide.drop(index="none").max() - wide.loc["none"]
    top = str(wide.max().idxmax())
    return Solution(
        answer=str(gain.idxmax()),
        why="mAP with the best weights, minus mAP without weights: "
        + ", ".join(f"{name} {value:+.3f}" for name, value in gain.items())
        + ".",
        hints=(
            "For each line, subtract its first point from its highest.",
            "Look for the largest rise, not for the highest line.",
        ),
        mistakes=((top, "That has the highest mAP, not the largest gain."),) if top != gain.idxmax() else (),
    )


@exercise("6_attention.4", title="Are the weights really better?")
def really(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the run with weights first."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}. The weights were chosen on these queries, which flatters them.",
        hints=(
            "Does the interval of the mean difference contain 0, or is p above 0.05?",
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )
