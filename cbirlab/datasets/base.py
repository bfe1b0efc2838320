"""Dataset: a frozen description of a benchmark. It names files and ground truth; it loads no pixel.

If a dataset has no train split, about half of it can be held out: whitening learns on that half, the rest is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.text import printable

if TYPE_CHECKING:
    from cbirlab.datasets.walking import LeftOut

Box = tuple[float, float, float, float]

HELD_OUT = "held_out"
OWN = "own"
"""In the metadata of a dataset that someone made of their own images, which nobody has looked through for copies."""
ENOUGH, ENOUGH_KINDS = 75, 15
"""The fewest held-out images and kinds on which whitening learns by default: fewer photographs, or photographs of fewer
kinds, taught most whitenings less than Toytown's renderings did (data/results, `learning set`)."""

MOST = 5000
"""The most images to learn on: more hardly change a whitening."""


@dataclass(frozen=True)
class Query:
    """One query: an image, the box of the object sought in it, and its row if it is a database image too.

    Attributes
    ----------
    path : the image.
    box : (x0, y0, x1, y1) in pixels of the upright image, or None for the whole image.
    index : row of the database that is this very image, or None.
    """

    path: Path
    box: Box | None = None
    index: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Images, queries and ground truth of one benchmark.

    Attributes
    ----------
    name : as tables show it.
    images : database; row i of every descriptor matrix is images[i].
    queries : row q of every ranking answers queries[q].
    labels : one mapping per query from a label ("easy", "hard", "junk", "positive") to database rows. Rows that carry
        no label are negatives. Empty if the benchmark has no ground truth.
    protocol : name in `cbirlab.evaluation.PROTOCOLS`.
    train : images on which whitening, codebooks and hashes are learned; disjoint from the database.
    train_name : what `train` is, for the tables ("toytown/train").
    train_instances : instance of each train image ("" if it shows none), or empty: pairs for learned whitening.
    image_size : long side in pixels at which the benchmark is run by default.
    instances : instance of each database image (for colours on a map), or empty.
    metadata : facts about images and pairs, for questions such as "which descriptor breaks under which change?".
    left_out : files that lie with the images and are none of them, and why.
    """

    name: str
    images: tuple[Path, ...]
    queries: tuple[Query, ...] = ()
    labels: tuple[Mapping[str, tuple[int, ...]], ...] = ()
    protocol: str = "retrieval"
    train: tuple[Path, ...] = ()
    train_name: str = ""
    train_instances: tuple[str, ...] = ()
    image_size: int = 1024
    instances: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    left_out: tuple[LeftOut, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for shown in ("name", "train_name"):
            object.__setattr__(self, shown, printable(getattr(self, shown)))
        if not self.images:
            raise ValueError(f"{self.name}: a dataset needs at least one image, got none.")
        if self.labels and len(self.labels) != len(self.queries):
            raise ValueError(
                f"{self.name}: labels must have one entry per query ({len(self.queries)}), got {len(self.labels)}."
            )
        if self.instances and len(self.instances) != len(self.images):
            raise ValueError(
                f"{self.name}: instances must have one entry per image ({len(self.images)}), got {len(self.instances)}."
            )
        if self.train_instances and len(self.train_instances) != len(self.train):
            raise ValueError(
                f"{self.name}: train_instances must have one entry per train image ({len(self.train)}), "
                f"got {len(self.train_instances)}."
            )

    def called(self, name: str) -> bool:
        """Whether this is the dataset's name, or its earlier one without the folder ("groundtruth" for
        "covers/groundtruth")."""
        return name == self.name or (bool(name) and self.name.endswith(f"/{name}"))

    @cached_property
    def held_out(self) -> HeldOut | None:
        """About half of the dataset, held out to learn on if it has no train split; None if that is impossible."""
        return hold_out(self)

    @property
    def learns_on_itself(self) -> bool:
        """Whether whitening learns on `held_out` by default: enough of the dataset can be held out."""
        return self.held_out is not None and self.held_out.enough


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A dataset split in two, so that no image that is judged was learned on.

    Attributes
    ----------
    learning : the dataset with the images that are held out as its train split.
    judged : the dataset with the labels of the other queries; those whose answers are held out have none.
    rows : (N,) bool, the database images that are held out: they are taken out of a ranking before it is judged.
    kinds : how many kinds of images are held out.
    """

    learning: Dataset
    judged: Dataset
    rows: np.ndarray
    kinds: int

    @property
    def enough(self) -> bool:
        """Whether enough is held out for whitening to learn on it by default."""
        return self.kinds >= ENOUGH_KINDS and len(self.learning.train) >= ENOUGH

    @property
    def evaluated(self) -> list[Path]:
        """The images that take part in what is judged."""
        database = [path for path, held in zip(self.judged.images, self.rows, strict=True) if not held]
        pairs = zip(self.judged.queries, self.judged.labels, strict=True)
        return database + [query.path for query, labels in pairs if any(labels.values())]


