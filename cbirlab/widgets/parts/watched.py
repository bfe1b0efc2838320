"""Watched pictures: a dataset as a network describes it while it learns, with its maps kept to look at it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cbirlab.adaptation.views import GROUP, by_shape
from cbirlab.base.progress import bar
from cbirlab.evaluation import evaluate
from cbirlab.images import ImageError
from cbirlab.images.reading import decode, normalise
from cbirlab.index import ExactIndex, Ranking

if TYPE_CHECKING:
    from cbirlab.adaptation.steps import Loop
    from cbirlab.backbones import Backbone
    from cbirlab.datasets import Dataset

MOST, MOST_WHOLE = 2000, 400
"""Database pictures that are watched while the network learns from some tap on, and while all of it learns."""


class Watched:
    """The database and the queries of a dataset, described by a network that learns.

    Of a large database some pictures are drawn; the others have rows of zeros, which no search finds.

    Attributes
    ----------
    images : rows of the database that are watched, ascending.
    all : whether these are all of them.
    """

    def __init__(self, dataset: Dataset, loop: Loop, backbone: Backbone, image_size: int) -> None:
        self.dataset, self._loop, self._backbone, self._side = dataset, loop, backbone, image_size
        count, most = len(dataset.images), MOST if loop.network.entrance is not None else MOST_WHOLE
        drawn = np.random.default_rng(0).permutation(count)[:most]
        self.images, self.all = np.sort(drawn), count <= most
        self._entered: list[Tensor | None] = []

    def prepare(self) -> None:
        """Run the pictures through the part of the network that stays, once."""
        places = [(self.dataset.images[row], None) for row in self.images]
        places += [(query.path, query.box) for query in self.dataset.queries]
        pixels: list[Tensor] = []
        known: list[int] = []
        for number, (path, box) in enumerate(bar(places, desc="pictures to look at", unit="image")):
            try:
                found = torch.from_numpy(decode(path, image_size=self._side, box=box)[0].copy())
            except ImageError:
                continue  # its row stays 0
            pixels.append(found)
            known.append(number)
        self._entered = [None] * len(places)
        groups = by_shape(pixels, GROUP)
        for group in bar(groups, desc="maps to look at", unit="batch"):
            entered = [pixels[place] for place in group]
            if self._loop.network.entrance is not None:
                entered = [one.clone() for one in self._loop.network.enter(self._normal(entered))]
            for place, one in zip(group, entered, strict=True):
                self._entered[known[place]] = one

    def _normal(self, pixels: list[Tensor]) -> Tensor:
        backbone = self._backbone
        made = normalise(torch.stack(pixels).numpy(), mean=backbone.mean, std=backbone.std)
        return made.to(backbone.device)

    def look(self) -> np.ndarray:
        """Descriptors by the network as it is, (N + Q, D) float32: the database first, then the queries."""
        kept = [number for number, one in enumerate(self._entered) if one is not None]
        entered = [one for one in self._entered if one is not None]
        whole = self._loop.network.entrance is None
        found: list[np.ndarray] = []
        for start in range(0, len(entered), 64):
            some = entered[start : start + 64]
            if whole:
                some = [self._normal([one])[0] for one in some]
            found.append(self._loop.described(some).float().cpu().numpy())
        count = len(self.dataset.images)
        rows = np.zeros((count + len(self.dataset.queries), self._loop.network.width), np.float32)
        places = np.concatenate([self.images, count + np.arange(len(self.dataset.queries))])[kept]
        if found:
            rows[places] = np.concatenate(found)
        return rows

    def forget(self) -> None:
        """Give the memory of the maps back; nobody can look again."""
        self._entered = []

    @property
    def judged(self) -> bool:
        """Whether the queries have right answers, and the whole database is there to find them in."""
        return self.all and bool(self.dataset.queries) and any(any(one.values()) for one in self.dataset.labels)

    def benchmark(self, rows: np.ndarray) -> float:
        """The main metric of the dataset's protocol with these descriptors; NaN if it cannot be judged."""
        if not self.judged:
            return float("nan")
        images, queries = np.split(rows, [len(self.dataset.images)])
        found = evaluate(ExactIndex().fit(images).search(queries), self.dataset, resamples=0, remarking=False)
        return float(found.metrics[found.protocol.headline])

    def ranking(self, rows: np.ndarray, item: int) -> Ranking:
        """The database in the order of its similarity to a picture, a row of `rows`."""
        return ExactIndex().fit(rows[: len(self.dataset.images)]).search(rows[[item]])
