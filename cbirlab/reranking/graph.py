"""Graph: who lists whom among its nearest, as sparse matrices that the methods of re-ranking share."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.reranking.answers import Answers
from cbirlab.reranking.gallery import Gallery

MOST_JOINED = 5_000
"""Images of a database that queries may join."""


def powers(cosines: np.ndarray, exponent: float) -> np.ndarray:
    """max(s, 0) to the power of `exponent`, and 0 where there is no image (-inf)."""
    return np.where(cosines > -np.inf, np.maximum(cosines, 0) ** exponent, 0.0)


def would_list(cosines: np.ndarray, last: np.ndarray, belongs: np.ndarray) -> np.ndarray:
    """Whether an image would list a query among its own k: the query is nearer than the last of them.

    A query that is in the database itself (`belongs`) may be the last one.
    """
    return (cosines > last) | (belongs & (cosines >= last) & (cosines > -np.inf))


def sparse_lists(images: np.ndarray, there: np.ndarray, values: np.ndarray | float, width: int) -> Any:
    """A sparse matrix (Q, width) with `values` at the images (Q, k) of each row, where they are `there` (Q, k)."""
    from scipy.sparse import csr_array

    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    shown = np.broadcast_to(np.asarray(values, np.float64), there.shape)[there]
    matrix = csr_array((shown, images[there].astype(np.int32), ends.astype(np.int32)), shape=(len(images), width))
    matrix.sort_indices()
    return matrix


def with_own(own: np.ndarray, images: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists (Q, k) and where they are there, with each row's own image (Q,) before them; -1 if it has none."""
    return np.concatenate([own[:, None], images], axis=1), np.concatenate([own[:, None] >= 0, there], axis=1)


def row_numbers(matrix: Any) -> np.ndarray:
    """The row of each entry of a sparse matrix."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def row_scaled(matrix: Any, factors: np.ndarray) -> Any:
    """A sparse matrix (Q, N) with each row times its factor (Q,)."""
    return type(matrix)((matrix.data * factors[row_numbers(matrix)], matrix.indices, matrix.indptr), matrix.shape)


def column_scaled(matrix: Any, factors: np.ndarray) -> Any:
    """A sparse matrix (Q, N) with each column times its factor (N,)."""
    return type(matrix)((matrix.data * factors[matrix.indices], matrix.indices, matrix.indptr), matrix.shape)


def mutual_graph(gallery: Gallery, k: int, gamma: float) -> Any:
    """Affinities (N, N), symmetric and sparse: max(s, 0)^γ of images that are both among the other's `k` nearest.

    An image is not its own neighbour. The graph of lists that need not be mutual ranks differently.
    """
    images, cosines = gallery.neighbours(k)
    listed = sparse_lists(images, cosines > -np.inf, powers(cosines, gamma), len(gallery))
    return listed.minimum(listed.T).tocsr()


def symmetrically_normalised(graph: Any) -> Any:
    """D^-1/2 A D^-1/2 with the degrees D of a sparse graph; images without an edge have rows of zeros."""
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    scale = np.divide(1, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)
    return column_scaled(row_scaled(graph, scale), scale)


def joined(answers: Answers, owner: str) -> tuple[Gallery, np.ndarray]:
    """A database with the queries of a call before the images, and the row of each query there (Q,).

    A query that is in the database itself takes its own row.

    Raises
    ------
    ValueError : the database is too large.
    """
    if len(answers.gallery) > MOST_JOINED:
        raise ValueError(
            f"{owner}: with joint=True the queries join a database of at most {MOST_JOINED:,} images, got "
            f"{len(answers.gallery):,}; leave joint=False."
        )
    new = answers.own < 0
    rows = np.concatenate([answers.queries[new], np.asarray(answers.gallery.rows, np.float64)])
    return Gallery(rows), np.where(new, np.cumsum(new) - 1, answers.own + new.sum())
