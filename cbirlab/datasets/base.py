"""Dataset: a frozen description of a benchmark. It names files and ground truth; it loads no pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbirlab.datasets.held_out import HeldOut

from cbirlab.text import printable

Box = tuple[float, float, float, float]


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
    name : as in tables.
    images : database; row i of every descriptor matrix is images[i].
    queries : row q of every ranking answers queries[q].
    labels : one mapping per query from a label ("easy", "hard", "junk", "positive") to database rows.
        Rows that carry no label are negatives. Empty where the benchmark has no ground truth.
    protocol : name in `cbirlab.evaluation.PROTOCOLS`.
    train : images on which whitening, codebooks and hashes are learned; disjoint from the database.
    train_name : what `train` is, for the tables ("toytown/train").
    train_instances : instance of each train image ("" where it shows none), or empty: pairs for learned whitening.
    image_size : long side in pixels at which the benchmark is run by default.
    instances : instance of each database image (for colours on a map), or empty.
    metadata : facts about images and pairs, for questions such as "which descriptor breaks under which change?".
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
        """Whether `name` is this dataset's, also as it was before names told the folder ("groundtruth" for
        "covers/groundtruth")."""
        return name == self.name or (bool(name) and self.name.endswith(f"/{name}"))

    @cached_property
    def held_out(self) -> HeldOut | None:
        """About half of what the dataset shows, to learn on where it has no train split; None where that cannot be."""
        from cbirlab.datasets.held_out import hold_out

        return hold_out(self)

    @property
    def learns_on_itself(self) -> bool:
        """Whether whitening learns on `held_out` by default: enough of the dataset can be held out."""
        return self.held_out is not None and self.held_out.enough
