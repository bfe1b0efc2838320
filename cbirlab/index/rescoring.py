"""Re-scoring: the first results of a search by codes, scored again with full descriptors."""

from __future__ import annotations

import numpy as np

from cbirlab.compression.scalar import FullRows
from cbirlab.index.ranking import LOW_WORD, Ranking, blocks, keys_of, unpack_scores

ELEMENTS = 2**23
"""Numbers that are held at a time."""


def rescore(ranking: Ranking, queries: np.ndarray, rows: np.ndarray, places: int) -> Ranking:
    """Put the first `places` results of every query in the order of their inner products with it; see `reorder`.

    Parameters
    ----------
    queries, rows : (Q, D) and (N, D), full descriptors, which may be a memory map: only some rows are read.
    """
    first = ranking.images[:, :places]
    scores = np.empty(first.shape, np.float32)
    for part in blocks(len(first), ELEMENTS // max(1, first.shape[1] * rows.shape[1])):
        scores[part] = FullRows().scores_beside(queries[part], rows[first[part]])
    return reorder(ranking, scores)


def reorder(ranking: Ranking, scores: np.ndarray) -> Ranking:
    """Put the first results of every query in the order of other scores; equal ones by image index.

    What follows them keeps its order. Its scores are lowered by one number for each query where they would be larger
    than those before them, since the two kinds of scores need not agree. What was no answer stays none.

    Parameters
    ----------
    scores : (Q, M) of the first M results, as the ranking lists them; rounded to float32.
    """
    places = scores.shape[1]
    images, falling = ranking.images.copy(), ranking.scores.copy()
    found = scores.astype(np.float32)
    found[falling[:, :places] == -np.inf] = -np.inf
    keys = np.sort(keys_of(found, images[:, :places]), axis=1)
    images[:, :places], falling[:, :places] = keys & LOW_WORD, unpack_scores(keys)
    if places < falling.shape[1]:
        last, following = falling[:, places - 1], falling[:, places]
        above = np.zeros_like(last)
        np.subtract(following, last, out=above, where=following > last)
        falling[:, places:] = np.minimum(falling[:, places:] - above[:, None], last[:, None])
    return Ranking(images, falling)
