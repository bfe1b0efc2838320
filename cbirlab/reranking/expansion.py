"""Expansion: the query, or every image of the database, moves towards its nearest images; then all are searched again.

Each gives L2(q + Σ w_i x_i) over the k nearest x_i of q, which itself counts 1; they differ in the weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from cbirlab.base.params import Choice, Range
from cbirlab.index.exact import ExactIndex
from cbirlab.index.ranking import blocks
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import ELEMENTS, Gallery
from cbirlab.reranking.graph import powers, would_list
from cbirlab.reranking.neighbours import ASKED
from cbirlab.whitening import normalise


def unchanged(answers: Answers) -> Answers:
    """The answers as they are."""
    return answers


def aqe(answers: Answers, *, k: Annotated[int, ASKED] = 3) -> Answers:
    """Average query expansion: w_i = 1.

    Parameters
    ----------
    k : nearest images that are added to the query. Best is about the number of right answers near the query; with
        fewer than k, wrong images are added.
    """
    images, cosines = answers.nearest(k)
    return _expanded(answers, images, (cosines > -np.inf).astype(float))


def decay(
    answers: Answers, *, k: Annotated[int, ASKED] = 10, mutual: Annotated[bool, Choice((True, False))] = True
) -> Answers:
    """Average query expansion with decay: w_i = (k + 1 - i) / (k + 1) for the i-th nearest image, i from 1.

    The published weights (k - i) / k give the last of k images none.

    Parameters
    ----------
    k : nearest images that are added to the query.
    mutual : add only those that would list the query among their own k nearest, so that how many are added adapts to
        the query (an extension of ours).
    """
    images, cosines = answers.nearest(k)
    weights = np.where(cosines > -np.inf, (k - np.arange(images.shape[1])) / (k + 1), 0.0)
    if mutual:
        last = answers.gallery.reach(k)[images]
        weights = np.where(would_list(cosines, last, answers.own[:, None] >= 0), weights, 0.0)
    return _expanded(answers, images, weights)


def alpha_qe(
    answers: Answers, *, k: Annotated[int, ASKED] = 3, alpha: Annotated[float, Range(0.0, 100.0, step=0.5)] = 3.0
) -> Answers:
    """α-query expansion: w_i = max(s_i, 0)^α with the cosine s_i.

    Parameters
    ----------
    k : nearest images that are added to the query.
    alpha : 0 is average query expansion; the larger, the less count images that are far.
    """
    images, cosines = answers.nearest(k)
    return _expanded(answers, images, powers(cosines, alpha))


def dba(
    answers: Answers, *, k: Annotated[int, ASKED] = 3, alpha: Annotated[float, Range(0.0, 100.0, step=0.5)] = 0.0
) -> Answers:
    """Database-side augmentation: every image becomes L2(x + Σ max(s_i, 0)^α x_i) over its k nearest others.

    All are made from the images as they were; then the query is searched among them. The methods that follow in a chain
    see the changed database.

    Parameters
    ----------
    k : images that are added to each.
    alpha : exponent of the weights; 0 counts all alike.
    """
    before = answers.gallery
    after = before.changed(("dba", k, alpha), lambda: _augmented(before, k, alpha))
    return replace(answers, gallery=after, search=ExactIndex().fit(after.rows).search).searched(answers.queries)


def _expanded(answers: Answers, images: np.ndarray, weights: np.ndarray) -> Answers:
    """The answers to each query plus its images (Q, k) times their weights (Q, k)."""
    rows = answers.queries + _sums(answers.gallery.rows, images, weights)
    return answers.searched(rows, neighbours=images, weights=weights)


def _augmented(gallery: Gallery, k: int, alpha: float) -> np.ndarray:
    """All rows (N, D) of a database, each with its neighbours added."""
    images, cosines = gallery.neighbours(k)
    rows = np.asarray(gallery.rows)
    # added in the order of rows: of images that are each other's neighbours, the sums are equal to the last bit
    members = np.concatenate([np.arange(len(rows))[:, None], images], axis=1)
    weights = np.concatenate([np.ones((len(rows), 1)), powers(cosines, alpha)], axis=1)
    order = np.argsort(members, axis=1, kind="stable")
    sums = _sums(rows, np.take_along_axis(members, order, 1), np.take_along_axis(weights, order, 1))
    return normalise(sums).astype(np.float32)


def _sums(rows: np.ndarray, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums (Q, D) in float64 of the rows (N, D) of images (Q, k) times weights (Q, k)."""
    found = np.empty((len(images), rows.shape[1]))
    for part in blocks(len(images), ELEMENTS // max(1, images.shape[1] * rows.shape[1])):
        near = np.asarray(rows[images[part]], np.float64)
        found[part] = np.einsum("qk,qkd->qd", weights[part], near)
    return found
