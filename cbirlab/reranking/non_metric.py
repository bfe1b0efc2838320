"""Non-metric: a network that has learned from labelled pairs scores the first results anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range
from cbirlab.reranking.answers import Answers


def nonmetric(
    answers: Answers,
    *,
    learned: Mapping[str, np.ndarray],
    top: Annotated[int, Range(1, 5000, integer=True)] = 100,
    hidden: Annotated[int, Range(1, 4096, integer=True)] = 512,
    margin: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.2,
    steps: Annotated[int, Range(1, 100_000, step=100, integer=True)] = 200,
    seed: Annotated[int, Range(0, 2**31 - 1, integer=True)] = 0,
) -> Answers:
    """Score f([q; x]) of the first images, by a network of two hidden layers that reads query and image side by side.

    f first learns to be the cosine, then ``|f - S (c + m) - (1 - S) (c - m)|`` with the cosine c, and S = 1 for pairs
    of one instance (Garcia and Vogiatzis, IVC 2019; Eq. 12 of the survey, whose text has the values of S the other way
    round). Descriptors stay as they are. f need not be symmetric, and the query's own picture need not come first.
    Sizes, start, margin and steps are ours: the paper was not at hand to check them.

    Parameters
    ----------
    learned : the network, as `learn` gives it.
    top : how many images are scored.
    hidden : units of each hidden layer; from four times the dimensions on, f starts near the cosine.
    margin : m, how far matching pairs are to rise above their cosine, and others to fall below.
    steps : of each of the two parts of the learning.
    seed : of the network's start and of the batches.
    """
    from cbirlab.training.non_metric import score  # loads torch

    images, rows = answers.ranking.images[:, :top], answers.gallery.rows
    scores = [score(learned, query, rows[some]) for query, some in zip(answers.queries, images, strict=True)]
    return answers.scored(np.reshape(scores, images.shape))


def learn(rows: np.ndarray, labels: Sequence[str], *, top: int, **parameters: Any) -> dict[str, np.ndarray]:
    """What `nonmetric` needs: the network, see `cbirlab.training.non_metric.learn_similarity`; `top` does not count."""
    from cbirlab.training.non_metric import learn_similarity

    return learn_similarity(rows, labels, **parameters)
