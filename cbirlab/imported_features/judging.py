"""Judging descriptors that were computed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cbirlab.base.params import Choice
from cbirlab.datasets.base import Dataset
from cbirlab.evaluation import Evaluation, Protocol, evaluate
from cbirlab.index import ExactIndex, Ranking
from cbirlab.reranking import Reranking
from cbirlab.reranking.arrays import rerank_rows
from cbirlab.whitening import normalise

SIMILARITY = Choice(("cosine", "inner", "euclidean"))
"""How descriptors are compared as they come: by direction, inner product, or distance with its sign turned."""


def rank_features(
    database: np.ndarray,
    queries: np.ndarray | None,
    dataset: Dataset,
    *,
    similarity: str = "cosine",
    k: int | None = None,
    rerank: str = "none",
) -> Ranking:
    """Rank the database by descriptors that were made elsewhere.

    A row of zeros counts as no descriptor, whatever the similarity: most files mark undescribed images in this way.

    Parameters
    ----------
    database : (N, D), row i is ``dataset.images[i]``.
    queries : (Q, D), row q is ``dataset.queries[q]``; None takes the queries' own rows of the database.
    similarity : "cosine", "inner" product, or "euclidean" distance, whose negative square is the score.
    k : results per query, all by default.
    rerank : how they are re-ranked, a chain of methods of `RERANKERS` that need no pictures; for cosines.

    Raises
    ------
    ValueError : numbers of images or dimensions that do not fit, or `queries` is None and they are not in the database;
        re-ranking of other similarities, or by pictures.
    """
    SIMILARITY.check("rank_features", "similarity", similarity)
    database = _of_dataset("database", database, len(dataset.images), dataset)
    asked = _own_rows(database, dataset) if queries is None else queries
    asked = _of_dataset("queries", asked, len(dataset.queries), dataset)
    if asked.shape[1] != database.shape[1]:
        raise ValueError(
            f"rank_features: queries must have {database.shape[1]} dimensions like the database, got {asked.shape[1]}."
        )
    if similarity == "cosine":
        database, asked = normalise(database), normalise(asked)
    elif similarity == "euclidean":
        database, asked = _as_products(database, asked)
    chain = Reranking.parse(rerank)
    if not chain.used:
        return ExactIndex().fit(database).search(asked, k)
    if similarity != "cosine":
        raise ValueError(f"rank_features: rerank {chain!r} needs similarity 'cosine', got {similarity!r}.")
    own = np.array([-1 if query.index is None else query.index for query in dataset.queries])
    return rerank_rows(asked, database, chain, k, own)


def evaluate_features(
    database: np.ndarray,
    queries: np.ndarray | None,
    dataset: Dataset,
    *,
    similarity: str = "cosine",
    k: int | None = None,
    rerank: str = "none",
    protocol: str | Protocol | None = None,
    average_precision: str | None = None,
    metrics: Sequence[str] = (),
) -> Evaluation:
    """Judge descriptors that were made elsewhere; parameters and errors are those of `rank_features` and `evaluate`."""
    ranking = rank_features(database, queries, dataset, similarity=similarity, k=k, rerank=rerank)
    return evaluate(ranking, dataset, protocol, average_precision, metrics=metrics)


def _of_dataset(name: str, values: Any, count: int, dataset: Dataset) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2 or len(values) != count:
        other = values.ndim == 2 and values.shape[1] == count
        hint = f" That is D x N: pass {name}.T, or import it with columns=True." if other else ""
        raise ValueError(
            f"rank_features: {name} must be (N, D), one row for each of the {count} of {dataset.name!r}, got "
            f"{values.shape}.{hint}"
        )
    return values


def _own_rows(database: np.ndarray, dataset: Dataset) -> np.ndarray:
    rows = [query.index for query in dataset.queries]
    if None in rows:
        raise ValueError(
            f"rank_features: queries must be given for {dataset.name!r}, whose queries are not all in the database."
        )
    return database[np.array(rows, dtype=np.int64)]


def _as_products(database: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Append two columns, so that the inner product is the negative squared distance; rows of zeros stay zero."""
    database, queries = database.astype(np.float64), queries.astype(np.float64)
    ours, theirs = (np.einsum("nd,nd->n", rows, rows)[:, None] for rows in (database, queries))
    one, other = (rows.any(axis=1, keepdims=True) for rows in (database, queries))
    return np.hstack([database, ours, one]), np.hstack([2 * queries, -1.0 * other, -theirs])
