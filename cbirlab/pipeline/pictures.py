"""Pictures: local features of the pictures behind a search, described when they are first asked for and then kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cbirlab import images
from cbirlab.base.progress import bar
from cbirlab.base.recent import Recent
from cbirlab.datasets import Dataset
from cbirlab.extract.batches import Item, part_items
from cbirlab.extract.cache_keys import row_facts
from cbirlab.extract.fingerprint import Fingerprint, fingerprints
from cbirlab.images.preprocessing import Box, Resizing, region
from cbirlab.pipeline.picture_kinds import Kind, kind_of
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.files import state_of

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

KEPT, KEPT_BYTES = 1 << 14, 1 << 28
"""Pictures whose features stay in memory, and the most bytes of these."""

OUTSIDE = -1
"""The number of a query that is in no dataset."""

Picture = str | Path | Image.Image | np.ndarray


class DatasetPictures:
    """Features of the pictures of a dataset, each read, cut and resized as its descriptor is, whole and at scale 1.

    Kinds are those of `picture_kinds.kind_of`. Features are kept in the store by the bytes of the file, what is seen of
    it, and the code that makes them. A picture that is missing or broken has empty features.

    Parameters
    ----------
    dataset, backbone : loaded; the backbone gives the maps.
    recipe : resolved; says how pictures are cut and resized.
    store : keeps the features.
    progress : show a bar when describing takes more than a second.

    Attributes
    ----------
    seconds : that it took to describe pictures of the dataset, so far.
    """

    def __init__(
        self, dataset: Dataset, backbone: Backbone, recipe: Recipe, *, store: Store, progress: bool = True
    ) -> None:
        self.dataset, self.backbone, self.recipe = dataset, backbone, recipe
        self.store, self.progress = store, progress
        self._size = int(recipe.image_size or dataset.image_size)
        self._prints: dict[Path, Fingerprint] = {}
        self._kinds: dict[str, Kind] = {}
        self._kept = Recent(KEPT, most_bytes=KEPT_BYTES, size=lambda found: found.nbytes)
        self.seconds = 0.0

    @cached_property
    def _images(self) -> list[Item]:
        return part_items(self.dataset, "images", self.recipe.crop)

    @cached_property
    def _queries(self) -> list[Item]:
        return part_items(self.dataset, "queries", self.recipe.crop)

    def of_queries(self, kind: str, queries: Sequence[int]) -> list[Any]:
        """Features of this kind for some queries of the dataset.

        Raises
        ------
        IndexError : there is no such query; -1, one of no dataset, is only known to `asked_with`.
        """
        for query in queries:
            if not 0 <= query < len(self._queries):
                raise IndexError(f"queries must be in [0, {len(self._queries) - 1}], got {query}; see `asked_with`.")
        return self._of(kind, [self._queries[query] for query in queries])

    def of_images(self, kind: str, images: Sequence[int]) -> list[Any]:
        """Features of this kind for some rows of the database; empty ones for distractors, which have no picture."""
        return self._of(kind, [self._images[row] if row < len(self._images) else None for row in images])

    def of_picture(self, kind: str, image: Picture, box: Box | None = None, *, prepared: bool = False) -> Any:
        """Features of a picture that is in no dataset, or of a part of it, made as those of a query are.

        Parameters
        ----------
        image : a file, a Pillow image, or uint8 RGB (H, W, 3).
        box : (x0, y0, x1, y1) in pixels of the upright image: the part that is looked at.
        prepared : the image is already cut and resized; it is only made smaller if it is too large.

        Raises
        ------
        ImageError : a file that cannot be read.
        ValueError : a box outside the image.
        """
        upright = images.read(Image.fromarray(image) if isinstance(image, np.ndarray) else image)
        size, resizing = as_given(upright, self._size, self.recipe.resizing, prepared)
        box, frame = region(box, self.recipe.crop)
        pixels = images.pixels(upright, image_size=size, box=box, frame=frame, resizing=resizing)
        made = self._kind(kind)
        return made.opened(made.describe(pixels))

    def asked_with(self, image: Picture, box: Box | None = None, *, prepared: bool = False) -> AskedPicture:
        """The same pictures, for a query that is in no dataset; its number is -1. The arguments of `of_picture`."""
        return AskedPicture(self, image, box, prepared)

    def _of(self, name: str, items: Sequence[Item | None]) -> list[Any]:
        """Features of each item, in memory, from the store, or made now; empty ones for no item."""
        kind = self._kind(name)
        there = list(dict.fromkeys(item for item in items if item is not None))
        prints = self._prints_of([item.path for item in there])
        facts = dict(zip(there, row_facts(there, prints), strict=True))

        def features(item: Item) -> Any:
            known = prints[item.path]
            return self._kept.get((name, repr(facts[item])), lambda: self._made(kind, item, known, facts[item]))

        sound = [item for item in there if not prints[item.path].problem]
        fresh = [item for item in sound if (name, repr(facts[item])) not in self._kept]
        found: dict[Item | None, Any] = {}
        if fresh:
            start = time.perf_counter()
            with bar(fresh, desc=f"{name} of {self.dataset.name}", unit="image", show=self.progress) as shown:
                found = {item: features(item) for item in shown}
            self.seconds += time.perf_counter() - start
        found |= {item: features(item) for item in sound if item not in found}
        none = kind.opened(None)
        return [found.get(item, none) for item in items]

    def _made(self, kind: Kind, item: Item, known: Fingerprint, fact: Sequence[Any]) -> Any:
        """Features from the store, or made now and kept there."""
        resizing = self.recipe.resizing
        specification = {"picture": fact, "image_size": self._size, **resizing.changed, **kind.facts}
        entry = self.store.get("pictures", specification)
        if entry is not None:
            return kind.opened(entry.arrays)
        where = {"box": item.box, "frame": item.frame, "image_size": self._size}
        try:
            pixels, _ = images.decode(item.path, resizing=resizing, **where)  # extraction has told the remark
        except images.ImageError:
            return kind.opened(None)
        arrays = kind.describe(pixels)
        if not known.still_of(item.path):
            raise images.ImageError(
                f"{item.path}: the file was changed while it was described; run again once it is complete."
            )
        with suppress(StoreUnwritable):  # extraction has said so already
            self.store.put("pictures", specification, arrays, dataset=self.dataset.name)
        return kind.opened(arrays)

    def _kind(self, name: str) -> Kind:
        if name not in self._kinds:
            self._kinds[name] = kind_of(name, self.backbone, self.recipe.precision)
        return self._kinds[name]

    def _prints_of(self, paths: Sequence[Path]) -> Mapping[Path, Fingerprint]:
        """Fingerprints of files; those whose state is as it was are not looked at again."""
        fresh = [path for path in paths if path not in self._prints or _state(path) != self._prints[path].state]
        self._prints |= fingerprints(fresh, self.store) if fresh else {}
        return {path: self._prints[path] for path in paths}


class AskedPicture:
    """The pictures of a dataset and one query that is not in it; see `DatasetPictures.asked_with`."""

    def __init__(self, others: DatasetPictures, image: Picture, box: Box | None, prepared: bool) -> None:
        self._others, self._query = others, (image, box, prepared)
        self._known: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """What it took to describe pictures of the dataset, so far."""
        return self._others.seconds

    def of_queries(self, kind: str, queries: Sequence[int]) -> list[Any]:
        """Features of this kind for the query -1."""
        if any(query != OUTSIDE for query in queries):
            raise ValueError(f"the only query here is {OUTSIDE}, the given picture, got {list(queries)}.")
        if kind not in self._known:
            image, box, prepared = self._query
            self._known[kind] = self._others.of_picture(kind, image, box, prepared=prepared)
        return [self._known[kind] for _ in queries]

    def of_images(self, kind: str, images: Sequence[int]) -> list[Any]:
        """Features of this kind for some rows of the database."""
        return self._others.of_images(kind, images)


def as_given(upright: Image.Image, size: int, resizing: Resizing, prepared: bool) -> tuple[int, Resizing]:
    """Image size and resizing for an image from outside; rules that may enlarge or cut leave a `prepared` one alone."""
    if prepared and resizing.resize != "long_side":
        return max(upright.size), replace(resizing, resize="long_side")
    return size, resizing


def _state(path: Path) -> str:
    try:
        return state_of(path.stat())
    except OSError:
        return ""
