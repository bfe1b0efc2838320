"""Ranks of neighbours: the nearest images of a query are searched for too, and all rankings vote."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from cbirlab.base.params import Range
from cbirlab.index.ranking import blocks
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import ELEMENTS


def rank_neighbours(answers: Answers, *, k: Annotated[int, Range(1, 200, integer=True)] = 5) -> Answers:
    """Fusion of reciprocal ranks: 1 / r_q(x) + Σ 1 / (i + 1) · 1 / r_i(x), with the rank r_i(x), from 1, of an image x
    for the i-th nearest image, i from 1.

    It reads ranks alone, so that neither the scale of scores nor a graph matters. Neighbours are searched for as the
    query was; images beyond the end of their lists get nothing from them. For the query's own picture the rank is that
    of the image that follows it.

    Parameters
    ----------
    k : neighbours that vote.
    """
    images, cosines = answers.nearest(k)
    listed, depth = answers.ranking.images, answers.ranking.images.shape[1]
    weights = np.where(cosines > -np.inf, 1 / (2 + np.arange(images.shape[1])), 0.0)
    own = np.equal(listed, answers.own[:, None])
    scores = 1 / (1 + np.arange(depth) - (np.cumsum(own, axis=1) - own))
    for part in blocks(len(answers), ELEMENTS // (images.shape[1] * depth)):
        asked, places = np.unique(images[part], return_inverse=True)
        lists = answers.search(np.asarray(answers.gallery.rows[asked]), depth)
        votes = np.where(lists.scores > -np.inf, 1 / (1 + np.arange(depth)), 0.0)
        for query, voters in zip(range(part.start, part.stop), places.reshape(-1, images.shape[1]), strict=True):
            gained = np.zeros(len(answers.gallery))
            for weight, voter in zip(weights[query], voters, strict=True):
                gained[lists.images[voter]] += weight * votes[voter]
            scores[query] += gained[listed[query]]
    return answers.scored(scores)
