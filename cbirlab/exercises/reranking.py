"""Exercises of notebook 15: when does asking the neighbours help?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.exercises.base import Solution, exercise
from cbirlab.reranking import Reranking
from cbirlab.study.grid import compare

if TYPE_CHECKING:
    import pandas as pd

WAYS = {"aqe": "aqe(k={})", "decay": "decay(k={}, mutual=False)", "decay, mutual": "decay(k={})"}


def compare_counts(dataset: Dataset, counts: Sequence[int], **given: Any) -> pd.DataFrame:
    """Compare ways of query expansion by how many images they add.

    Parameters
    ----------
    counts : images that are added.
    given : of `cbirlab.compare`.

    Returns
    -------
    Its rows, with "way" and "k"; k = 0, no expansion, stands in every way.
    """
    import pandas as pd

    chains = {(way, k): Reranking.parse(text.format(k)).key for way, text in WAYS.items() for k in counts}
    table = compare(dataset, rerankings=["none", *dict.fromkeys(chains.values())], **given).set_index("rerank")
    asked = [(way, 0, "none") for way in WAYS] + [(way, k, chain) for (way, k), chain in chains.items()]
    return pd.DataFrame([{**table.loc[chain], "way": way, "k": k} for way, k, chain in asked])


@exercise("15_reranking.prediction", title="The best number of neighbours to add")
def prediction(table: Any) -> Solution:
    """`table`: of `cbirlab.compare`, a row for each "k" of average query expansion; 0 stands for no re-ranking."""
    level = next(name for name in ("map_medium", "map") if name in table)
    best = table.loc[table[level].idxmax()]
    worst = table.loc[table[level].idxmin()]
    return Solution(
        answer=int(best["k"]),
        why=f"mAP {best[level]:.3f} there, {worst[level]:.3f} with {int(worst['k'])}: few queries have so many right "
        "answers near them, and what is added beyond these is wrong.",
        hints=("The largest mAP in the table; 0 stands for no re-ranking.",),
    )


@exercise("15_reranking.1", title="Weights that decay")
def weights(k: int = 4) -> Solution:
    """What the images at places 1 to k count, if the query counts 1 and each place 1 / (k + 1) less."""
    found = [(k + 1 - place) / (k + 1) for place in range(1, k + 1)]
    return Solution(
        answer=found,
        why="The last one still counts; with the published (k - i) / k it would count nothing.",
        hints=("The query stands at place 0 and counts 1.", "From place to place it is 1 / 5 less."),
        mistakes=(([(k - place) / k for place in range(1, k + 1)], "There the last of k images counts nothing."),),
    )


@exercise("15_reranking.2", title="Where expansion moves a query")
def moved(query: tuple[float, float] = (1.0, 0.0), image: tuple[float, float] = (0.6, 0.8)) -> Solution:
    """Cosine of the expanded query with the one image that was added."""
    q, x = np.array(query), np.array(image)
    both = q + x
    cosine = float(both @ x / np.linalg.norm(both))
    return Solution(
        answer=cosine,
        why="The sum of two unit vectors lies halfway between them, so it is as near to one as to the other; whatever "
        "is near to the image has come nearer.",
        hints=("Add the two vectors, then divide by the length of the sum.", "The length of (1.6, 0.8) is 1.789."),
        mistakes=((float(q @ x), "That is the cosine before."), (float(both @ x), "Divide by the length of the sum.")),
    )


@exercise("15_reranking.3", title="Queries that lose")
def losers(frame: Any) -> Solution:
    """`frame`: of `cbirlab.versus`, after re-ranking against before."""
    count, won = int(frame.attrs["b_wins"]), int(frame.attrs["a_wins"])
    return Solution(
        answer=count,
        why=f"{won} of {frame.attrs['queries']} win. A mean hides both: look at a loser's first row "
        "for a wrong image with a plus.",
        hints=("A row of the table is a query; negative differences are losses.", "frame.attrs has both counts."),
        mistakes=((won, "These win."),) if won != count else (),
    )


@exercise("15_reranking.4", title="What costs most per point of mAP")
def dearest(table: Any) -> Solution:
    """`table`: of `cbirlab.compare`, a row per method; the column "rerank_ms" has milliseconds per query."""
    used = table[table["rerank"] != "none"]
    slowest = used.loc[used["rerank_ms"].idxmax()]
    return Solution(
        answer=str(slowest["rerank"]),
        why=f"{slowest['rerank_ms']:.2f} ms for each query; the fastest takes {used['rerank_ms'].min():.2f} ms.",
        hints=('The largest "rerank_ms"; answer with the text of the column "rerank".',),
    )
