"""Queries that no dataset has: pictures from outside, described like its own, and several images as one query."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab import images
from cbirlab.base.recent import Recent
from cbirlab.datasets.base import Box
from cbirlab.extract.descriptors import exponent_of, over_scales
from cbirlab.extract.network import Network
from cbirlab.extract.pooling import pool
from cbirlab.images.preprocessing import region, whole_box
from cbirlab.index import Ranking, Rows
from cbirlab.passes import Passes, View
from cbirlab.pipeline.bench import Bench
from cbirlab.pipeline.pictures import AskedPicture, as_given
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store.files import state_of
from cbirlab.whitening import normalise

if TYPE_CHECKING:
    from PIL import Image


_KEPT, _KEPT_BYTES = 16, 1 << 28  # pictures, and bytes of their maps

Maps = list[list[dict[str, Any]]]
"""Maps of one picture: scale by scale, view by view, tap by tap."""


class Outside:
    """Describes pictures that are in no dataset as a bench describes its own; what it sees is kept for the next move.

    Parameters
    ----------
    bench : gives the network, the views, the scales, and how pictures are brought to their size.
    taps : the taps whose maps are made together.
    """

    def __init__(self, bench: Bench, taps: Sequence[str]) -> None:
        self.bench, self.taps = bench, taps
        self._kept = Recent(_KEPT, most_bytes=_KEPT_BYTES, size=lambda kept: _size_bytes(kept[1]))
        self._asked = Recent(_KEPT)

    def rank(self, recipe: Recipe, image: str | Path | Image.Image) -> Ranking:
        """Rank the database for an image: (1, N). It raises what `rows` raises."""
        asked = self.bench.project(recipe, self.rows(recipe, image))
        return self.bench.search(recipe, asked, picture=self.picture(image))

    def rows(
        self, recipe: Recipe, image: str | Path | Image.Image, box: Box | None = None, *, prepared: bool = False
    ) -> Rows:
        """Descriptors of an image, or of a part of it, before whitening.

        Parameters
        ----------
        recipe : resolved, of the bench.
        box : (x0, y0, x1, y1) in pixels of the upright image.
        prepared : the image is already cut and resized; rules that may enlarge or cut it are not applied again.

        Raises
        ------
        ImageError : a file that cannot be read.
        ValueError : a box outside the image.
        """
        maps = self._kept.get(_name(image, box, prepared), lambda: (image, self._maps(image, box, prepared)))[1]
        spec = recipe.aggregation
        exponent = exponent_of(recipe.scale_pooling, spec)
        views = {}
        for _, tap in recipe.taps:
            states = {spec.key: self.bench.state(tap, recipe)}
            scales = [[pool(view[tap], [spec], states)[spec.key] for view in scale] for scale in maps]
            views[tap] = over_scales([np.concatenate(scale) for scale in scales], exponent)
        return self.bench.outside(recipe, views)

    def picture(
        self, image: str | Path | Image.Image, box: Box | None = None, *, prepared: bool = False
    ) -> AskedPicture:
        """The local features of an image, which re-ranking may compare, made when they are asked for; as `rows`."""
        name = _name(image, box, prepared)
        return self._asked.get(name, lambda: self.bench.pictures.asked_with(image, box, prepared=prepared))

    def _maps(self, image: str | Path | Image.Image, box: Box | None, prepared: bool) -> Maps:
        shared = self.bench.shared
        network = Network(self.bench.backbone, precision=shared.precision)
        upright = images.read(image)
        passes = shared.passes
        size, resizing = as_given(upright, int(shared.image_size or 0), shared.resizing, prepared)
        box, frame = region(box, shared.crop)
        boxes = [box] if passes.single else _views(upright, box or frame, passes)
        options = {"image_size": size, "frame": frame, "resizing": resizing}

        def maps(one: Box | None, scale: float) -> dict[str, Any]:
            pixels = images.pixels(upright, box=one, scale=scale * passes.magnify, **options)
            return network.maps(pixels[None].copy(), self.taps)

        return [[maps(one, scale) for one in boxes] for scale in shared.scales]


def check_rows(image: int | Sequence[int], count: int, recipe: Recipe, box: Box | None) -> list[int]:
    """Rows of a database of `count` images that are one query, checked; see `Session.rank_image`."""
    rows = [int(row) for row in (image if isinstance(image, Sequence) else [image])]
    if wrong := [row for row in rows if not 0 <= row < count]:
        raise IndexError(f"rank_image: image must be a row in [0, {count - 1}], got {wrong[0]}.")
    if not rows:
        raise ValueError("rank_image: image must be a row or a list of at least one row, got an empty list.")
    if len(rows) > 1 and box is not None:
        raise ValueError("rank_image: a box is a part of one image; several rows as one query have none.")
    if len(rows) > 1 and recipe.rerank.compares_pictures:
        raise ValueError(
            f"rank_image: {recipe.rerank} compares pictures, and the mean of several is none; choose another "
            "re-ranking, or ask for one image."
        )
    return rows


def mean_of(rows: Rows) -> Rows:
    """Several images as one query: the mean of their L2-normalised descriptors, normalised again; one as it is.

    An image without a descriptor adds nothing.
    """
    if len(rows) == 1:
        return rows
    mean = normalise(normalise(rows.means()).sum(axis=0, keepdims=True))
    return Rows(mean, None if rows.counts is None else np.ones(1, rows.counts.dtype))


def known_by(image: str | Path | Image.Image) -> Hashable:
    """A key that identifies an image in memory; a file's name alone is not enough, since the file may be changed."""
    if not isinstance(image, str | Path):
        return id(image)
    with suppress(OSError):  # an error shows up when the file is read
        return str(image), state_of(Path(image).stat())
    return str(image)


def _name(image: str | Path | Image.Image, box: Box | None, prepared: bool) -> Hashable:
    return known_by(image), box and tuple(box), prepared


def _views(upright: Image.Image, box: Box | None, passes: Passes) -> list[Box]:
    """The boxes of all views of an image, or of a part of it."""
    x0, y0, x1, y1 = whole_box(upright.height, upright.width, box or (0, 0, upright.width, upright.height))
    view = View(y1 - y0, x1 - x0, lambda: np.asarray(upright.crop((x0, y0, x1, y1))))
    return [(x0 + left, y0 + top, x0 + right, y0 + bottom) for left, top, right, bottom in passes.boxes(view)]


def _size_bytes(maps: Maps) -> int:
    return sum(one.nbytes for scale in maps for view in scale for one in view.values())
