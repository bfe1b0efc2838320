"""Leaks: whether something was learned on images that are evaluated, by the bytes of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.trained import HEADS, POOLED, trained_record
from cbirlab.datasets import Dataset
from cbirlab.extract import image_hashes
from cbirlab.store import Store
from cbirlab.whitening.methods import TRAINED

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone
    from cbirlab.pipeline.recipe import Recipe


def find_leak(
    learning: tuple[Dataset, str] | None,
    backbone: Backbone,
    dataset: Dataset,
    store: Store,
    wrong: Sequence[Path] = (),
    parts: Sequence[tuple[str, str]] = (),
) -> str:
    """What whitening and network have learned on that is evaluated; empty if nothing.

    Parameters
    ----------
    learning : dataset and part that whitening, codebooks and codes learn on, if anything does.
    wrong : images of distractors.
    parts : heads and poolings that were trained here, see `trained_parts`.
    """
    known = [leak_between(learning, dataset, store, wrong)] if learning else []
    trained = [("network", trained_record(backbone.name, backbone.weights))]
    trained += [(family, trained_record(family, name)) for family, name in parts]
    known += [leak_of_training(*one, dataset, learning and learning[0], store) for one in trained]
    return "; ".join(filter(None, known))


def evaluated_hashes(
    dataset: Dataset, store: Store, owner: Dataset | None = None, wrong: Sequence[Path] = ()
) -> set[str]:
    """Hashes of the evaluated images' bytes.

    Parameters
    ----------
    owner : the dataset that is learned on: if half of `dataset` is, the other half is evaluated.
    wrong : images of distractors, which are searched as the dataset's are.
    """
    held = dataset.held_out if owner is not None and owner is not dataset else None
    if held is not None and owner is held.learning:
        return image_hashes([*held.evaluated, *wrong], store)
    return image_hashes([*dataset.images, *(query.path for query in dataset.queries), *wrong], store)


def leak_between(learning: tuple[Dataset, str], dataset: Dataset, store: Store, wrong: Sequence[Path] = ()) -> str:
    """What the images of the learning set share with the evaluated ones, by their bytes; empty if nothing.

    Parameters
    ----------
    wrong : images of distractors, which are searched as the dataset's are.
    """
    owner, part = learning
    evaluated = evaluated_hashes(dataset, store, owner, wrong)
    used = image_hashes(owner.train if part == "train" else owner.images, store)
    shared = len(evaluated & used)
    return f"learned on {shared} of the {len(evaluated)} evaluated images" if shared else ""


def trained_parts(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """The family and the name of each head and pooling of a recipe that was trained here."""
    named = ((HEADS, recipe.whitening), (POOLED, recipe.aggregation))
    return tuple((family, one.name.removeprefix(TRAINED)) for family, one in named if one.name.startswith(TRAINED))


def leak_of_training(
    what: str, record: Mapping[str, Any], dataset: Dataset, owner: Dataset | None, store: Store
) -> str:
    """What the images that something was trained on here share with the evaluated ones; empty if nothing.

    Parameters
    ----------
    what : that was trained, in a word.
    record : of its training, empty if it was trained elsewhere.
    owner : the dataset that whitening learns on, see `evaluated_hashes`.
    """
    if not record:
        return ""
    evaluated, trained = evaluated_hashes(dataset, store, owner), set(record.get("pictures", ()))
    digits = len(next(iter(trained), ""))
    shared = sum(one[:digits] in trained for one in evaluated)
    return f"{what} trained on {shared} of the {len(evaluated)} evaluated images" if shared else ""
