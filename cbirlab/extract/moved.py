"""Moved: take over descriptors that the store has for the same images in another order, or among other images.

Moving a file to another folder changes the order of the rows, deleting one changes their number; no picture changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

import numpy as np

from cbirlab.extract.cache_keys import Column, Part, row_facts
from cbirlab.extract.descriptors import Filled, entry_values
from cbirlab.store import Entry, Store, StoreUnwritable, digest

_KIND = "orders"
_ORDERS = 8  # orders remembered for parts that differ only in their images
_MOST_ROWS = 200_000  # nobody tidies a folder larger than this


def remember(store: Store, part: Part) -> None:
    """Note the order of a part's rows, so that `taken` finds the rows when their order has changed."""
    if len(part.items) > _MOST_ROWS:
        return
    known = store.read_note(_KIND, _name(part))
    images = str(part.specification["images"])
    if images not in known:
        latest = dict(list(known.items())[1 - _ORDERS :])
        with suppress(StoreUnwritable):  # for speed only
            store.write_note(_KIND, _name(part), {**latest, images: _rows(part)})


def take_over(store: Store, part: Part, columns: Sequence[Column]) -> dict[str, Filled]:
    """Those of `columns`, by key, whose rows are in other entries of the store; they become entries too."""
    found: dict[str, Filled] = {}
    if not columns or len(part.items) > _MOST_ROWS:
        return found
    wanted = _rows(part)
    for images, rows in reversed(store.read_note(_KIND, _name(part)).items()):
        places = {row: place for place, row in enumerate(rows)}
        if images == part.specification["images"] or not all(row in places for row in wanted):
            continue
        order = np.array([places[row] for row in wanted])
        for one in columns:
            entry = None if one.key in found else store.get("descriptors", {**one.specification, "images": images})
            if entry is not None and len(entry.arrays["values"]) == len(rows):
                found[one.key] = _reordered(store, part, one, entry, order)
    if found:
        remember(store, part)
    return found


def _reordered(store: Store, part: Part, column: Column, known_entry: Entry, order: np.ndarray) -> Filled:
    known = entry_values(known_entry)
    lost = [row for row, place in enumerate(order) if int(place) in known.skipped]
    skipped = {row: f"{part.items[row].path}: could not be read." for row in lost}
    values = np.asarray(known.values)[order]
    with suppress(StoreUnwritable):  # taken over again next time
        entry = store.put_rows(
            "descriptors", column.specification, "values", values.shape, [(np.arange(len(order)), values)],
            dataset=part.dataset, part=part.name, weights=known_entry.notes.get("weights"),
            skipped={str(row): reason for row, reason in skipped.items()}, pass_ms=known_entry.notes.get("pass_ms"),
        )  # fmt: skip
        return entry_values(entry)
    return Filled(values, skipped, known.pass_ms)


def _name(part: Part) -> str:
    """Name of the note: everything that the descriptors of a part depend on, except its images."""
    return digest({name: value for name, value in part.specification.items() if name != "images"})


def _rows(part: Part) -> list[str]:
    """What each row shows, as a short hash."""
    return [sha256(repr(facts).encode()).hexdigest()[:20] for facts in row_facts(part.items, part.prints)]
