"""Recipe: everything that decides a ranking and its numbers, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from cbirlab.aggregation import Aggregation
from cbirlab.backbones import BACKBONES
from cbirlab.backbones.loading import PRECISION
from cbirlab.evaluation import PROTOCOLS
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.index import INDEXES
from cbirlab.params import Choice, Range
from cbirlab.store import digest
from cbirlab.whitening import WHITENINGS

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone
    from cbirlab.datasets import Dataset

FALLBACK_WHITENING_SET = "toytown/train"
"""What whitening is learned on where a dataset has no train split and nothing else was said; the tables show it."""

_POSITIVE = Range(1, 1 << 20, integer=True, optional=True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way from pictures to numbers. None means: as the dataset or the backbone has it (see `resolved`).

    >>> Recipe(aggregation="gem").aggregation
    'gem(p=3)'

    Attributes
    ----------
    dataset : a name in `DATASETS`, or a folder.
    backbone : a name in `BACKBONES`.
    weights : None for the default ones, "random", a label that torchvision publishes, or a file.
    tap : where the maps are taken.
    aggregation : "gem" or "gem(p=4)".
    whitening : a name in `WHITENINGS`.
    dimensions : leading dimensions kept after whitening.
    whitening_set : what whitening is learned on: "train" (the dataset's), "database" (the evaluated images; reported as
        a leak), or another dataset, as "toytown" or "toytown/train".
    image_size : long side in pixels.
    scales : relative to `image_size`; with several, descriptors are averaged over them.
    precision : of the network, "float32" or "bfloat16".
    index : a name in `INDEXES`.
    protocol : a name in `PROTOCOLS`.
    average_precision : "trapezoid" or "finite-sum".

    Raises
    ------
    UnknownName, TypeError, ValueError : a name that is not registered, or a value that is not allowed.
    """

    dataset: str = "toytown"
    backbone: str = "toynet"
    weights: str | None = None
    tap: str | None = None
    aggregation: str = "gem"
    whitening: str = "none"
    dimensions: int | None = None
    whitening_set: str | None = None
    image_size: int | None = None
    scales: tuple[float, ...] = (1.0,)
    precision: str = "float32"
    index: str = "exact"
    protocol: str | None = None
    average_precision: str = "trapezoid"

    def __post_init__(self) -> None:
        BACKBONES.info(self.backbone)
        WHITENINGS.info(self.whitening)
        INDEXES.info(self.index)
        if self.protocol is not None:
            PROTOCOLS.info(self.protocol)
        PRECISION.check("Recipe", "precision", self.precision)
        Choice(AP_METHODS).check("Recipe", "average_precision", self.average_precision)
        clean = {
            "dataset": str(self.dataset),
            "weights": None if self.weights is None else str(self.weights),
            "aggregation": Aggregation.parse(self.aggregation).key,
            "dimensions": _POSITIVE.check("Recipe", "dimensions", self.dimensions),
            "image_size": _POSITIVE.check("Recipe", "image_size", self.image_size),
            "scales": tuple(Range(0.05, 8).check("Recipe", "scales", scale) for scale in self.scales),
        }
        if not clean["scales"]:
            raise ValueError("Recipe: scales must be at least one number, got none.")
        for name, value in clean.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The recipe as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, saved: str | Mapping[str, Any]) -> Recipe:
        """A recipe from `to_json`, or from a mapping.

        Raises
        ------
        ValueError : no JSON object.
        TypeError : an unknown field.
        """
        try:
            given = json.loads(saved) if isinstance(saved, str) else dict(saved)
        except ValueError as error:
            raise ValueError(f"Recipe.from_json: expected a JSON object, got {saved!r:.80}.") from error
        if not isinstance(given, dict):
            raise ValueError(f"Recipe.from_json: expected a JSON object, got {saved!r:.80}.")
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"Recipe.from_json: unknown field {name!r}; fields: {', '.join(known)}.{hint}")
        if "scales" in given:
            given["scales"] = tuple(given["scales"])
        return cls(**given)

    def key(self) -> str:
        """Hash of the recipe."""
        return digest(json.loads(self.to_json()))

    def resolved(self, dataset: Dataset | None = None, backbone: Backbone | None = None) -> Recipe:
        """The recipe with what was left open filled in; loads dataset and backbone if they are not given."""
        from cbirlab.backbones import load_backbone
        from cbirlab.datasets import load_dataset

        dataset = dataset or load_dataset(self.dataset)
        backbone = backbone or load_backbone(self.backbone, self.weights)
        learned = WHITENINGS.info(self.whitening).facts["learned"]
        return replace(
            self,
            tap=self.tap or backbone.default_tap,
            image_size=self.image_size or dataset.image_size,
            protocol=self.protocol or dataset.protocol,
            whitening_set=_whitening_set(self.whitening_set, dataset) if learned else None,
        )


def _whitening_set(given: str | None, dataset: Dataset) -> str:
    """Long form of a whitening set: "<dataset>/train" or "<dataset>/images"."""
    own_train, own_images = dataset.train_name or f"{dataset.name}/train", f"{dataset.name}/images"
    if given == "database":
        return own_images
    if given in ("train", own_train) and not dataset.train:
        raise ValueError(
            f"Recipe: whitening_set 'train' needs a dataset with a train split, {dataset.name!r} has none; "
            "give another dataset, as 'toytown', or 'database'."
        )
    if given is None:
        return own_train if dataset.train else FALLBACK_WHITENING_SET
    return own_train if given == "train" else given
