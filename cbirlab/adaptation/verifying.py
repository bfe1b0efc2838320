"""Verifying: how many matches of two pictures agree in their arrangement, by keypoints that are kept in the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.adaptation.labelling import Counter
from cbirlab.base.progress import bar
from cbirlab.datasets import Dataset
from cbirlab.pipeline.pictures import DatasetPictures
from cbirlab.pipeline.recipe import Recipe
from cbirlab.reranking.spatial import verify
from cbirlab.store import Store

if TYPE_CHECKING:
    from cbirlab.adaptation.training import Training


def inlier_counter(paths: Sequence[Path], training: Training, store: Store) -> Counter:
    """A function that gives the inliers (m,) of pairs (m, 2) of pictures, as `cbirlab.reranking.spatial.verify` counts.

    A picture that is missing or broken has no inliers.

    Parameters
    ----------
    paths : the pictures; pairs number them.
    training : resolved; its image size is that of the keypoints.
    store : keeps the keypoints.
    """
    no_network: Any = None  # keypoints need none
    recipe = Recipe(image_size=training.image_size)
    pictures = DatasetPictures(Dataset("learning", tuple(paths)), no_network, recipe, store=store)

    def count(pairs: np.ndarray) -> np.ndarray:
        inliers = np.zeros(len(pairs), np.int64)
        for one in bar(np.unique(pairs[:, 0]), desc="verified", unit="image"):
            places = np.flatnonzero(pairs[:, 0] == one)
            query, *others = pictures.of_images("keypoints", [int(one), *pairs[places, 1].tolist()])
            rows = query.rows
            inliers[places] = [verify(query, other, rows=rows)[1].inliers for other in others]
        return inliers

    return count
