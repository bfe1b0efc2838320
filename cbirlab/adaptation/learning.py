"""Learning pictures: what a training learns on, by name, with the instances that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.base import HELD_OUT
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.pipeline.learning_sets import learning_part
from cbirlab.store import Store
from cbirlab.training.batches import NO_INSTANCE, numbered

PARTS = ("train", HELD_OUT, "images")


@dataclass(frozen=True, eq=False)
class LearningPictures:
    """Pictures to learn on.

    Attributes
    ----------
    name : of the part, "toytown/train".
    paths : (n,) files.
    given : (n,) int64, instance of each picture, `NO_INSTANCE` where none is known.
    image_size : of their dataset.
    """

    name: str
    paths: tuple[Path, ...]
    given: np.ndarray
    image_size: int

    def hashes(self, store: Store) -> list[str]:
        """SHA-256 of each file."""
        known = fingerprints(self.paths, store)
        return [known[path].sha256 for path in self.paths]

    def readable(self, store: Store) -> LearningPictures:
        """Without the files that are no pictures; one warning for all of them."""
        known = fingerprints(self.paths, store)
        problems = [known[path].problem for path in self.paths]
        wrong = [problem for problem in problems if problem]
        if not wrong:
            return self
        notify(f"training leaves out {len(wrong)} files of {self.name}, the first: {wrong[0]}")
        kept = [row for row, problem in enumerate(problems) if not problem]
        return replace(self, paths=tuple(self.paths[row] for row in kept), given=self.given[kept])

    def digest(self, store: Store) -> str:
        """Hash of files and instances."""
        text = "\n".join([*self.hashes(store), " ".join(map(str, self.given))])
        return sha256(text.encode()).hexdigest()


def learning_pictures(on: str | Dataset, *, leak: bool = False) -> LearningPictures:
    """The pictures that a training names.

    Raises
    ------
    UnknownName, ValueError : no such dataset or part; the images that are evaluated, without `leak`.
    """
    if isinstance(on, Dataset):
        dataset, part = on, ""
    else:
        before, _, last = on.rpartition("/")
        whole = not before or last not in PARTS or Path(on).expanduser().is_dir()
        dataset, part = load_dataset(on if whole else before), "" if whole else last
    part = part or _usual(dataset, leak)
    evaluated = part == "images" and bool(dataset.queries) and any(any(one.values()) for one in dataset.labels)
    if evaluated and not leak:
        raise ValueError(
            f"Training: on must not be what is evaluated, got {dataset.name}/images; name pictures of other instances, "
            "or set leak=True (--leak on), which tables will say."
        )
    named = {"train": dataset.train_name or f"{dataset.name}/train"}.get(part, f"{dataset.name}/{part}")
    if part == HELD_OUT and dataset.held_out is None:
        raise ValueError(f"Training: {dataset.name} cannot be divided; name another dataset, as 'toytown/train'.")
    owner, held = learning_part(named, dataset)
    paths, kinds = (owner.train, owner.train_instances) if held == "train" else (owner.images, owner.instances)
    given = numbered(kinds) if kinds else np.full(len(paths), NO_INSTANCE)
    return LearningPictures(named, tuple(paths), given, dataset.image_size)


def _usual(dataset: Dataset, leak: bool) -> str:
    """The part of a dataset that is learned on if none is named."""
    if dataset.train:
        return "train"
    return HELD_OUT if dataset.held_out is not None and not leak else "images"
