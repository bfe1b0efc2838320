"""Exercises of notebook 4: is a second look worth its price?"""

from __future__ import annotations

from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score, told_apart


@exercise("4_regions_and_passes.prediction", title="The scheme with the highest mAP")
def prediction(table: Any) -> Solution:
    """`table`: one row per scheme."""
    name = str(best(table, "scheme"))
    return Solution(
        answer=name,
        why=f"mAP {table[score(table)].max():.3f} with {best(table, 'forward_passes'):.0f} forward passes per image.",
        hints=("Look for the highest point of the figure; how far right it lies shows its cost.",),
    )


@exercise("4_regions_and_passes.1", title="Patches of a pyramid")
def patches(levels: int = 4) -> Solution:
    """How many patches a spatial pyramid has."""
    from cbirlab.passes import Passes, View

    def count(levels: int) -> int:
        view = View(256, 256, read=_no_pixels)
        return len(Passes("spm", {"levels": levels}).boxes(view))

    return Solution(
        answer=count(levels),
        why="1 + 4 + 16 + 64: each level has four times the patches of the one before.",
        hints=("Level l, counted from 0, has 2^l x 2^l patches.", "Add up all levels, the first is the whole image."),
        mistakes=(
            (4 ** (levels - 1), "That is the finest level alone."),
            (count(levels - 1), "That is one level too few: levels are counted from 0."),
        ),
    )


@exercise("4_regions_and_passes.2", title="Pixels that go through the network")
def pixels(rows: int = 3, columns: int = 3, magnify: float = 2.0) -> Solution:
    """How many times the pixels of one pass a grid with magnified tiles needs, without the whole image."""
    return Solution(
        answer=magnify**2,
        why=f"Each of the {rows * columns} tiles has 1/{rows * columns} of the area, and {magnify:g} x {magnify:g} "
        "times its pixels: the magnification costs, not the number of tiles.",
        hints=(
            "What share of the area is in one tile, and what does magnification do to it?",
            "Area grows by the square.",
        ),
        mistakes=(
            (rows * columns, "Each tile is only a part of the image."),
            (magnify, "Both sides are magnified."),
            (rows * columns * magnify**2, "Each tile is only a part of the image."),
        ),
    )


@exercise("4_regions_and_passes.3", title="Gain per pass")
def gain_per_pass(table: Any) -> Solution:
    """The scheme whose mAP gain over one pass is largest per forward pass that it adds."""
    indexed = table.set_index("scheme")
    value, passes = indexed[score(table)], indexed["forward_passes"]
    added = passes - passes["single"]
    rate = (value - value["single"])[added > 0] / added[added > 0]
    name, top = str(rate.idxmax()), str(value.idxmax())
    return Solution(
        answer=name,
        why=f"It adds {rate.max():+.4f} of mAP with each further pass.",
        hints=("(mAP - mAP of single) / (passes - 1) for each row.", "Add it as a column and sort by it."),
        mistakes=((top, "That has the highest mAP, not the largest gain per pass."),) if top != name else (),
    )


@exercise("4_regions_and_passes.4", title="Is it really better?")
def really(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the scheme first, one pass second."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}.",
        hints=(
            "Does the interval of the mean difference contain 0, or is p above 0.05?",
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )


def _no_pixels() -> Any:
    raise RuntimeError("a spatial pyramid does not look at pixels")
