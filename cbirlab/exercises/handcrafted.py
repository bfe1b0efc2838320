"""Exercises of notebook 8: what did learning add?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cbirlab.exercises.base import Solution, best, exercise, score, told_apart


@exercise("8_handcrafted_vs_deep.prediction", title="The best hand-crafted descriptor")
def prediction(table: Any) -> Solution:
    """`table`: a row per descriptor; those of networks do not count."""
    rows = table[table["backbone"] == "handcrafted"]
    return Solution(
        answer=str(best(rows, "tap")),
        why=f"mAP {rows[score(table)].max():.3f}, as {best(rows, 'method')}.",
        hints=("Look for the longest bar that does not belong to a network.",),
    )


@exercise("8_handcrafted_vs_deep.1", title="RootSIFT by hand")
def root_sift(values: Sequence[float] = (1, 4, 4, 0)) -> Solution:
    """RootSIFT of a vector of four numbers instead of 128."""
    shares = [value / sum(values) for value in values]
    norm = sum(value**2 for value in values) ** 0.5
    return Solution(
        answer=[share**0.5 for share in shares],
        why="Its length is one without any further division, as the shares sum to one.",
        hints=("Divide by the sum, 9.", "Then take the root of each number."),
        mistakes=(
            (shares, "The roots are missing."),
            ([value**0.5 for value in values], "Divide by the sum first."),
            ([value / norm for value in values], "That is SIFT of length one: divide by the sum and take roots."),
        ),
    )


@exercise("8_handcrafted_vs_deep.2", title="Upside down")
def upside_down(cosines: Mapping[str, float]) -> Solution:
    """`cosines`: of a picture and the same picture upside down, per descriptor."""
    return Solution(
        answer=max(cosines, key=lambda name: cosines[name]),
        why="Cosines: " + ", ".join(f"{name} {value:.3f}" for name, value in cosines.items()) + ". A descriptor "
        "that forgets where things are cannot notice; this helps with turned pictures, but more pictures look alike.",
        hints=("Which of them does not know where in the picture something is?", "Look into `cosines`."),
    )


@exercise("8_handcrafted_vs_deep.3", title="The encoding for RootSIFT")
def encoding(table: Any) -> Solution:
    """`table`: has, among others, a row per encoding of RootSIFT."""
    rows = table[table["tap"] == "rootsift"]
    return Solution(
        answer=str(best(rows, "method")),
        why=f"mAP {rows[score(table)].max():.3f} with {best(rows, 'dim')} dimensions.",
        hints=("Compare the three bars of rootsift.",),
    )


@exercise("8_handcrafted_vs_deep.4", title="Queries that the hand-crafted one wins")
def won(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the hand-crafted one first."""
    count, lost = int(wins.attrs["a_wins"]), int(wins.attrs["b_wins"])
    return Solution(
        answer=count,
        why=f"It wins {count} of {wins.attrs['queries']} queries: what is better on average is not better everywhere.",
        hints=("Count the rows of `wins` with a difference above 0.", "The legend of the figure has the number."),
        mistakes=((lost, "Those are the queries that it loses."),) if lost != count else (),
    )


@exercise("8_handcrafted_vs_deep.5", title="By hand against random weights")
def against_random(wins: Any) -> Solution:
    """`wins`: from `cbirlab.versus`, the hand-crafted one first, the untrained network second."""
    word, interval = told_apart(wins)
    return Solution(
        answer=word,
        why=f"The mean difference is {interval}. What a trained network gains over the random one, it has learned.",
        hints=(
            "Does the interval of the mean difference contain 0, or is p above 0.05?",
            'Above 0: "yes". Below 0: "no". On both sides: "cannot tell".',
        ),
    )
