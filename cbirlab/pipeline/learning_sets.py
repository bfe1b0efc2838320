"""Learning sets: the images that whitenings, codebooks and projections learn on, by name."""

from __future__ import annotations

from pathlib import Path

from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.base import HELD_OUT, HeldOut

FALLBACK_WHITENING_SET = "toytown/train"
"""Learned on by default if a dataset has no train split and is too small to be divided."""


def train_name(dataset: Dataset) -> str:
    """The name of a dataset's train split, as tables and recipes have it."""
    return dataset.train_name or f"{dataset.name}/train"


def held_for(whitening_set: str | None, dataset: Dataset) -> HeldOut | None:
    """How the dataset is divided for a resolved whitening set; None if all of it is judged."""
    return dataset.held_out if whitening_set == f"{dataset.name}/{HELD_OUT}" else None


def means_held_out(whitening_set: str | None, dataset: Dataset) -> bool:
    """Whether half of the dataset is held out, whatever is learned on it."""
    return whitening_set in (HELD_OUT, f"{dataset.name}/{HELD_OUT}")


def learning_set(given: str | None, dataset: Dataset) -> str:
    """Long form of a whitening set: "<dataset>/train", "<dataset>/held_out" or "<dataset>/images"."""
    own_train, own_images = train_name(dataset), f"{dataset.name}/images"
    if given and own_train.endswith(f"/{given}"):  # as recipes said it before names gave the folder around the file
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
    if means_held_out(given, dataset) and dataset.held_out is None:
        raise ValueError(
            f"Recipe: whitening_set 'held_out' needs a dataset with ground truth and no train split whose images can "
            f"be divided in two halves that answer different queries; {dataset.name!r} is not such a dataset. "
            "Give another dataset, as 'toytown', or 'database'."
        )
    if given is None:
        return own_train if dataset.train else own_half if dataset.learns_on_itself else FALLBACK_WHITENING_SET
    return {"train": own_train, HELD_OUT: own_half}.get(given, given)


def learning_part(whitening_set: str, dataset: Dataset) -> tuple[Dataset, str]:
    """Dataset and part that a resolved whitening set names.

    Raises
    ------
    UnknownName : no such dataset.
    ValueError : it was asked for its train split and has none.
    """
    if dataset.train and whitening_set == train_name(dataset):
        return dataset, "train"
    if whitening_set == f"{dataset.name}/images":
        return dataset, "images"
    if held := held_for(whitening_set, dataset):
        return held.learning, "train"
    name, _, part = whitening_set.rpartition("/")
    if name and part in ("train", "images", HELD_OUT) and not Path(whitening_set).expanduser().is_dir():
        other = load_dataset(name)
        if part == HELD_OUT and other.held_out:
            other, part = other.held_out.learning, "train"
    else:
        other = load_dataset(whitening_set)
        part = "train" if other.train else "images"
    if part == "train" and not other.train:
        raise ValueError(f"whitening_set {whitening_set!r}: dataset {other.name!r} has no train split.")
    return other, part
