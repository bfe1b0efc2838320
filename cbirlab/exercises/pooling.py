"""Exercises of notebook 2: what does a pooling look at?"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score


@exercise("2_pooling.prediction", title="The pooling with the highest mAP")
def prediction(table: Any) -> Solution:
    """`table`: one row per pooling."""
    name = str(best(table, "aggregation")).partition("(")[0]
    return Solution(
        answer=name,
        why=f"{name} reaches an mAP of {table[score(table)].max():.3f} on these maps.",
        hints=("The longest bar of the figure is the answer.",),
    )


@exercise("2_pooling.1", title="GeM by hand")
def gem_by_hand(values: Sequence[float] = (0, 1, 2, 3), p: float = 3) -> Solution:
    """The generalised mean of the `values` of a map."""
    total = sum(value**p for value in values)
    return Solution(
        answer=(total / len(values)) ** (1 / p),
        why=f"The mean of the powers is {total / len(values):g}, and its root of order {p:g} lies between mean and "
        "maximum.",
        hints=("Three steps: each value to the power p, their mean, its p-th root.", "The powers are 0, 1, 8 and 27."),
        mistakes=(
            (sum(values) / len(values), "That is the mean, GeM with p = 1."),
            (max(values), "That is the maximum, GeM with p = ∞."),
            (total ** (1 / p), "Take the mean of the powers, not their sum: else a larger map has larger values."),
            (total / len(values), "The root is missing."),
        ),
    )


@exercise("2_pooling.2", title="CroW's weight of a rare channel")
def crow_by_hand(used: Sequence[float] = (1.0, 0.25)) -> Solution:
    """The weight of the last channel; `used` is the share of positions at which each channel is not zero."""
    last = used[-1]
    return Solution(
        answer=log(sum(used) / last),
        why=f"The channel that is used everywhere has only {log(sum(used) / used[0]):.3f}: rare channels count more, "
        "as rare words do.",
        hints=("β = log(Σ Q / Q of the channel), the natural logarithm.", "The sum is over both channels: 1.25."),
        mistakes=(
            (log(1 / last), "The numerator is the sum over all channels, not 1."),
            (sum(used) / last, "The logarithm is missing."),
            (log(sum(used) / used[0]), "That is the weight of the other channel."),
        ),
    )


@exercise("2_pooling.3", title="Regions of R-MAC")
def regions(height: int = 15, width: int = 20, levels: int = 3) -> Solution:
    """How many squares R-MAC lays over a map."""
    from cbirlab.aggregation.poolings.rmac import grid

    count, square = len(grid(height, width, levels)), sum(level**2 for level in range(1, levels + 1))
    known = ((square, "That is a square map: here the long side holds one more square at each level."),)
    return Solution(
        answer=count,
        why="Level l has l squares along the short side and, on maps of this form, l + 1 along the long one.",
        hints=("Add up the levels: 1 x 2, ...", "1 x 2, 2 x 3 and so on."),
        mistakes=known if square != count else (),
    )


@exercise("2_pooling.4", title="The best exponent")
def exponent(sweep: Any) -> Solution:
    """`sweep`: the columns "p" and mAP."""
    p = float(best(sweep, "p"))
    value = sweep[score(sweep)]
    return Solution(
        answer=p,
        why=f"mAP {value.max():.3f}, where p = {sweep['p'].iloc[0]:g} gives {value.iloc[0]:.3f} and "
        f"p = {sweep['p'].iloc[-1]:g} {value.iloc[-1]:.3f}. It was chosen on these queries, so do not report it.",
        hints=("Where is the top of the curve?", "The table has a column p: sort by mAP."),
    )


@exercise("2_pooling.5", title="Dimensions of PWA")
def pwa_width(channels: int, proposals: int = 25) -> Solution:
    """The width of PWA, which concatenates one sum of all channels per proposal."""
    return Solution(
        answer=channels * proposals,
        why=f"{proposals} weighted sums of {channels} channels each: whitening has to reduce that again.",
        hints=("There is one vector of all channels for each proposal, one after the other.",),
        mistakes=(
            (channels, "That is the length of one of its sums."),
            (channels + proposals, "The sums are concatenated."),
        ),
    )
