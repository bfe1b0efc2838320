"""Recipe: everything that decides a ranking and its numbers, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from cbirlab.aggregation import Aggregation
from cbirlab.backbones import Backbone, load_backbone
from cbirlab.backbones.loading import PRECISION
from cbirlab.backbones.names import USUAL
from cbirlab.base.params import Choice, Range
from cbirlab.base.plain import check_fields, object_of
from cbirlab.base.registry import load_extensions
from cbirlab.compression import Compression
from cbirlab.datasets import Dataset, load_dataset, nameable
from cbirlab.evaluation import PROTOCOLS
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.evaluation.metrics import parse_metrics
from cbirlab.extract import ENGINE, SCALE_POOLING, settle_engine
from cbirlab.images.preprocessing import CROP, IMAGE_SIZE, INTERPOLATION, RESIZE, Resizing
from cbirlab.index import IndexMethod
from cbirlab.passes import Passes
from cbirlab.pipeline.distractors import check_distractors
from cbirlab.pipeline.fields import (
    ADDED,
    DATA,
    JUDGING,
    LEARNING,
    MAPS,
    NETWORK,
    SEARCH,
    SETTING,
    Extensible,
    about,
    check_scales,
    checked_by,
    declared,
    names,
    number_or_name,
    on_or_off,
    one_of,
    optional,
    settle,
    whole,
)
from cbirlab.pipeline.learning_sets import learning_set, means_held_out
from cbirlab.pipeline.tap_names import Taps
from cbirlab.pipeline.together import check_together, learns_rows, possible_aggregation
from cbirlab.reranking import Reranking
from cbirlab.store import Store, digest
from cbirlab.whitening import Whitening

_POSITIVE = Range(1, 1 << 20, integer=True, optional=True)
_PLACES = Range(0, 1 << 20, step=10, integer=True)


@dataclass(frozen=True, kw_only=True)
class Recipe(Extensible):
    """One way from pictures to numbers. None means: as the dataset or the backbone says (see `resolved`).

    >>> Recipe(aggregation="gem").aggregation
    'gem(p=3)'

    Attributes
    ----------
    dataset : a name in `DATASETS`, or a folder.
    backbone : a name in `BACKBONES`; "resnet50@IMAGENET1K_V2" gives `weights` too. Usual: see `usual_backbone`.
    weights : None for the default ones, "random", a label that torchvision publishes, or a file.
    tap : where the maps are taken; several are concatenated, "layer3+layer4" or "0.5*layer3+layer4", each L2-normalised
        and multiplied by its weight.
    aggregation : "gem", "gem(p=4)", an encoding such as "vlad(k=64)", or these after attention, "crow_spatial > gem".
    passes : feedforward scheme, "single" or "grid(rows=2, columns=2)".
    whitening : "pca" or "pca(power=0.25)".
    dimensions : leading dimensions kept after whitening.
    whitening_set : what whitening, codebooks, codes and projections of regions are learned on: "train" (the dataset's),
        "held_out" (about half of the dataset; the other half is judged, see `Dataset.held_out`), "database" (the
        evaluated images; reported as a leak), or another dataset, like "toytown" or "toytown/train". By default the
        train split, or else what is held out; for a dataset too small for that (`Dataset.learns_on_itself`), Toytown's.
        With "held_out" only half is judged even if nothing is learned, so that rows can be compared.
    image_size : long side in pixels.
    scales : relative to `image_size`; with several, descriptors are pooled over them; or a name in `SCALE_SETS`.
    scale_pooling : "mean", or "gem" with the exponent of the aggregation "gem".
    crop : how to cut queries that have a box: "box" cuts them to it at the scale of the whole image, "box_resized" then
        brings the cut to the image size as if it were a whole image, "none" leaves them whole.
    resize : what `image_size` is: "long_side", "short_side", "square", "draft", ..., see `Resizing`.
    interpolation : "lanczos", "bicubic", "bilinear" or "nearest".
    antialias : False uses the kernel with which tensors are resized by default; it skips pixels between its samples.
    precision : precision of the network, "float32" or "bfloat16".
    engine : what carries out the passes: "torch", "openvino", or "auto", see `cbirlab.extract.settle_engine`.
    compression : "none", or what is kept of a descriptor, "itq(bits=64)": a method of `COMPRESSIONS`.
    index : "exact", or "ivf(lists=16, probes=4)": a method of `INDEXES` with its parameters.
    rescore : how many of the first results are scored again with full descriptors; 0 for none.
    rerank : "none", or how results are re-ranked, "decay" or "dba(k=3) > aqe(k=5)": methods of `RERANKERS`.
    depth : results per query that the search gives; by default all. What comes after the cut counts as not found.
    distractors : wrong answers beside the database, see `cbirlab.pipeline.distractors`: the images of another dataset,
        by name or folder; or how many synthetic descriptors, drawn from a mixture that is fitted to the learning set,
        with `seed`.
    seed : of synthetic distractors. With the same one, 1,000 distractors are the first of 10,000.
    protocol : a name in `PROTOCOLS`.
    average_precision : "trapezoid" or "finite-sum"; the protocol's own by default.
    metrics : metrics in addition to the protocol's, ("recall@1", "hit@5") or "recall@1,hit@5".

    Raises
    ------
    UnknownName, TypeError, ValueError : a name that is not registered, or a value that is not allowed.
    """

    dataset: str = declared("toytown", DATA, str, "a name, a folder or a CSV file; 'photos(layout=nested)' has options")
    backbone: str = declared(None, NETWORK, help="the network", unset=USUAL, plural="backbones")
    weights: str | None = declared(
        None,
        NETWORK,
        help="'random', a label of torchvision, or a file",
        unset="the backbone's own",
        metavar="WEIGHTS",
        plural="weights",
    )
    tap: Taps | None = declared(
        None, SETTING, optional(Taps), "'layer3', or 'layer3+layer4'", unset="the backbone's own", plural="taps"
    )
    aggregation: Aggregation = declared(
        "gem",
        SETTING,
        Aggregation.parse,
        "'gem', 'vlad(k=64)' or 'crow_spatial > gem(p=4)'",
        plural="aggregations",
        compared="all",
    )
    passes: Passes = declared("single", MAPS, Passes.parse, "feedforward scheme, e.g. 'spm(levels=3)'", plural="passes")
    whitening: Whitening = declared(
        "none", SETTING, Whitening.parse, "'pca' or 'pca(power=0.25)'", plural="whitenings", compared="all"
    )
    dimensions: int | None = declared(
        None,
        SETTING,
        checked_by("dimensions", _POSITIVE),
        "dimensions kept after whitening",
        unset="all",
        metavar="D",
        read=int,
        plural="dimensions",
    )
    whitening_set: str | None = declared(
        None,
        LEARNING,
        help="what whitening learns on: train, held_out (half of the dataset, the other half is judged), database (a "
        "leak, and reported), or another dataset",
    )
    image_size: int | None = declared(
        None,
        MAPS,
        checked_by("image_size", IMAGE_SIZE),
        "long side",
        unset="the dataset's own",
        metavar="PIXELS",
        read=int,
    )
    scales: tuple[float, ...] = declared(
        (1.0,),
        MAPS,
        check_scales,
        "numbers relative to the image size, or one of the sets down, up_down",
        metavar="S",
        read=number_or_name,
        several=True,
    )
    scale_pooling: str = declared(
        "mean", MAPS, checked_by("scale_pooling", SCALE_POOLING), "how scales are combined: mean, gem"
    )
    crop: str = declared("box", MAPS, checked_by("crop", CROP), one_of("how queries with a box are cut", CROP))
    resize: str = declared("long_side", MAPS, help=one_of("what the image size means", RESIZE))
    interpolation: str = declared("lanczos", MAPS, help=one_of("kernel", INTERPOLATION))
    antialias: bool = declared(True, MAPS, help="when shrinking", metavar="on|off", read=on_or_off)
    precision: str = declared(
        "float32", MAPS, checked_by("precision", PRECISION), "float32 or bfloat16", metavar="TYPE"
    )
    engine: str = declared(
        "auto", MAPS, checked_by("engine", ENGINE), one_of("the passes", ENGINE), later=True, lacking="torch"
    )
    compression: Compression = declared(
        "none", SEARCH, Compression, "what is kept: 'itq(bits=64)', 'pq'", plural="compressions", later=True
    )
    index: IndexMethod = declared(
        "exact", SEARCH, IndexMethod, "how the database is searched: 'ivf(probes=4)', 'hnsw'", plural="indexes"
    )
    rescore: int = whole(
        0, SEARCH, "rescore", _PLACES, "first results scored again with full descriptors", "PLACES", plural="rescores"
    )
    rerank: Reranking = declared(
        "none", SEARCH, Reranking, "how results are re-ranked: 'decay', 'dba > aqe'", plural="rerankings", later=True
    )
    depth: int | None = whole(None, SEARCH, "depth", _POSITIVE, "results per query", "K", unset="all images")
    distractors: int | str = declared(
        0,
        SEARCH,
        check_distractors,
        "wrong answers beside the database: a dataset, or how many synthetic descriptors",
        metavar="NAME|N",
        later=True,
    )
    seed: int = whole(0, SEARCH, "seed", Range(0, 2**32 - 1, integer=True), "of synthetic distractors", "NUMBER")
    protocol: str | None = declared(
        None,
        JUDGING,
        optional(lambda name: PROTOCOLS.info(name).name),
        "how rankings are judged",
        unset="the dataset's own",
    )
    average_precision: str | None = declared(
        None,
        JUDGING,
        optional(checked_by("average_precision", Choice(AP_METHODS))),
        "trapezoid or finite-sum",
        unset="the protocol's",
    )
    metrics: tuple[str, ...] = declared(
        (),
        JUDGING,
        parse_metrics,
        "metrics in addition to the protocol's: recall@1 hit@5 mrr",
        several=True,
        later=True,
    )

    def __post_init__(self) -> None:
        nameable(self.dataset)
        settle(self, str(self.dataset))
        check_together(self)

    @property
    def taps(self) -> tuple[tuple[float, str], ...]:
        """Weight and name of each tap; empty while the recipe leaves the tap to the backbone."""
        return self.tap.members if self.tap else ()

    @property
    def resizing(self) -> Resizing:
        """How pictures are brought to their size."""
        return Resizing(self.resize, self.interpolation, self.antialias)

    def without(self, *names: str) -> dict[str, Any]:
        """All fields but these, by name."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name not in names}

    def to_json(self) -> str:
        """The recipe as one line of JSON; fields that were added later are left out at what recipes meant before."""
        usual = {one.name: about(one).lacking or one.default for one in fields(self) if about(one).later}
        return json.dumps({name: value for name, value in self.without().items() if usual.get(name, ...) != value})

    @classmethod
    def from_json(cls, saved: str | Mapping[str, Any]) -> Recipe:
        """A recipe from `to_json`, or from a mapping.

        Raises
        ------
        ValueError, TypeError : no JSON object, or an unknown field; and as the class raises them.
        """
        given = object_of("Recipe.from_json", saved)
        load_extensions()
        check_fields("Recipe.from_json", cls, given)
        given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return cls(**({one.name: about(one).lacking for one in fields(cls) if about(one).lacking} | given))

    def key(self) -> str:
        """Hash of the recipe."""
        return digest(json.loads(self.to_json()))

    def resolved(
        self, dataset: Dataset | None = None, backbone: Backbone | None = None, store: Store | None = None
    ) -> Recipe:
        """Fill in what the recipe leaves open; loads dataset and backbone if they are not given.

        The store keeps what an engine makes of the network; it is the usual one by default.
        """
        dataset = dataset or load_dataset(self.dataset)
        backbone = backbone or load_backbone(self.backbone, self.weights)
        tap = self.tap or Taps(backbone.default_tap)
        spec, protocol = possible_aggregation(tap, self.aggregation, backbone), self.protocol or dataset.protocol
        given, learns = self.whitening_set, learns_rows(self) or spec.learns
        return replace(
            self,
            tap=tap,
            aggregation=spec,
            image_size=self.image_size or dataset.image_size,
            engine=settle_engine(self.engine, backbone, dataset, precision=self.precision, store=store),
            protocol=protocol,
            average_precision=self.average_precision or PROTOCOLS[protocol].average_precision,
            whitening_set=learning_set(given, dataset) if learns or means_held_out(given, dataset) else None,
        )


OF_SETTING = names(Recipe, SETTING)
"""Fields that the controls of a panel change; its recipes share all others."""


def right_of_maps() -> tuple[str, ...]:
    """Fields in which the recipes of one bench may differ, because they share their maps."""
    return names(Recipe, SETTING, LEARNING, SEARCH, JUDGING, ADDED)
