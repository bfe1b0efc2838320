"""Prepared: descriptors on their way from the aggregation to the search."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbirlab.pipeline.added import ROWS, stages_used
from cbirlab.pipeline.recipe import Recipe
from cbirlab.whitening import normalise, project


def prepared(recipe: Recipe, values: np.ndarray, dimensions: int | None) -> np.ndarray:
    """Whitened descriptors as they are searched: cut to `dimensions`, then changed by the added stages."""
    found = _shortened(values, dimensions)
    for method in stages_used(recipe, ROWS).values():
        found = method.target()(found, **method.parameters)
    return found


def projected(whitening: Any, values: np.ndarray) -> np.ndarray:
    """Whitened descriptors with all dimensions, not normalised again; without a whitening, L2-normalised."""
    return normalise(values) if whitening is None else project(whitening, values)


def _shortened(values: np.ndarray, dimensions: int | None) -> np.ndarray:
    """The leading dimensions, rows L2-normalised."""
    kept = values if dimensions is None else values[:, :dimensions]
    return normalise(kept) if len(kept) else kept


def check_dimensions(recipe: Recipe, width: int) -> int | None:
    """Dimensions to keep of `width` whitened ones.

    Raises
    ------
    ValueError : fewer dimensions are asked for, but they have no order of importance.
    """
    if recipe.whitening.fact("ordered") or recipe.dimensions in (None, width):
        return recipe.dimensions
    raise ValueError(
        f"Recipe: dimensions must be {width} or None with whitening {recipe.whitening!r}, got {recipe.dimensions}; "
        "its dimensions have no order of importance, use whitening='pca' to keep fewer."
    )
