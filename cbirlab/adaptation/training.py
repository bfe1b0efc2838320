"""Training: everything that decides what is learned, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from cbirlab.adaptation.labelling import Labels
from cbirlab.aggregation import Aggregation
from cbirlab.aggregation.learnable import LearnablePooling
from cbirlab.backbones import check_tap, tap_before
from cbirlab.backbones.names import USUAL
from cbirlab.backbones.trained import HEADS, POOLED
from cbirlab.base.methods import Method
from cbirlab.base.params import Choice, Range
from cbirlab.base.plain import check_fields, object_of
from cbirlab.base.registry import Registry, UnknownName
from cbirlab.images.preprocessing import IMAGE_SIZE
from cbirlab.pipeline.fields import checked_by, declared, each, on_or_off, optional, settle
from cbirlab.store import digest
from cbirlab.store.code import code_version
from cbirlab.training.losses import Loss
from cbirlab.training.miners import Miner, check_mined
from cbirlab.training.schedule import SCHEDULE

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

HEAD, POOLING, ALL, AUTO = "head", "pooling", "all", "auto"
RATES = {HEAD: 1e-3, ALL: 2e-4}
"""Rates by default, of a head and of a network."""

_COMPUTE = (
    "clicked",
    "grouping",
    "known",
    "labelling",
    "manifold_mining",
    "network",
    "steps",
    "supervision",
    "verifying",
    "views",
)
"""The modules of this room that decide what is learned."""

_POOLED_BY = ("adaptation.poolings", "aggregation", "attention.modules", "encoding")
"""Those that decide what a pooling learns, too."""

BATCHES: Registry[Any] = Registry("batch")


class Batch(Method):
    """How the rows of a step are drawn."""

    registry: ClassVar[Registry[Any]] = BATCHES


@BATCHES.register("pk", title="P instances with K rows each")
def pk(
    *,
    classes: Annotated[int, Range(2, 4096, integer=True)] = 8,
    each: Annotated[int, Range(2, 256, integer=True)] = 4,
) -> tuple[int, int]:
    """P instances, K rows of each."""
    return classes, each


def _option(name: str, default: str, options: tuple[str, ...], help: str) -> Any:
    check = checked_by(name, Choice(options), "Training")
    return declared(default, "training", check, f"{help}: {', '.join(options)}")


def _number(name: str, default: Any, allowed: Range, help: str, unset: str = "") -> Any:
    check, read = checked_by(name, allowed, "Training"), int if allowed.integer else float
    return declared(default, "training", check, help, metavar="NUMBER", read=read, unset=unset, offers=allowed)


@dataclass(frozen=True, kw_only=True)
class Training:
    """One way to train a network, or a head over its descriptors. None means: as the backbone or the data say.

    >>> Training(moves="layer4", loss="supcon").loss
    'supcon'

    Attributes
    ----------
    on : what is learned on, "toytown/train", a dataset or a folder: its train split, or else about half of it
        (`Dataset.held_out`), or all of it if it has no ground truth. "NAME/images", the evaluated images, needs `leak`.
    backbone, weights : where training starts.
    tap : the descriptor is taken there; the default tap by default.
    aggregation : a pooling; of "gem" the exponent is learned too.
    image_size : long side in pixels, the dataset's own by default.
    moves : what is learned: a "head" over descriptors; a "pooling" over the maps of the tap; the network from a tap on,
        "layer4": that tap and all after the one before; or "all".
    pooling : a method of `POOLINGS`, if that is what learns; labels are then guessed by `aggregation`.
    start : where a head starts, see `HeadWhitening`.
    labels : "given", or a method of `PSEUDO` that guesses them.
    judgements : a file of `cbirlab.adaptation.judgements`, from which labels "clicked" come. What it says is part of
        the key, not where it lies.
    loss, miner : methods of `LOSSES` and `MINERS`.
    batch : "pk(classes=8, each=4)"; of a head 16 classes by default.
    memory : rows of earlier batches that stand beside each batch (cross-batch memory).
    augment : "views" (three of each picture if maps are kept, else a new one at each step), "none", or "auto": views
        for a network.
    steps, rate, schedule : of AdamW.
    precision : of the network while it trains: "float32", "bfloat16", or "auto" for whichever takes less time here.
    hold_out : share of the identities that choose the step.
    keep : the "best" step by what is held out, the start included, or the "last".
    keep_old : weight of a term that holds descriptors where they were, see `keep_old_on`.
    keep_old_on : dataset whose descriptors are held; what is learned on by default.
    leak : allow to learn on what is evaluated; tables say so.
    seed : of batches, views and labels.
    device : "cpu", "cuda", ...
    threads : of torch while it trains; as they are by default. Neither is part of the key.

    Raises
    ------
    UnknownName, TypeError, ValueError : a name that is not registered, or a value that is not allowed.
    """

    on: str = declared("toytown/train", "training", str, "what is learned on: a dataset or a folder")
    backbone: str = declared(None, "training", help="the network", unset=USUAL)
    weights: str | None = declared(None, "training", help="where it starts", unset="the backbone's own")
    tap: str | None = declared(None, "training", help="where the descriptor is taken", unset="the backbone's own")
    aggregation: Aggregation = declared("gem", "training", Aggregation.parse, "pooling")
    image_size: int | None = declared(
        None,
        "training",
        checked_by("image_size", IMAGE_SIZE, "Training"),
        "long side",
        unset="the dataset's own",
        metavar="PIXELS",
        read=int,
    )
    moves: str = declared("head", "training", str, "what is learned: head, pooling, all, or a tap: from there on")
    pooling: LearnablePooling = declared("gem", "training", LearnablePooling.parse, "which pooling learns")
    start: str = _option("start", "identity", ("identity", "half", "pca", "lw"), "where a head starts")
    labels: Labels = declared("given", "training", Labels.parse, "given, or how they are guessed: 'kmeans(each=8)'")
    judgements: str | None = declared(None, "training", optional(str), "file of labels 'clicked'", metavar="FILE")
    loss: Loss = declared("multisim", "training", Loss.parse, "what is minimised")
    miner: Miner = declared("none", "training", Miner.parse, "which pairs of a batch count")
    batch: Batch | None = declared(
        None, "training", optional(Batch.parse), "'pk(classes=8, each=4)'", unset="of a head 16 classes, else 8"
    )
    memory: int = _number("memory", 0, Range(0, 1 << 16, integer=True), "rows of earlier batches beside each batch")
    augment: str = _option("augment", AUTO, (AUTO, "none", "views"), "other views of the pictures")
    steps: int = _number("steps", 60, Range(1, 1 << 20, integer=True), "of gradient descent")
    rate: float | None = _number("rate", None, Range(1e-8, 1, optional=True), "of learning", "0.001 or 0.0002")
    schedule: str = _option("schedule", "cosine", SCHEDULE.options, "of the rate")
    precision: str = _option("precision", AUTO, (AUTO, "float32", "bfloat16"), "of the network while it trains")
    hold_out: float = _number("hold_out", 0.25, Range(0, 0.5), "share of the identities that choose the step")
    keep: str = _option("keep", "best", ("best", "last"), "which step is kept")
    keep_old: float = _number("keep_old", 0.0, Range(0, 1e4), "weight of a term that holds descriptors where they were")
    keep_old_on: str | None = declared(None, "training", optional(str), "whose descriptors", unset="what is learned on")
    leak: bool = declared(False, "training", help="learn on what is evaluated", metavar="on|off", read=on_or_off)
    seed: int = _number("seed", 0, Range(0, 2**31 - 1, integer=True), "of batches, views and labels")
    device: str = declared("cpu", "machine", str, "where the network runs")
    threads: int | None = declared(
        None,
        "machine",
        checked_by("threads", Range(1, 1024, integer=True, optional=True), "Training"),
        "of torch while it trains",
        unset="as they are",
        metavar="NUMBER",
        read=int,
    )

    def __post_init__(self) -> None:
        settle(self, str(self.on))
        check_mined(self.loss, self.miner)
        if self.aggregation.learns or self.aggregation.attentions or self.aggregation.fact("needs"):
            raise ValueError(
                f"Training: aggregation must be a pooling that learns nothing, as 'gem', got {self.aggregation!r}."
            )
        if self.moves == HEAD:
            self._check_head()
        elif self.start != "identity":
            raise ValueError(f"Training: start is that of a head, but moves is {self.moves!r}; leave it out.")
        if self.moves == POOLING:
            self._check_pooling()
        elif self.pooling != "gem":
            raise ValueError(
                f"Training: pooling is what learns with moves 'pooling', got {self.pooling!r} with moves "
                f"{self.moves!r}; leave it out."
            )
        if self.labels.name == "views" and self.augment == "none":
            raise ValueError("Training: labels 'views' needs augment 'views', got 'none'.")
        if bool(self.labels.fact("judged")) != (self.judgements is not None):
            raise ValueError(
                f"Training: judgements must be a CSV file of picture, other, same for labels 'clicked', and None for "
                f"others, got {self.judgements!r} with labels {self.labels!r}; give both or neither."
            )

    def _check_head(self) -> None:
        """Refuse what a head over descriptors, which sees no picture, cannot do."""
        others = {one.name: one.default for one in fields(self)}
        without = ("miner", "memory", "schedule", "precision", "keep_old", "keep_old_on")
        for name in without:
            if getattr(self, name) != others[name]:
                raise ValueError(
                    f"Training: {name} belongs to training a network, got {getattr(self, name)!r} with moves 'head'; "
                    "leave it out, or let a tap move."
                )
        if self.augment == "views" or self.labels.name in ("views", "mom", "knn"):
            raise ValueError(
                f"Training: a head needs augment 'none' and labels in groups, got {self.augment!r} and {self.labels!r}."
            )

    def _check_pooling(self) -> None:
        """Refuse what a pooling, which the network gives maps in one precision, cannot do."""
        if self.precision == "bfloat16":
            raise ValueError("Training: a pooling learns in precision 'float32', got 'bfloat16'; leave it out.")

    @property
    def family(self) -> str:
        """The network, "head" or "pooling": where the names of what is learned must differ."""
        return {HEAD: HEADS, POOLING: POOLED}.get(self.moves, self.backbone)

    def to_json(self) -> str:
        """The training as one line of JSON."""
        return json.dumps({name: getattr(self, name) for name, _ in each(self)})

    @classmethod
    def from_json(cls, saved: str | Mapping[str, Any]) -> Training:
        """A training from `to_json`, or from a mapping.

        Raises
        ------
        ValueError, TypeError : no JSON object, or an unknown field; and as the class raises them.
        """
        given = object_of("Training.from_json", saved)
        check_fields("Training.from_json", cls, given)
        return cls(**given)

    def resolved(self, backbone: Backbone, image_size: int) -> Training:
        """Fill in what is left open, except the precision.

        Raises
        ------
        UnknownName, WeightsError : the backbone has no such tap.
        ValueError : what moves has no parameters.
        """
        tap = self.tap or backbone.default_tap
        check_tap(backbone, tap)
        if self.moves not in (HEAD, POOLING, ALL):
            before = list(backbone.taps)
            if self.moves not in before or before.index(self.moves) > before.index(tap):
                raise UnknownName(
                    f"Training: moves must be 'head', 'pooling', 'all' or a tap up to {tap!r} "
                    f"({', '.join(before[: before.index(tap) + 1])}), got {self.moves!r}."
                )
            if not moving(backbone, self.moves, tap):
                raise ValueError(
                    f"Training: moves {self.moves!r} up to {tap!r} has no parameters that could learn; let an earlier "
                    f"tap move, such as {tap_before(backbone, self.moves)!r}."
                )
        augment = ("none" if self.moves == HEAD else "views") if self.augment == AUTO else self.augment
        rate = self.rate
        if rate is None and self.moves != HEAD:
            rate = self.pooling.fact("rate") if self.moves == POOLING else RATES[ALL]
        precision = "float32" if self.moves == POOLING else self.precision
        batch = self.batch or Batch("pk", {"classes": 16 if self.moves == HEAD else 8})
        size = self.image_size or image_size
        made = {"augment": augment, "rate": rate, "batch": batch, "precision": precision}
        return replace(self, tap=tap, image_size=size, **made)

    def key(self, backbone: Backbone, pictures: str, judged: str | None = None) -> str:
        """Hash of a resolved training, of the network that it starts from, of its pictures and of the code.

        Parameters
        ----------
        pictures : hash of what is learned on.
        judged : hash of what the judgements say.
        """
        plain = {name: getattr(self, name) for name, _ in each(self, "training")} | {"judgements": judged}
        made_of: dict[str, Any] = {"training": plain, "start": backbone.digest, "pictures": pictures}
        pooled = _POOLED_BY if self.moves == POOLING else ()
        made_of["code"] = code_version("training", *(f"adaptation.{one}" for one in _COMPUTE), *pooled)
        return digest(made_of | {"library": _library()})


def _library() -> str:
    try:
        return version("pytorch-metric-learning")
    except PackageNotFoundError:
        return ""


def moving(backbone: Backbone, moves: str, tap: str) -> set[str]:
    """Names of the parameters that learn up to `tap` if a network moves from the tap `moves` on, or all of it."""
    from cbirlab.backbones.weights import needed

    module, before = backbone.module, None if moves == ALL else tap_before(backbone, moves)
    fixed = needed(module, backbone.taps[before].path) if before else set()
    return {name for name, _ in module.named_parameters()} & (needed(module, backbone.taps[tap].path) - fixed)
