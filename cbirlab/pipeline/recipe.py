"""Recipe: everything that decides a ranking and its numbers, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from cbirlab.aggregation import Aggregation
from cbirlab.backbones import chosen
from cbirlab.backbones.loading import PRECISION
from cbirlab.datasets.held_out import HELD_OUT
from cbirlab.evaluation import PROTOCOLS
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.evaluation.metrics import named
from cbirlab.extract import SCALE_POOLING
from cbirlab.index import IndexMethod
from cbirlab.params import Choice, Range
from cbirlab.passes import Passes
from cbirlab.plain import check_fields, check_texts, object_of, shown
from cbirlab.preprocessing import CROP, IMAGE_SIZE, Resizing
from cbirlab.store import digest
from cbirlab.whitening import Whitening

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone
    from cbirlab.datasets import Dataset
    from cbirlab.datasets.held_out import HeldOut

FALLBACK_WHITENING_SET = "toytown/train"
"""What is learned on where a dataset has no train split, is too small to be taken apart, and nothing else was said."""

SCALE_SETS = {
    "single": (1.0,),
    "down": (1.0, 2**-0.5, 0.5),
    "up_down": (1.0, 2**0.5, 2**-0.5),
}
"""Scales of multi-scale descriptors: "down" of Radenović et al. (TPAMI 2019), "up_down" of their training code."""

OF_SETTING = ("tap", "aggregation", "whitening", "dimensions")
"""Fields that the controls of a panel change; its recipes share all others."""

RIGHT_OF_MAPS = (*OF_SETTING, "whitening_set", "index", "depth", "protocol", "average_precision", "metrics")
"""Fields in which the recipes of one bench may differ: its maps are the same for all of them."""

CAME_LATER = ("metrics", "depth")
"""Fields that recipes were once written without: where they say nothing, keys stay as they were."""

MOST_SCALES, MOST_TAPS = 16, 16
"""Each is a pass of its own, or descriptors of its own beside the others."""

ONE_POSITION = "spoc"
_POSITIVE = Range(1, 1 << 20, integer=True, optional=True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way from pictures to numbers. None means: as the dataset or the backbone has it (see `resolved`).

    >>> Recipe(aggregation="gem").aggregation
    'gem(p=3)'

    Attributes
    ----------
    dataset : a name in `DATASETS`, or a folder.
    backbone : a name in `BACKBONES`; "resnet50@IMAGENET1K_V2" gives `weights` too.
    weights : None for the default ones, "random", a label that torchvision publishes, or a file.
    tap : where the maps are taken; several are concatenated, "layer3+layer4" or "0.5*layer3+layer4", each L2-normalised
        and multiplied by its weight.
    aggregation : "gem", "gem(p=4)", an encoding as "vlad(k=64)", or one of them after attention, "crow_spatial > gem".
    passes : feedforward scheme, "single" or "grid(rows=2, columns=2)".
    whitening : "pca" or "pca(power=0.25)".
    dimensions : leading dimensions kept after whitening.
    whitening_set : what whitening, codebooks and projections of regions are learned on: "train" (the dataset's),
        "held_out" (about half of the dataset; the other half is judged, see `Dataset.held_out`), "database" (the
        evaluated images; reported as a leak), or another dataset, as "toytown" or "toytown/train". By default the train
        split, or else what is held out; of a dataset too small for that (`Dataset.learns_on_itself`), Toytown's.
        With "held_out" half is judged also where nothing is learned, so that rows can be compared.
    image_size : long side in pixels.
    scales : relative to `image_size`; with several, descriptors are pooled over them. or a name in `SCALE_SETS`.
    scale_pooling : "mean", or "gem" with the exponent of the aggregation "gem".
    crop : of queries with a box: "box" cuts them to it at the scale of the whole image, "box_resized" brings what is
        cut to the image size as if it were a whole image, "none" leaves them whole.
    resize : what `image_size` is: "long_side", "short_side", "square" or "centre_crop", see `Resizing`.
    interpolation : "lanczos", "bicubic", "bilinear" or "nearest".
    antialias : False takes the kernel as tensors are resized by default, blind for what lies between its places.
    precision : of the network, "float32" or "bfloat16".
    index : "exact", a method of `INDEXES` with its parameters.
    depth : results of a query that the search gives; all images by default. What comes later in a list that is cut
        counts as not found.
    protocol : a name in `PROTOCOLS`.
    average_precision : "trapezoid" or "finite-sum"; the protocol's own by default.
    metrics : further ones beside the protocol's, ("recall@1", "hit@5") or "recall@1,hit@5".

    Raises
    ------
    UnknownName, TypeError, ValueError : a name that is not registered, or a value that is not allowed.
    """

    dataset: str = "toytown"
    backbone: str = "toynet"
    weights: str | None = None
    tap: str | None = None
    aggregation: str = "gem"
    passes: str = "single"
    whitening: str = "none"
    dimensions: int | None = None
    whitening_set: str | None = None
    image_size: int | None = None
    scales: tuple[float, ...] = (1.0,)
    scale_pooling: str = "mean"
    crop: str = "box"
    resize: str = "long_side"
    interpolation: str = "lanczos"
    antialias: bool = True
    precision: str = "float32"
    index: str = "exact"
    depth: int | None = None
    protocol: str | None = None
    average_precision: str | None = None
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_texts(self)
        backbone, weights = chosen(self.backbone, self.weights)
        if self.protocol is not None:
            PROTOCOLS.info(self.protocol)
        CROP.check("Recipe", "crop", self.crop)
        PRECISION.check("Recipe", "precision", self.precision)
        if self.average_precision is not None:
            Choice(AP_METHODS).check("Recipe", "average_precision", self.average_precision)
        clean = {
            "dataset": str(self.dataset),
            "backbone": backbone,
            "weights": weights,
            "tap": None if self.tap is None else join_taps(split_taps(self.tap)),
            "aggregation": Aggregation.parse(self.aggregation).key,
            "passes": Passes.parse(self.passes).key,
            "whitening": Whitening.parse(self.whitening).key,
            "index": IndexMethod.parse(self.index).key,
            "depth": _POSITIVE.check("Recipe", "depth", self.depth),
            "dimensions": _POSITIVE.check("Recipe", "dimensions", self.dimensions),
            "image_size": IMAGE_SIZE.check("Recipe", "image_size", self.image_size),
            "metrics": named(self.metrics),
            "scales": tuple(Range(0.05, 8).check("Recipe", "scales", scale) for scale in _scales(self.scales)),
        }
        for name, value in clean.items():
            object.__setattr__(self, name, value)
        self._check_together()

    def _check_together(self) -> None:
        """Refuse what cannot be combined."""
        spec, passes = Aggregation.parse(self.aggregation), Passes.parse(self.passes)
        whitening = Whitening.parse(self.whitening)
        if self.resizing.resize == "centre_crop" and not passes.single:
            raise ValueError(
                f"Recipe: resize 'centre_crop' leaves one square of an image, which needs passes 'single', got "
                f"{passes.key!r}."
            )
        if self.image_size and self.image_size * max(self.scales) > IMAGE_SIZE.high:
            raise ValueError(
                f"Recipe: image_size times the largest of scales must be at most {IMAGE_SIZE.high:g} pixels, got "
                f"{self.image_size} x {max(self.scales):g}."
            )
        SCALE_POOLING.check("Recipe", "scale_pooling", self.scale_pooling)
        if self.scale_pooling == "gem" and spec.name != "gem":
            raise ValueError(
                f"Recipe: scale_pooling 'gem' needs the aggregation gem, whose exponent it takes, got {spec.key!r}."
            )
        if spec.fact("similarity") and (whitening.name != "none" or not passes.single or len(self.scales) > 1):
            raise ValueError(
                f"Recipe: {spec.key} compares words, not vectors: it needs whitening 'none', passes 'single' and one "
                f"scale, got {whitening.key!r}, {passes.key!r} and {self.scales}."
            )

    @property
    def resizing(self) -> Resizing:
        """How pictures come to their size."""
        return Resizing(self.resize, self.interpolation, self.antialias)

    def without(self, *names: str) -> dict[str, Any]:
        """All fields but these, by name."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name not in names}

    def to_json(self) -> str:
        """The recipe as one line of JSON; fields that came later are left out where they say nothing."""
        return json.dumps({name: value for name, value in asdict(self).items() if name not in CAME_LATER or value})

    @classmethod
    def from_json(cls, saved: str | Mapping[str, Any]) -> Recipe:
        """A recipe from `to_json`, or from a mapping.

        Raises
        ------
        ValueError : no JSON object.
        TypeError : an unknown field.
        UnknownName, TypeError, ValueError : as of the class.
        """
        given = object_of("Recipe.from_json", saved)
        check_fields("Recipe.from_json", cls, given)
        given |= {name: tuple(given[name]) for name in ("scales", "metrics") if isinstance(given.get(name), list)}
        return cls(**given)

    def _holds_out(self, dataset: Dataset) -> bool:
        return self.whitening_set in (HELD_OUT, f"{dataset.name}/{HELD_OUT}")

    def key(self) -> str:
        """Hash of the recipe."""
        return digest(json.loads(self.to_json()))

    def resolved(self, dataset: Dataset | None = None, backbone: Backbone | None = None) -> Recipe:
        """The recipe with what was left open filled in; loads dataset and backbone if they are not given."""
        from cbirlab.backbones import load_backbone
        from cbirlab.datasets import load_dataset

        dataset = dataset or load_dataset(self.dataset)
        backbone = backbone or load_backbone(self.backbone, self.weights)
        tap = self.tap or backbone.default_tap
        spec, passes = _possible(tap, self.aggregation, backbone), Passes.parse(self.passes)
        protocol = self.protocol or dataset.protocol
        learns = Whitening.parse(self.whitening).fact("learned") or spec.learns or passes.combine == "vlad"
        return replace(
            self,
            tap=tap,
            aggregation=spec.key,
            image_size=self.image_size or dataset.image_size,
            protocol=protocol,
            average_precision=self.average_precision or PROTOCOLS[protocol].average_precision,
            whitening_set=learning_set(self.whitening_set, dataset) if learns or self._holds_out(dataset) else None,
        )


def held_for(recipe: Recipe, dataset: Dataset) -> HeldOut | None:
    """How the dataset is taken apart for a resolved recipe; None where all of it is judged."""
    return dataset.held_out if recipe.whitening_set == f"{dataset.name}/{HELD_OUT}" else None


def _possible(tap: str, aggregation: str, backbone: Backbone) -> Aggregation:
    """The aggregation; of a tap without positions, where all poolings give the same vector, tables say "spoc"."""
    from cbirlab.backbones import check_tap

    spec = Aggregation.parse(aggregation)
    positions = any(check_tap(backbone, member).kind != "vector" for _, member in split_taps(tap))
    return spec if positions or spec.encoding or spec.attentions else Aggregation(ONE_POSITION)


def _scales(given: str | Sequence[float]) -> Sequence[float]:
    if isinstance(given, str):
        Choice(tuple(SCALE_SETS)).check("Recipe", "scales", given)
        return SCALE_SETS[given]
    if isinstance(given, Mapping) or not hasattr(given, "__len__") or not 1 <= len(given) <= MOST_SCALES:
        raise ValueError(
            f"Recipe: scales must be 1 to {MOST_SCALES} numbers or one of {', '.join(SCALE_SETS)}, got {shown(given)}."
        )
    return given


def split_taps(text: str) -> list[tuple[float, str]]:
    """Weight and name of each tap in "layer4" or "0.5*layer3+layer4".

    Raises
    ------
    ValueError : another form, a weight that is not positive, or more than `MOST_TAPS`.
    """
    members = []
    if text.count("+") >= MOST_TAPS:
        raise ValueError(f"Recipe: tap must name at most {MOST_TAPS} taps, got {text.count('+') + 1}.")
    for member in text.split("+"):
        weight, star, tap = member.rpartition("*")
        try:
            number = float(weight) if star else 1.0
        except ValueError:
            number = 0.0
        if not tap.strip() or not 0 < number < float("inf"):
            raise ValueError(f"Recipe: tap must be a name or a form like 'layer3+0.5*layer4', got {text!r}.")
        members.append((number, tap.strip()))
    return members


def join_taps(members: Sequence[tuple[float, str]]) -> str:
    """The text that `split_taps` reads."""
    return "+".join(tap if weight == 1 else f"{weight:g}*{tap}" for weight, tap in members)


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
