"""Exercises of notebook 9: what can a map of descriptors be trusted with?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cbirlab.exercises.base import Solution, exercise, score


@exercise("9_maps.prediction", title="The map that keeps most neighbours")
def prediction(table: Any) -> Solution:
    """`table`: a row per map, with the measures of `cbirlab.projection.trust`."""
    kept = table.set_index("map")["neighbour_agreement"]
    return Solution(
        answer=str(kept.idxmax()),
        why="Kept: " + ", ".join(f"{name} {value:.0%}" for name, value in kept.items()) + ".",
        hints=("Look for the longest bar of the figure.",),
    )


@exercise("9_maps.1", title="Neighbour agreement by hand")
def agreement(true: Sequence[int] = (2, 5, 7), on_map: Sequence[int] = (5, 9, 2)) -> Solution:
    """The share of the nearest points on the map that are true neighbours."""
    shared = len({*true} & {*on_map})
    return Solution(
        answer=shared / len(on_map),
        why="Their order does not count, only who is among them.",
        hints=("How many of the three on the map are also among the three of the descriptors?",),
        mistakes=(
            (shared, "That is their number; give it as a share of the three."),
            (shared / len({*true} | {*on_map}), "Divide by the three on the map."),
            (0, "Their order does not count."),
        ),
    )


@exercise("9_maps.2", title="Maps that change with the seed")
def seeds(kept: Mapping[str, float]) -> Solution:
    """`kept`: the share of neighbours that the map of another seed has too."""
    return Solution(
        answer={name for name, share in kept.items() if share < 1},
        why="A group that appears with only one seed is not a real group.",
        hints=("A share of 1 means the same neighbours.", "Name all maps with a share below 1."),
    )


@exercise("9_maps.3", title="Searching on the map")
def searched_there(searched: Any) -> Solution:
    """`searched`: mAP by the descriptors, and by distance on each map."""
    values = searched.set_index("searched")[score(searched)]
    on_maps = values.drop("descriptors")
    difference = float(on_maps.max() - values["descriptors"])
    worst = float(on_maps.min() - values["descriptors"])
    return Solution(
        answer=difference,
        why=f"The worst map has {worst:+.3f}. Groups that survive are found; but the map does not show which picture "
        "of a group is nearer, or how far away other groups are.",
        hints=(
            "Subtract the bar of the descriptors from the longest bar of a map.",
            "The sign counts: map minus descriptors.",
        ),
        mistakes=(
            *(((-difference, "Turn it round: map minus descriptors."),) if difference else ()),
            *(((worst, "That is the worst map."),) if worst != difference else ()),
        ),
        tolerance=0.02,
    )


@exercise("9_maps.4", title="The most trustworthy map of noise")
def noise(measured: Mapping[int, float]) -> Solution:
    """`measured`: trustworthiness per number of neighbours."""
    count = max(measured, key=lambda one: measured[one])
    return Solution(
        answer=int(count),
        why=f"{measured[count]:.2f}, and there is nothing to see: look at the measure before the picture.",
        hints=("The titles of the figure have the numbers.",),
    )
