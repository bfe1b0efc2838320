"""Decided: which fields of a recipe decide what a bench keeps, among those in which its recipes differ."""

from __future__ import annotations

from typing import Any

from cbirlab.pipeline.added import ROWS, stages_used
from cbirlab.pipeline.distractors import synthetic
from cbirlab.pipeline.recipe import Recipe


def whitened_as(recipe: Recipe) -> tuple[Any, ...]:
    """The fields that decide descriptors with all dimensions, among those in which recipes of a bench differ."""
    return recipe.tap, recipe.aggregation, recipe.whitening, recipe.whitening_set


def searched_as(recipe: Recipe) -> tuple[Any, ...]:
    """The fields that decide descriptors as they are searched."""
    return *whitened_as(recipe), recipe.dimensions, *stages_used(recipe, ROWS).items()


def database_as(recipe: Recipe) -> tuple[Any, ...]:
    """The fields that decide the database as it is searched, with its distractors."""
    return *searched_as(recipe), recipe.distractors, recipe.seed * (synthetic(recipe) > 0)


def built_as(recipe: Recipe) -> tuple[Any, ...]:
    """The fields that decide an index: all but its dials."""
    return *database_as(recipe), recipe.compression, recipe.index.built
