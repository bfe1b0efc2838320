"""Re-scoring: the first results of a search by codes, scored again with full descriptors."""

from __future__ import annotations

import numpy as np

from cbirlab.index.ranking import Ranking, blocks

ELEMENTS = 2**23
"""Numbers that are held at a time."""


def rescore(ranking: Ranking, queries: np.ndarray, rows: np.ndarray, places: int) -> Ranking:
    """Put the first `places` results of every query in the order of their inner products with it.

    What follows them keeps its order. Its scores are lowered by one number for each query where they would be larger
    than those before them, since scores of codes and of descriptors need not agree.

    Parameters
    ----------
    queries, rows : (Q, D) and (N, D), full descriptors, which may be a memory map: only some rows are read.
    """
    places = min(places, ranking.images.shape[1])
    images, scores = ranking.images.copy(), ranking.scores.copy()
    for part in blocks(len(images), ELEMENTS // max(1, places * rows.shape[1])):
        first = images[part, :places]
        found = np.einsum("qd,qkd->qk", queries[part].astype(np.float64), rows[first].astype(np.float64))
        found = np.where(scores[part, :places] == -np.inf, -np.inf, found).astype(np.float32)
        order = np.lexsort((first, -found), axis=1)
        images[part, :places] = np.take_along_axis(first, order, axis=1)
        scores[part, :places] = np.take_along_axis(found, order, axis=1)
    if places < scores.shape[1]:
        last, following = scores[:, places - 1], scores[:, places]
        above = np.zeros_like(last)
        np.subtract(following, last, out=above, where=following > last)
        scores[:, places:] = np.minimum(scores[:, places:] - above[:, None], last[:, None])
    return Ranking(images, scores)
