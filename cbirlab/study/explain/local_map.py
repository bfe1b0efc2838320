"""Local map: a query and some images in the plane, in which every other descriptor has its exact place too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbirlab.reranking import Answers
from cbirlab.study.explain.cells import leading_plane

NEARBY = 100
"""Results on a map, if nobody says how many."""


@dataclass(frozen=True, eq=False)
class LocalMap:
    """A query and n images in the plane of their two leading principal axes.

    Attributes
    ----------
    images : (n,) rows of the database.
    points : (n, 2) where they lie; `query` (2,), where the query does.
    mean, axes : (D,) and (D, 2), of the query and these images.
    share : of their variance that the plane holds.
    """

    images: np.ndarray
    points: np.ndarray
    query: np.ndarray
    mean: np.ndarray
    axes: np.ndarray
    share: float

    def place(self, rows: np.ndarray) -> np.ndarray:
        """Where other descriptors (m, D) lie (m, 2)."""
        return (rows - self.mean) @ self.axes


def map_of_results(answers: Answers, most: int = NEARBY) -> LocalMap:
    """The map of the one query of some answers and of its first results, itself left out.

    Raises
    ------
    ValueError : there is none.
    """
    images, cosines = (part[0] for part in answers.nearest(most))
    found = images[cosines > -np.inf]
    if not len(found):
        raise ValueError("map: there is no other image with a descriptor to compare this picture with.")
    return local_map(answers.queries[0], answers.gallery.rows, found)


def local_map(query: np.ndarray, rows: np.ndarray, images: np.ndarray) -> LocalMap:
    """The map of a query (D,) and of some images of a database (N, D), given by their rows (n,)."""
    seen = np.concatenate([query[None], rows[images]]).astype(np.float64)
    mean, (axes, share) = seen.mean(axis=0), leading_plane(seen)
    points = (seen - mean) @ axes
    return LocalMap(np.asarray(images), points[1:], points[0], mean, axes, share)
