"""Re-scoring: the first results of a search by codes, scored again with full descriptors."""

from __future__ import annotations

import numpy as np

from cbirlab.compression.scalar import FullRows
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, keys_of, unpack_scores

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
        found = FullRows().scores_beside(queries[part], rows[first])
        found[scores[part, :places] == -np.inf] = -np.inf
        keys = np.sort(keys_of(found, first), axis=1)
        images[part, :places], scores[part, :places] = keys & LOW_WORD, unpack_scores(keys)
    if places < scores.shape[1]:
        last, following = scores[:, places - 1], scores[:, places]
        above = np.zeros_like(last)
        np.subtract(following, last, out=above, where=following > last)
        scores[:, places:] = np.minimum(scores[:, places:] - above[:, None], last[:, None])
    return Ranking(images, scores)
