"""Exercises of notebook 14: what is lost for speed?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.exercises.base import Solution, exercise
from cbirlab.index.recall import recall_of_exact
from cbirlab.index.searcher import Searcher
from cbirlab.whitening import normalise

if TYPE_CHECKING:
    import pandas as pd

ENOUGH = 0.9
ROUNDS = 3


def made_rows(images: int, *, width: int = 64, queries: int = 100, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Draw the database (images, width), queries, and rows of the same kind to learn on, all of length one.

    Topics, twenty images each of instances in them: a Gaussian around a Gaussian. They stand for descriptors of
    photographs, and only their speed and their neighbours mean something.
    """
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1) ** -0.5

    def spread(rows: np.ndarray, size: float) -> np.ndarray:
        return (rows + size * spectrum * random.standard_normal(rows.shape)).astype(np.float32)

    def instances(count: int) -> np.ndarray:
        return spread(topics[random.integers(0, len(topics), count)], 0.9)

    topics = spread(np.zeros((max(2, images // 2000), width)), 1.0)
    shown, learned = instances(max(1, images // 20)), instances(max(200, images // 20))
    database = spread(shown[np.arange(images) % len(shown)], 0.45)
    asked = spread(shown[random.integers(0, len(shown), queries)], 0.45)
    train = spread(learned[random.integers(0, len(learned), max(2000, images // 4))], 0.45)
    return normalise(database), normalise(asked), normalise(train)


Way = tuple[str, str, int]
"""Compression, index, and places that are scored again, as `cbirlab.Searcher` takes them."""


def measured(ways: Sequence[Way], rows: np.ndarray, queries: np.ndarray, train: np.ndarray) -> pd.DataFrame:
    """Build and time ways of searching, all in one run: a row for each.

    Returns
    -------
    "compression", "index", "rescore"; "bytes" per image in the index, without full rows for re-scoring; "recall@10" of
    the exact list; "speed-up" over the first way, by the CPU time of a query in a batch; "build_s", CPU seconds.
    """
    import pandas as pd

    made, table = [], []
    for compression, index, places in ways:
        start = time.process_time()
        one = Searcher(compression=compression, index=index, rescore=places).fit(rows, train=train)
        build = time.process_time() - start
        size = (one.nbytes - (rows.nbytes if places else 0)) / len(rows)
        recall = float(recall_of_exact(one.rank(queries, 10), queries, rows, 10).mean())
        made.append(one)
        table.append([compression, index, places, size, recall, build])
    # in turn, so that a busy machine slows all of them
    seconds = np.array([[_seconds(lambda one=one: one.rank(queries, 10)) for one in made] for _ in range(ROUNDS)])
    frame = pd.DataFrame(table, columns=["compression", "index", "rescore", "bytes", "recall@10", "build_s"])
    best = seconds.min(axis=0)
    frame.insert(5, "speed-up", best[0] / best)
    return frame


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return max(1e-6, time.process_time() - start)


@exercise("14_search_at_scale.prediction", title="The fastest search that finds nine of ten")
def prediction(table: Any) -> Solution:
    """`table`: of `measured`."""
    enough = table[table["recall@10"] >= ENOUGH]
    fastest = enough.loc[enough["speed-up"].idxmax()]
    return Solution(
        answer=str(fastest["index"]),
        why=f"{fastest['speed-up']:.0f} times as fast as comparing everything, recall@10 {fastest['recall@10']:.3f}.",
        hints=(f'The largest "speed-up" among the rows with a "recall@10" of {ENOUGH} or more.',),
    )


@exercise("14_search_at_scale.1", title="A hundred million images")
def memory(images: float = 1e8, width: int = 512, code: int = 16) -> Solution:
    """GB of full rows and of codes."""
    both = [images * 4 * width / 1e9, images * code / 1e9]
    return Solution(
        answer=both,
        why="The rows want a large server, or a disk; the codes fit into a laptop.",
        hints=("A number in float32 takes 4 bytes.", "1 GB is a thousand million bytes."),
        mistakes=((both[::-1], "The other way round: full rows first."), ([both[0] / 4, both[1]], "4 bytes a number.")),
    )


@exercise("14_search_at_scale.2", title="Comparisons of inverted lists")
def comparisons(images: int = 1_000_000, lists: int = 4000, probes: int = 16) -> Solution:
    """How many vectors a query is compared with: the centres, and the images of the lists that it visits."""
    count = lists + probes * images // lists
    return Solution(
        answer=count,
        why=f"{images / count:.0f} times fewer than all images; with other lists one of the parts grows.",
        hints=("First the query is compared with every centre.", "A list holds 250 images on average."),
        mistakes=((probes * images // lists, "And the centres?"), (images // lists, "That is one list.")),
    )


@exercise("14_search_at_scale.3", title="How many lists are enough?")
def enough_probes(dial: Any) -> Solution:
    """`dial`: a row per number of probes, from `measured`; the column "probes" has them."""
    enough = dial[dial["recall@10"] >= ENOUGH]
    few = int(enough["probes"].min()) if len(enough) else int(dial["probes"].max())
    return Solution(
        answer=few,
        why="Recall rises fast with the first lists and slowly with the last: neighbours lie in few cells.",
        hints=(f'The first row whose "recall@10" is {ENOUGH} or more.',),
    )


@exercise("14_search_at_scale.4", title="The smallest index that finds nine of ten")
def smallest(table: Any) -> Solution:
    """`table`: of `measured`."""
    enough = table[table["recall@10"] >= ENOUGH]
    best = enough.loc[enough["bytes"].idxmin()]
    return Solution(
        answer=str(best["compression"]),
        why=f"{best['bytes']:.0f} bytes per image; what it scores again lies elsewhere, on a disk perhaps.",
        hints=(f'The smallest "bytes" where "recall@10" is {ENOUGH} or more; answer with the "compression".',),
    )
