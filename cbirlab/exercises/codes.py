"""Exercises of notebook 13: how few bytes are enough?"""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.exercises.base import Solution, exercise, score
from cbirlab.index import Ranking
from cbirlab.study.code_table import ASYMMETRIC, RESCORED, SYMMETRIC


@exercise("13_codes.prediction", title="Few bytes, re-scored")
def prediction(table: Any, share: float = 0.9) -> Solution:
    """The fewest bytes of a code that keeps `share` of mAP once its first results are re-scored.

    `table` : from `compare_codes`.
    """
    full, kept = float(table[score(table)].iloc[0]), table[table["way"] == RESCORED]
    best = kept.groupby("bytes_per_image")[score(table)].max() / full
    enough = best.index[best >= share]
    bytes_of_rows = int(table["bytes_per_image"].iloc[0])
    said = ", ".join(f"{value:.0%} with {many} bytes" for many, value in best.items())
    return Solution(
        answer=int(enough.min()) if len(enough) else bytes_of_rows,
        why=f"Of the mAP of full rows the best code keeps {said}. Full rows of {bytes_of_rows} bytes must still lie on "
        "a disk, where some of them are read for each query.",
        hints=(
            f'Of the rows whose "way" is "re-scored": which have at least {share:.0%} of the mAP in the first row?',
            f"Multiply the first mAP by {share:g}, and take the fewest bytes of the rows above it. If there are none, "
            "full rows it is.",
        ),
    )


@exercise("13_codes.1", title="Hamming distance by hand")
def hamming_by_hand(one: str = "10110100", other: str = "10011101") -> Solution:
    """In how many bits two codes differ."""
    differing = sum(a != b for a, b in zip(one, other, strict=True))
    return Solution(
        answer=differing,
        why=f"As vectors of -1 and 1 their inner product is {len(one) - 2 * differing}, which is K - 2 h: sorting by h "
        "is sorting by cosine.",
        hints=("Write one below the other, and count the columns that differ.", "An XOR, and count its ones."),
        mistakes=((len(one) - differing, "Those are the bits that agree."),),
    )


@exercise("13_codes.2", title="More images than distances")
def pigeons(images: int = 1000, bits: int = 64) -> Solution:
    """How many images at least one distance must hold."""
    distances = bits + 1
    least = -(-images // distances)
    return Solution(
        answer=least,
        why=f"{bits} bits have {distances} distances, and in truth most images stand at the few in the middle. "
        "Images at one distance have no order: whatever a list shows is the order of their files.",
        hints=(f"How many different distances do {bits} bits have? Do not forget 0.", "Divide, and round up."),
        mistakes=((images // distances, "Rounded up: some distance holds more than the mean."),),
    )


@exercise("13_codes.3", title="Who shares the tenth place")
def tenth_place(ranking: Ranking, query: int = 0, place: int = 10) -> Solution:
    """How many images have the score of the one at `place` of the ranking of `query`."""
    scores = ranking.scores[query]
    same = int((scores == scores[place - 1]).sum())
    before = int((scores > scores[place - 1]).sum())
    said = f"shares places {before + 1} to {before + same} with others" if same > 1 else "has no equal"
    return Solution(
        answer=same,
        why=f"The image at place {place} {said}.",
        hints=(
            f"`ranking.scores[{query}]` holds the scores, best first; equal ones are the ring.",
            f"Count the scores that equal `ranking.scores[{query}, {place - 1}]`.",
        ),
        mistakes=((same - 1, "The one at that place counts too."),),
    )


@exercise("13_codes.4", title="What the query's real outputs are worth")
def asymmetric_gain(table: Any, code: str = "itq") -> Solution:
    """mAP of `code` at its most bits, asymmetric less symmetric; `table` from `compare_codes`."""
    most = table.loc[table["code"] == code, "bits"].max()
    value = _by_way(table, code, most)
    gain = value[ASYMMETRIC] - value[SYMMETRIC]
    return Solution(
        answer=gain,
        why="The database holds the same bytes; only the query, of which there is one, stays as it is.",
        hints=(f"Two rows of {code} with {most} bits: their mAP.", 'The "asymmetric" one less the "symmetric" one.'),
        mistakes=((-gain, "The other way round: asymmetric first."),) if gain else (),
        tolerance=0.02,
    )


@exercise("13_codes.5", title="What the order of ties decides")
def tie_span(table: Any, code: str = "itq") -> Solution:
    """How far mAP of `code` at its fewest bits, symmetric, lies apart between the best and worst order of ties."""
    fewest = table.loc[table["code"] == code, "bits"].min()
    row = table[(table["code"] == code) & (table["bits"] == fewest) & (table["way"] == SYMMETRIC)].iloc[0]
    low, high = (float(row[score(table).replace("map", f"map_ties_{end}", 1)]) for end in ("worst", "best"))
    return Solution(
        answer=high - low,
        why=f"Between {low:.3f} and {high:.3f} a paper may report what it likes, by how its sort treats equal numbers. "
        "The mean over all orders is the honest one.",
        hints=(
            f"The row of {code}, {fewest} bits, symmetric: it has a column for each end.",
            '"map_ties_best..." less "map_ties_worst...".',
        ),
        tolerance=0.02,
    )


@exercise("13_codes.6", title="Which code for instances to come")
def unseen(table: Any) -> Solution:
    """The code with the largest mAP on instances that it has not learned from; `table` from `over_seeds`."""
    coded = table[table["compression"] != "none"]
    best, seen = (coded.loc[coded[where].idxmax()] for where in ("unseen", "learned"))
    same = best["compression"] == seen["compression"]
    mistake = (str(seen["compression"]), "That one is best on the images that it has learned by heart.")
    return Solution(
        answer=str(best["compression"]),
        why=f"{best['unseen']:.3f}, over seeds {best['unseen_low']:.3f} to {best['unseen_high']:.3f}; "
        + ", ".join(
            f"{row['compression']} {row['unseen_low']:.3f} to {row['unseen_high']:.3f}"
            for _, row in coded.iterrows()
            if row["compression"] != best["compression"]
        )
        + ". Where these overlap, another seed may turn the order.",
        hints=('The largest number in the column "unseen", of the codes.', "Leave out the row of full rows, none."),
        mistakes=() if same or _bare(best) == _bare(seen) else (mistake,),
    )


def _bare(row: Any) -> str:
    return str(row["compression"]).partition("(")[0]


def _by_way(table: Any, code: str, bits: int) -> dict[str, float]:
    rows = table[(table["code"] == code) & (table["bits"] == bits)]
    return dict(zip(rows["way"], np.asarray(rows[score(table)], float), strict=True))
