"""Learning sets: what whitenings, codebooks and projections are learned on, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbirlab.datasets.held_out import HELD_OUT

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.datasets.held_out import HeldOut
    from cbirlab.pipeline.recipe import Recipe

FALLBACK_WHITENING_SET = "toytown/train"
"""What is learned on where a dataset has no train split, is too small to be taken apart, and nothing else was said."""


def held_for(recipe: Recipe, dataset: Dataset) -> HeldOut | None:
    """How the dataset is taken apart for a resolved recipe; None where all of it is judged."""
    return dataset.held_out if recipe.whitening_set == f"{dataset.name}/{HELD_OUT}" else None


def learning_set(given: str | None, dataset: Dataset) -> str:
    """Long form of a whitening set: "<dataset>/train", "<dataset>/held_out" or "<dataset>/images"."""
    own_train, own_images = dataset.train_name or f"{dataset.name}/train", f"{dataset.name}/images"
    if given and own_train.endswith(f"/{given}"):  # as recipes had it before names told the folder around
        given = own_train
    elif given and "/" in given and own_images.endswith(f"/{given}"):
        given = own_images
    if given == "database":
        return own_images
    if given in ("train", own_train) and not dataset.train:
        raise ValueError(
            f"Recipe: whitening_set 'train' needs a dataset with a train split, {dataset.name!r} has none; "
            "give another dataset, as 'toytown', or 'database'."
        )
    own_half = f"{dataset.name}/{HELD_OUT}"
    if given in (HELD_OUT, own_half) and dataset.held_out is None:
        raise ValueError(
            f"Recipe: whitening_set 'held_out' needs a dataset with ground truth and no train split, of which half can "
            f"be held out, images that answer other queries than the rest; {dataset.name!r} is not. "
            "Give another dataset, as 'toytown', or 'database'."
        )
    if given is None:
        return own_train if dataset.train else own_half if dataset.learns_on_itself else FALLBACK_WHITENING_SET
    return {"train": own_train, HELD_OUT: own_half}.get(given, given)
