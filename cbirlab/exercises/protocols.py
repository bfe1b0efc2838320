"""Exercises of notebook 12: why do my numbers differ?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cbirlab.datasets import Dataset, Query
from cbirlab.index import Ranking, ranked


def made_ranking(
    queries: int = 2000, images: int = 1000, *, right: int = 10, shift: float = 1.5, seed: int = 0
) -> tuple[Ranking, Dataset]:
    """Rankings by random scores, those of the right answers larger by `shift` standard deviations; and their labels.

    Nothing of it exists as a picture: a judge needs none.
    """
    scores = np.random.default_rng(seed).standard_normal((queries, images))
    scores[:, :right] += shift
    dataset = Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(images)),
        queries=tuple(Query(Path(f"query {row}.jpg")) for row in range(queries)),
        labels=({"positive": tuple(range(right))},) * queries,
    )
    return ranked(scores), dataset
