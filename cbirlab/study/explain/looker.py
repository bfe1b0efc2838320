"""Looker: pictures and maps of a session, kept so that moving a slider needs no pass through the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab import images
from cbirlab.aggregation import Aggregation
from cbirlab.base.recent import Recent
from cbirlab.extract.network import Network
from cbirlab.images.preprocessing import region
from cbirlab.index import Rows
from cbirlab.pipeline import fitting
from cbirlab.study.explain.heat_map import Overlay, overlay
from cbirlab.study.explain.match import Match, similarity_map
from cbirlab.study.explain.pairs import MOST_PAIRS, Cosines, JudgedPairs, cosines, judged_pairs
from cbirlab.study.explain.variances import Spectrum, spectrum

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from cbirlab.live import Session

    Item = int | str | Path | Image.Image

KEPT_PICTURES = 12
ALL_TAPS_BYTES = 1 << 27
"""If the maps of all taps fit into this, one pass makes them all; larger maps are made tap by tap."""


@dataclass(frozen=True, eq=False)
class WhiteningReport:
    """What a whitening does to the descriptors of a setting: variances, and cosines of judged pairs."""

    spectrum: Spectrum
    before: Cosines
    after: Cosines


class Looker:
    """Shows what a setting of a session does with single pictures and with pairs.

    A picture is a number, counted as in galleries: the database images, then the queries, which are cut to their boxes
    for the network; or a file or a Pillow image from outside.

    Parameters
    ----------
    session : with one pass per image (``passes="single"``); if it has several scales, the first is used.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._bench = session.bench
        self._network = Network(self._bench.backbone, precision=self._bench.shared.precision)
        self._pictures = Recent(KEPT_PICTURES)
        self._maps = Recent(KEPT_PICTURES, most_bytes=2 * ALL_TAPS_BYTES, size=_map_bytes)
        self._pairs: JudgedPairs | None = None
        self._cosines = Recent(KEPT_PICTURES)

    def picture(self, item: Item) -> np.ndarray:
        """What the network sees of a picture, uint8 (H, W, 3).

        Raises
        ------
        IndexError : no such picture.
        ImageError : a file that cannot be read.
        """
        return self._pictures.get(_name(item), lambda: (item, self._read(item)))[1]

    def maps(self, item: Item, tap: str) -> Tensor:
        """The maps (1, C, h, w) of a picture at a tap.

        Raises
        ------
        ValueError : a tap of local descriptors, which have no places in the picture.
        UnknownName : no such tap.
        """
        from cbirlab.backbones import check_tap

        if check_tap(self._bench.backbone, tap).kind == "local":
            raise ValueError(f"tap {tap!r} holds sets of local descriptors without a place; choose a tap with a map.")
        taps = self._together(self.picture(item), tap)
        return self._maps.get((_name(item), taps), lambda: (item, self._forward(item, taps)))[1][tap]

    def overlay(self, item: Item, tap: str, aggregation: str) -> Overlay:
        """What an aggregation looks at in a picture; see `cbirlab.study.explain.heat_map`."""
        spec = Aggregation.parse(aggregation)
        height, width = self.picture(item).shape[:2]
        state = self._state(tap, spec) if spec.fact("look") else None  # do not learn a codebook that is not needed
        return overlay(spec, self.maps(item, tap), (height, width), state)

    def match(
        self,
        a: Item,
        b: Item,
        tap: str,
        aggregation: str,
        whitening: str = "none",
        dimensions: int | None = None,
        *,
        share_mean: bool = False,
    ) -> Match:
        """Which places of two pictures make their score; see `cbirlab.study.explain.similarity_map`.

        Raises
        ------
        ValueError : an aggregation that is not known as a sum over places, or a session with several passes or scales,
            whose scores do not come from one map.
        """
        shared = self._bench.shared
        if not shared.passes.single or tuple(shared.scales) != (1.0,):
            raise ValueError("match: to divide a score, the session must describe an image by one pass at one scale.")
        spec = Aggregation.parse(aggregation)
        maps = [self.maps(item, tap) for item in (a, b)]
        state = self._state(tap, spec)
        fitted = self._whitening(tap, spec, whitening)
        options = {"whitening": fitted, "dimensions": dimensions, "share_mean": share_mean}
        return similarity_map(maps[0], maps[1], spec, state=state, **options)

    def whitening(self, tap: str, aggregation: str, whitening: str, dimensions: int | None = None) -> WhiteningReport:
        """What a whitening does to the descriptors of the dataset.

        Raises
        ------
        ValueError : images that are compared by more than one vector, or a dataset without known pairs.
        """
        before, after = (
            self._searched(tap, aggregation, "none"),
            self._searched(tap, aggregation, whitening, dimensions),
        )
        if before[0].counts is not None or Aggregation.parse(aggregation).fact("similarity"):
            raise ValueError(
                f"whitening: images must be compared by the cosine of two vectors, unlike with {aggregation}."
            )
        if self._pairs is None:
            self._pairs = judged_pairs(self.session.dataset, self._bench.shared.protocol, most=MOST_PAIRS)
        pairs = self._pairs
        plain = self._cosines.get((tap, aggregation), lambda: cosines(pairs, before[0].values, before[1].values))
        fitted = self._whitening(tap, aggregation, whitening)
        return WhiteningReport(
            spectrum(fitted, before[0].values, dimensions), plain, cosines(pairs, after[0].values, after[1].values)
        )

    def _read(self, item: Item) -> np.ndarray:
        dataset, box = self.session.dataset, None
        if isinstance(item, int | np.integer):
            count = len(dataset.images) + len(dataset.queries)
            if not 0 <= item < count:
                raise IndexError(f"picture: item must be in [0, {count - 1}], got {item}.")
            query = dataset.queries[item - len(dataset.images)] if item >= len(dataset.images) else None
            item, box = (query.path, query.box) if query else (dataset.images[item], None)
        shared = self._bench.shared
        box, frame = region(box, shared.crop)
        size = int(shared.image_size or 0)
        return images.pixels(item, image_size=size, box=box, frame=frame, resizing=shared.resizing)

    def _together(self, picture: np.ndarray, tap: str) -> tuple[str, ...]:
        """The taps whose maps come from the same pass."""
        known = {name: entry for name, entry in self._bench.backbone.taps.items() if entry.kind != "local"}
        area = picture.shape[0] * picture.shape[1]
        size = sum(4 * entry.channels * (area // entry.stride**2 if entry.stride else 1) for entry in known.values())
        return tuple(known) if size <= ALL_TAPS_BYTES else (tap,)

    def _forward(self, item: Item, taps: tuple[str, ...]) -> dict[str, Tensor]:
        return self._network.maps(self.picture(item)[None].copy(), taps)

    def _state(self, tap: str, spec: Aggregation) -> Any:
        """What an aggregation has learned, or needs from the network; only what learns has to wait for the dataset."""
        if problem := fitting.check_cell(self._bench.backbone, tap, spec):
            raise ValueError(f"{self._bench.backbone.name}: {problem}.")
        if not spec.learns:
            found = fitting.network_states(self._bench.backbone, {tap: [spec]}).get((tap, spec.key))
            return found and found.value
        self.session.make_ready(tap, spec)
        with self.session.lock:
            return self._bench.state(tap, self.session.recipe(tap, spec))

    def _whitening(self, tap: str, aggregation: str, whitening: str) -> Any:
        if whitening == "none":
            return None
        self.session.make_ready(tap, aggregation, whitening)
        with self.session.lock:
            return self._bench.whitening(self.session.recipe(tap, aggregation, whitening))

    def _searched(self, tap: str, aggregation: str, whitening: str, dimensions: int | None = None) -> tuple[Rows, Rows]:
        self.session.make_ready(tap, aggregation, whitening, dimensions)
        with self.session.lock:
            return self._bench.pair(self.session.recipe(tap, aggregation, whitening, dimensions))


def _map_bytes(kept: tuple[Item, dict[str, Tensor]]) -> int:
    return sum(maps.nbytes for maps in kept[1].values())


def _name(item: Item) -> Any:
    """The key of a picture while it is kept."""
    return int(item) if isinstance(item, int | np.integer) else str(item) if isinstance(item, str | Path) else id(item)
