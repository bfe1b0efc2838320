"""Copies: a warning, before numbers of somebody's own images are believed, that some of the images are nearly equal."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.datasets.base import OWN, Dataset
from cbirlab.datasets.copies import SHARE, SIDE, judged_pictures, nearly_equal, said_of, sorted_out
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.store import Store
from cbirlab.store.files import StoreUnwritable

_KIND = "neighbours"
_told: set[tuple[object, ...]] = set()


def copies_of(dataset: Dataset, store: Store, *, progress: bool = True) -> np.ndarray:
    """Pairs of `judged_pictures` that are nearly equal (P, 2), kept in the store by the bytes of the files."""
    pictures = judged_pictures(dataset)
    known = fingerprints(pictures, store)
    facts = {"copies": SHARE, "side": SIDE, "images": [known[path].sha256 for path in pictures]}
    entry = store.get(_KIND, facts)
    if entry is not None:
        return entry.arrays["pairs"]
    pairs = nearly_equal(pictures, progress=progress)
    with suppress(StoreUnwritable):
        store.put(_KIND, facts, {"pairs": pairs})
    return pairs


def warn_of_copies(dataset: Dataset, store: Store, progress: bool = True) -> None:
    """Warn, once for a dataset of one's own, of copies that change its numbers; published ones are as they are."""
    mark = (dataset.name, dataset.images[0], len(dataset.images), len(dataset.queries))
    if not (dataset.metadata.get(OWN) and dataset.labels) or mark in _told:
        return
    _told.add(mark)
    said = said_of(dataset, sorted_out(dataset, copies_of(dataset, store, progress=progress)))
    if said:
        notify(
            f"{dataset.name}: {said}. Leave out all but one of each, or call them junk in a file of answers; "
            "`cbirlab duplicates` also finds those that were cut or made brighter."
        )
