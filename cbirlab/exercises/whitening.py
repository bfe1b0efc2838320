"""Exercises of notebook 3: what does whitening change, and where is it learned?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score


@exercise("3_whitening.prediction", title="Where whitening helps")
def prediction(table: Any) -> Solution:
    """`table`: a row per tap without and with whitening."""
    wide = table.pivot_table(index="tap", columns="whitening", values=score(table), sort=False)
    gain = wide["pca"] - wide["none"]
    return Solution(
        answer={str(tap) for tap in gain.index[gain > 0]},
        why="Gains: " + ", ".join(f"{tap} {value:+.3f}" for tap, value in gain.items()) + ".",
        hints=("Compare the two lines at each tap: where is the whitened one above?",),
    )


@exercise("3_whitening.1", title="Whitened by hand")
def by_hand(
    point: Sequence[float] = (5, 3), mean: Sequence[float] = (1, 1), variances: Sequence[float] = (4, 1)
) -> Solution:
    """Whiten a point, along axes that are those of the cloud."""
    centred = [value - middle for value, middle in zip(point, mean, strict=True)]
    roots = [variance**0.5 for variance in variances]
    return Solution(
        answer=[value / root for value, root in zip(centred, roots, strict=True)],
        why="Both coordinates are now counted in standard deviations.",
        hints=("First subtract the mean, then divide each coordinate.", "Divide by the root of the variance."),
        mistakes=(
            ([a / v for a, v in zip(centred, variances, strict=True)], "Divide by the standard deviation."),
            ([a / r for a, r in zip(point, roots, strict=True)], "Subtract the mean first."),
            (centred, "That is centred, not whitened."),
        ),
    )


@exercise("3_whitening.2", title="What a power leaves")
def power(variance: float = 9, power: float = 0.25) -> Solution:
    """The variance that remains along an axis that had `variance`."""
    return Solution(
        answer=variance ** (1 - 2 * power),
        why="A coordinate is divided by λ to the power, its variance by the square of that: λ^(1 - 2 power) is left.",
        hints=("What does a factor on a coordinate do to its variance?", "Divide by the square of λ^power."),
        mistakes=(
            (1, "That is full whitening, power 0.5."),
            (variance ** (1 - power), "The factor is squared in a variance."),
            (variance, "That is power 0, a rotation."),
        ),
    )


@exercise("3_whitening.3", title="Dimensions that few images determine")
def dimensions(images: int = 100, width: int = 192) -> Solution:
    """How many dimensions a whitening keeps that learns on `images` descriptors of `width` dimensions."""
    return Solution(
        answer=min(images - 1, width),
        why="The cloud of N points spans N - 1 directions once its mean is subtracted; along others it says nothing.",
        hints=("How many directions do two points span, once their mean is subtracted?", "Three points span a plane."),
        mistakes=(
            (images, "One of them is spent on the mean."),
            (width, "A covariance of so few images has no variance along some of them."),
        ),
    )


@exercise("3_whitening.4", title="Fewest dimensions")
def fewest(table: Any, share: float = 0.95) -> Solution:
    """The fewest dimensions with at least `share` of the best mAP; `table` has a row per number of dimensions."""
    value = table[score(table)]
    enough = table.loc[value >= share * value.max(), "dim"]
    top = int(best(table, "dim"))
    return Solution(
        answer=int(enough.min()),
        why=f"That is {4 * int(enough.min())} bytes per image instead of {4 * int(table['dim'].max())}.",
        hints=(f"Multiply the best mAP by {share:g}: which rows are not below?", "Of those, take the smallest dim."),
        mistakes=((top, "With these mAP is best; but fewer dimensions do nearly as well."),)
        if top != enough.min()
        else (),
    )


@exercise("3_whitening.5", title="What a leak is worth")
def leak(table: Any) -> Solution:
    """mAP learned on the evaluated images minus mAP learned elsewhere; the column "leak" says which is which."""
    leaking = table["leak"] != ""
    values = table[score(table)]
    gain = float(values[leaking].iloc[0] - values[~leaking].iloc[0])
    return Solution(
        answer=gain,
        why=f"{'It rises' if gain > 0 else 'It does not even rise'}, though no label was used. Either way, do not "
        "compare it with what was learned on other images; the column `leak` says so in every table.",
        hints=('One row has something in the column "leak".', "Subtract the mAP of the other row from its mAP."),
        mistakes=((-gain, "Turn it round: the leaking one comes first."),) if gain else (),
        tolerance=0.02,
    )
