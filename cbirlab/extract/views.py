"""Views: the crops of every image that a feedforward scheme sends through the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from inspect import getsource, unwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cbirlab import images
from cbirlab.extract.fingerprint import Fingerprint
from cbirlab.extract.plan import Item
from cbirlab.store import Store, StoreUnwritable, digest

if TYPE_CHECKING:
    from cbirlab.passes import Passes


def views_of(
    items: Sequence[Item], prints: Mapping[Path, Fingerprint], passes: Passes | None, store: Store
) -> tuple[list[Item], np.ndarray]:
    """All views of all items, and how many each item has; an item that cannot be read keeps itself as its one view.

    Boxes of a scheme that looks at pixels are remembered by the image's bytes: finding them can take longer than the
    network does.
    """
    if passes is None or passes.single:
        return list(items), np.ones(len(items), np.int64)
    note = digest({"passes": passes.key, "code": sha256(getsource(unwrap(passes.target())).encode()).hexdigest()})
    known = store.read_note("views", note) if passes.fact("pixels") else {}
    before = len(known)
    per_item = [_views(item, prints[item.path], passes, known) for item in items]
    if len(known) > before:
        with suppress(StoreUnwritable):  # remembered for speed only
            store.write_note("views", note, known)
    return [view for views in per_item for view in views], np.array([len(views) for views in per_item])


def _views(item: Item, known_file: Fingerprint, passes: Passes, known: dict[str, list]) -> list[Item]:
    from cbirlab.passes import View

    if known_file.problem:
        return [item]
    x, y = item.box[:2] if item.box else (0, 0)
    width, height = _extent(item, known_file)
    name = f"{known_file.sha256} {list(item.box) if item.box else ''}"
    if name not in known:
        view = View(height, width, lambda: _pixels(item))
        try:
            boxes = passes.boxes(view)
        except images.ImageError:  # the header was well, the pixels are not: reported when the network comes to it
            return [item]
        if passes.fact("pixels"):
            known[name] = [list(box) for box in boxes]
    else:
        boxes = known[name]
    return [
        replace(item, box=(box[0] + x, box[1] + y, box[2] + x, box[3] + y), magnify=passes.magnify) for box in boxes
    ]


def _extent(item: Item, known_file: Fingerprint) -> tuple[int, int]:
    """Width and height of the item in whole pixels."""
    if item.box is None:
        return known_file.width, known_file.height
    x0, y0, x1, y1 = item.box
    return max(1, int(x1 - x0)), max(1, int(y1 - y0))


def _pixels(item: Item) -> np.ndarray:
    image = np.asarray(images.read(item.path))
    if item.box is None:
        return image
    width, height = _extent(item, Fingerprint(""))
    x, y = int(item.box[0]), int(item.box[1])
    return image[y : y + height, x : x + width]
