"""Request: what to describe, for which images and how, as one plain record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from cbirlab.datasets.base import Dataset
from cbirlab.extract.batches import BATCH_PIXELS, PARTS
from cbirlab.extract.engines import TORCH, check_settled
from cbirlab.extract.sampling import Sampler
from cbirlab.images import USUAL
from cbirlab.images.preprocessing import Resizing

if TYPE_CHECKING:
    from cbirlab.aggregation import Aggregation
    from cbirlab.backbones import Backbone
    from cbirlab.passes import Passes


@dataclass(frozen=True, eq=False)
class State:
    """What an aggregation has learned at one tap: the state for its `apply`, and a hash of what that depends on.

    Attributes
    ----------
    value : the state for database and train images.
    digest : a hash of the training data, the method and its code.
    of_queries : for queries, if they are described in another way than the database.
    """

    value: Any
    digest: str
    of_queries: Any = None


@dataclass(frozen=True, eq=False)
class Request:
    """Descriptors of a dataset at all `taps` and by all `aggregations`.

    Attributes
    ----------
    dataset, backbone : loaded.
    taps : names of the backbone's taps.
    aggregations : the same for all taps, or by tap.
    image_size : long side in pixels, the dataset's own by default.
    scales : image sizes relative to `image_size`; with several, descriptors are pooled after L2-normalisation.
    scale_pooling : "mean", or "gem" with the exponent of the aggregation, which has to be GeM: no other has values that
        are never negative and an exponent.
    passes : feedforward scheme, the crops of an image that go through the network; the whole image by default.
    states : (tap, aggregation key) to what an aggregation has learned at that tap, or needs from the network.
    parts : some of "images", "queries", "train".
    precision : "float32" or "bfloat16".
    engine : what carries out the passes, as `cbirlab.extract.settle_engine` gives it.
    crop : how queries are cut out, see `cbirlab.images.preprocessing.CROP`.
    resizing : how pictures are brought to their size.
    batch_pixels : most pixels of the images that go through the network together.

    Raises
    ------
    UnknownName, WeightsError : the backbone has no such tap.
    ValueError : no scales, or one outside [0.05, 8]; an engine that is not settled.
    """

    dataset: Dataset
    backbone: Backbone
    _: KW_ONLY
    taps: Sequence[str]
    aggregations: Sequence[Aggregation | Sampler] | Mapping[str, Sequence[Aggregation | Sampler]]
    image_size: int | None = None
    scales: Sequence[float] = (1.0,)
    scale_pooling: str = "mean"
    passes: Passes | None = None
    states: Mapping[tuple[str, str], State] | None = None
    parts: Sequence[str] = PARTS
    precision: str = "float32"
    engine: str = TORCH
    crop: str = "box"
    resizing: Resizing = USUAL
    batch_pixels: int = BATCH_PIXELS

    def __post_init__(self) -> None:
        from cbirlab.backbones import check_tap

        check_settled("extract", self.engine)
        if not self.scales or any(not 0.05 <= scale <= 8 for scale in self.scales):
            raise ValueError(f"extract: scales must be one or more numbers in [0.05, 8], got {tuple(self.scales)}.")
        for tap in self.taps:
            check_tap(self.backbone, tap)

    @property
    def long_side(self) -> int:
        """Long side of the images in pixels, at scale 1."""
        return int(self.image_size or self.dataset.image_size)

    @property
    def cells(self) -> list[tuple[str, Aggregation | Sampler]]:
        """Every tap with every aggregation that is asked for there."""
        own = self.aggregations
        return [(tap, spec) for tap in self.taps for spec in (own[tap] if isinstance(own, Mapping) else own)]
