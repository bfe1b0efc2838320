"""Spatial verification: the first results are put in the order of how much of the query they show in its arrangement.

Methods of `cbirlab.reranking.methods`. They read pictures, not descriptors of pictures, and so any search can come
before them. A picture that is gone or shows nothing to match has no inliers and keeps its place among its like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Choice, Range
from cbirlab.base.progress import bar
from cbirlab.reranking.answers import Answers, Pictures
from cbirlab.reranking.geometry import MODELS, Fit, fit_affine, fit_upright
from cbirlab.reranking.keypoints import Keypoints
from cbirlab.reranking.matching import match_by_ratio, match_mutually

TOP = Range(1, 1000, integer=True)
ORDER = Choice(("blend", "inliers"))
WEIGHT = Range(0.0, 10.0, step=0.1)
LEAST = Range(1, 100, integer=True)
MODEL = Choice(tuple(MODELS))
TAP = Range(1, 16, integer=True)
OF_MAPS = {"upright": fit_upright, "affine": fit_affine}

HALF = 10
"""Inliers that count half of what any number of them could."""


def spatial(
    answers: Answers,
    *,
    top: Annotated[int, TOP] = 100,
    ratio: Annotated[float, Range(0.1, 1.0, step=0.05)] = 0.85,
    pixels: Annotated[float, Range(0.5, 100.0, step=0.5)] = 8.0,
    model: Annotated[str, MODEL] = "single",
    order: Annotated[str, ORDER] = "blend",
    weight: Annotated[float, WEIGHT] = 1.0,
    least: Annotated[int, LEAST] = 4,
) -> Answers:
    """Verify the first images by RootSIFT keypoints and one model for all matches of two pictures.

    Parameters
    ----------
    top : images that are verified.
    ratio : a keypoint matches its nearest if that is nearer than so many times the second.
    pixels : how far from where the model takes it an inlier may lie, in pixels of the image as it was described.
    model : "single", every match alone gives one, and nothing is drawn by chance; "affine" and "homography", by RANSAC;
        "magsac", homographies by MAGSAC++. All are the same at every call.
    order : "blend" adds weight * v / (v + 10) to the score, v inliers, in units of the range of the first scores;
        "inliers" puts images with more inliers first, and among equal ones those with the higher score.
    weight : how much inliers count in a blend.
    least : inliers that a match needs; fewer count as none.
    """

    def count(query: Keypoints, images: Sequence[Keypoints]) -> list[int]:
        rows = query.rows
        return [verify(query, image, ratio=ratio, pixels=pixels, model=model, rows=rows)[1].inliers for image in images]

    return _verified(answers, "spatial", "keypoints", top, count, order, weight, least)


def columns(
    answers: Answers,
    *,
    top: Annotated[int, TOP] = 100,
    tap: Annotated[int, TAP] = 2,
    cells: Annotated[float, Range(0.5, 20.0, step=0.5)] = 1.5,
    model: Annotated[str, Choice(tuple(OF_MAPS))] = "upright",
    order: Annotated[str, ORDER] = "blend",
    weight: Annotated[float, WEIGHT] = 1.0,
    least: Annotated[int, LEAST] = 6,
) -> Answers:
    """Verify the first images by the columns of a map of the network, and one model; no other network runs.

    Columns match that are each other's nearest. The mean column of the images that this query verifies is subtracted
    first, or else all columns are alike; so no answer depends on the other queries.

    Parameters
    ----------
    top, order, weight, least : as for `spatial`.
    tap : which maps of the network: 1 for the deepest, 2 for those before, which have more cells in most networks.
    cells : how far from where the model takes it an inlier may lie, in cells of the map.
    model : "upright", scale and shift, all tried that one match gives; or "affine", by RANSAC.
    """

    def count(query: np.ndarray, maps: Sequence[np.ndarray]) -> list[int]:
        middle = mean_column(maps)
        rows = unit_columns(query, middle)
        return [verify_map(query, one, middle, cells=cells, model=model, rows=rows)[1].inliers for one in maps]

    return _verified(answers, "columns", f"maps/{tap}", top, count, order, weight, least)


def verify(
    query: Keypoints,
    image: Keypoints,
    *,
    ratio: float = 0.85,
    pixels: float = 8.0,
    model: str = "single",
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, Fit]:
    """Match two pictures and fit a model; the parameters are those of `spatial`.

    Parameters
    ----------
    rows : RootSIFT of the query, if it is at hand.

    Returns
    -------
    pairs (n, 2) of keypoints, and the model with its inliers among them.
    """
    pairs = match_by_ratio(query.rows if rows is None else rows, image.rows, ratio)
    return pairs, MODELS[model](query.places[pairs[:, 0]], image.places[pairs[:, 1]], pixels)


def verify_map(
    query: np.ndarray,
    image: np.ndarray,
    middle: np.ndarray,
    *,
    cells: float = 1.5,
    model: str = "upright",
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, Fit]:
    """Match the columns of two maps (C, H, W) less a mean column (C,), and fit a model; parameters as of `columns`.

    Parameters
    ----------
    rows : unit columns of the query, if they are at hand.

    Returns
    -------
    pairs (n, 2) of cells, counted row by row, and the model with its inliers among them; its pixels are cells.
    """
    pairs = match_mutually(unit_columns(query, middle) if rows is None else rows, unit_columns(image, middle))
    places, others = _cells(pairs[:, 0], query.shape[2]), _cells(pairs[:, 1], image.shape[2])
    return pairs, OF_MAPS[model](places, others, cells)


def mean_column(maps: Sequence[np.ndarray]) -> np.ndarray:
    """The mean (C,) of all columns of some maps (C, H, W), float32; of zeros if there is none."""
    sums = np.sum([one.sum(axis=(1, 2)) for one in maps], axis=0, dtype=np.float64)
    return np.asarray(sums / max(1, sum(one[0].size for one in maps)), np.float32)


def unit_columns(one: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """The columns of a map (C, H, W) less a mean column (C,), row by row: (H * W, C) of unit L2 norm."""
    columns = one.reshape(len(one), -1) - middle[:, None]
    columns /= np.maximum(np.linalg.norm(columns, axis=0), 1e-12)
    return columns.T


def _cells(numbers: np.ndarray, width: int) -> np.ndarray:
    """x and y (n, 2) of cells of a map of so many columns, float32."""
    return np.stack([numbers % max(1, width), numbers // max(1, width)], axis=1).astype(np.float32)


def _verified(
    answers: Answers,
    owner: str,
    kind: str,
    top: int,
    count: Callable[[Any, Sequence[Any]], list[int]],
    order: str,
    weight: float,
    least: int,
) -> Answers:
    """The answers with their first `top` images in the order of their inliers, which `count` gives for each query."""
    if answers.pictures is None:
        raise ValueError(f"{owner}: it looks at pictures, and these answers come from descriptors alone; leave it out.")
    images, scores = answers.ranking.images[:, :top], answers.ranking.scores[:, :top]
    inliers = np.zeros(images.shape, np.int64)
    for query in bar(range(len(answers)), desc="verified", unit="query"):  # can be ended at each
        listed = scores[query] > -np.inf
        if listed.any():
            asked = _features_of(answers, answers.pictures, kind, query)
            inliers[query, listed] = count(asked, answers.pictures.of_images(kind, images[query, listed].tolist()))
    counted = np.where(inliers < least, 0, inliers)
    others = images != answers.own[:, None]
    found = blended(scores, counted, weight, others) if order == "blend" else by_inliers(scores, counted)
    return answers.scored(found, verified=images, inliers=inliers)


def _features_of(answers: Answers, pictures: Pictures, kind: str, query: int) -> Any:
    """Features of a query; of an image of the database that is the query, those of the image."""
    asked, own = int(answers.asked[query]), int(answers.own[query])
    if asked < 0 <= own:
        return pictures.of_images(kind, [own])[0]
    return pictures.of_queries(kind, [asked])[0]


def blended(scores: np.ndarray, inliers: np.ndarray, weight: float, others: np.ndarray) -> np.ndarray:
    """Scores (Q, M) plus weight * v / (v + 10) for v inliers (Q, M), in units of the range of each query's scores.

    The range is that of the answers which are not the query itself (`others`); if they are equal, it is 1.
    """
    counts = others & (scores > -np.inf)
    highest = np.where(counts, scores, -np.inf).max(axis=1, initial=-np.inf)
    lowest = np.where(counts, scores, np.inf).min(axis=1, initial=np.inf)
    spread = np.where(highest > lowest, highest.astype(np.float64) - lowest, 1.0)
    known = np.where(scores > -np.inf, scores, 0).astype(np.float64)
    return known + weight * spread[:, None] * inliers / (inliers + HALF)


def by_inliers(scores: np.ndarray, inliers: np.ndarray) -> np.ndarray:
    """Inliers (Q, M), and behind the point which of the scores (Q, M) an answer has: the first would have .99..., the
    last .0; equal scores stay equal.
    """
    below = np.sort(scores, axis=1)
    places = np.stack([np.searchsorted(one, mine) for one, mine in zip(below, scores, strict=True)])
    return inliers + places / scores.shape[1]
