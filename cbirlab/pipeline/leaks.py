"""Leaks: whether something was learned on images that are evaluated, by the bytes of their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cbirlab.backbones.trained import trained_record
from cbirlab.datasets import Dataset
from cbirlab.extract import image_hashes
from cbirlab.store import Store

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone


def find_leak(
    learning: tuple[Dataset, str] | None, backbone: Backbone, dataset: Dataset, store: Store, wrong: Sequence[Path] = ()
) -> str:
    """What whitening and network have learned on that is evaluated; empty if nothing.

    Parameters
    ----------
    learning : dataset and part that whitening, codebooks and codes learn on, if anything does.
    wrong : images of distractors.
    """
    known = [leak_between(learning, dataset, store, wrong)] if learning else []
    known.append(leak_of_training(backbone, dataset, learning and learning[0], store))
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


def leak_of_training(backbone: Backbone, dataset: Dataset, owner: Dataset | None, store: Store) -> str:
    """What the images that weights were trained on here share with the evaluated ones; empty if nothing.

    Parameters
    ----------
    owner : the dataset that whitening learns on, see `evaluated_hashes`.
    """
    record = trained_record(backbone.name, backbone.weights)
    if not record:
        return ""
    evaluated, trained = evaluated_hashes(dataset, store, owner), set(record.get("pictures", ()))
    digits = len(next(iter(trained), ""))
    shared = sum(one[:digits] in trained for one in evaluated)
    return f"network trained on {shared} of the {len(evaluated)} evaluated images" if shared else ""