def hold_out(dataset: Dataset) -> HeldOut | None:
    """Hold out about half of the images that belong together, all of a kind or none of it.

    Images belong together where they are right answers to one query, its own image included, or show one instance. Only
    the names of the files decide which are held out, not their order or where their folder lies. None if no half can be
    held out: no labels, a train split of its own, or all images belong together.
    """
    if not dataset.labels or dataset.train:
        return None
    kind_of_row, kind_of_query = _kinds(dataset)
    members: dict[int, list[Path]] = {}
    for kind, path in zip(kind_of_row, dataset.images, strict=True):
        members.setdefault(int(kind), []).append(path)
    asked: dict[int, list[Path]] = {}
    for kind, query in zip(kind_of_query, dataset.queries, strict=True):
        asked.setdefault(int(kind), []).append(query.path)
    images = {kind: list(dict.fromkeys(members.get(kind, []) + paths)) for kind, paths in asked.items()}
    held = _half(images)
    learned = [(path, kind) for kind in held for path in images[kind]]
    if not learned or len(held) == len(images):
        return None
    return HeldOut(
        learning=replace(
            dataset,
            train=tuple(path for path, _ in learned),
            train_name=f"{dataset.name}/{HELD_OUT}",
            train_instances=tuple(f"{kind}" for _, kind in learned),
        ),
        judged=replace(
            dataset,
            labels=tuple(
                {} if int(kind) in held else labels for kind, labels in zip(kind_of_query, dataset.labels, strict=True)
            ),
        ),
        rows=np.isin(kind_of_row, list(held)),
        kinds=len(held),
    )


def _kinds(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Number of the kind of each database row and of each query: the connected parts of the graph of right answers."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, size = len(dataset.images), len(dataset.images) + len(dataset.queries)
    answers = [
        [np.asarray(found, dtype=np.int64) for label, found in labels.items() if label != "junk"]
        + [np.array([] if query.index is None else [query.index], dtype=np.int64)]
        for query, labels in zip(dataset.queries, dataset.labels, strict=True)
    ]
    found = [np.concatenate(one) for one in answers]
    asking = np.repeat(np.arange(rows, size), [len(one) for one in found])
    _, first, shown = np.unique(np.array(dataset.instances or [""] * rows), return_index=True, return_inverse=True)
    named = np.array([bool(name) for name in dataset.instances or [""] * rows])
    ends = np.concatenate([asking, np.flatnonzero(named)]), np.concatenate([*found, first[shown][named]])
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(size, size))
    kinds = connected_components(graph, directed=False)[1]
    return kinds[:rows], kinds[rows:]


def _half(images: dict[int, list[Path]]) -> set[int]:
    """Kinds with at most half of the images together, and at most `MOST`, in an order that only the names decide."""
    names = {kind: min("/".join(path.parts[-2:]) for path in paths) for kind, paths in images.items()}
    order = sorted(images, key=lambda kind: sha256(names[kind].encode(errors="surrogateescape")).digest())
    room, held = min(MOST, sum(map(len, images.values())) // 2), set()
    for kind in order:
        if len(images[kind]) <= room:
            held.add(kind)
            room -= len(images[kind])
    return held
