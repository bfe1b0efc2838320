"""Views: the crops of every image that a feedforward scheme sends through the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cbirlab import images
from cbirlab.base.progress import bar
from cbirlab.extract.batches import Item
from cbirlab.extract.fingerprint import Fingerprint
from cbirlab.images.preprocessing import whole_box
from cbirlab.store import Store, StoreUnwritable, digest

if TYPE_CHECKING:
    from cbirlab.passes import Passes


def views_of(
    items: Sequence[Item],
    prints: Mapping[Path, Fingerprint],
    passes: Passes | None,
    store: Store,
    *,
    progress: bool = False,
) -> tuple[list[Item], np.ndarray]:
    """All views of all items, and how many each item has; an item that cannot be read keeps itself as its one view.

    Boxes of a scheme that looks at pixels are remembered by the image's bytes: finding them can take longer than the
    network does.
    """
    if passes is None or passes.single:
        return list(items), np.ones(len(items), np.int64)
    looks = bool(passes.fact("pixels"))
    note = digest({"passes": passes.key, "on": _looks_with(passes)}) if looks else ""
    known = store.read_note("views", note) if looks else {}
    before = len(known)
    with bar(items, desc=passes.name, unit="image", show=progress and looks) as shown:
        per_item = [_views(item, prints[item.path], passes, known) for item in shown]
    if len(known) > before:
        with suppress(StoreUnwritable):  # remembered for speed only
            store.write_note("views", note, known)
    return [view for views in per_item for view in views], np.array([len(views) for views in per_item])


def _looks_with(passes: Passes) -> list[str]:
    """Hashes that the boxes of a looking scheme depend on: of the code, and of a detector's weights if it uses one."""
    from cbirlab.passes import rpn

    files = sorted(Path(rpn.__file__).parent.glob("*.py"))
    if passes.parameters.get("method") == "rpn":
        files.append(rpn.weights_file()[1])
    return [sha256(file.read_bytes()).hexdigest() for file in files]


def _views(item: Item, known_file: Fingerprint, passes: Passes, known: dict[str, list]) -> list[Item]:
    from cbirlab.passes import View

    if known_file.problem:
        return [item]
    whole = (0, 0, known_file.width, known_file.height)
    part = item.box or item.frame
    x, y, right, bottom = whole_box(known_file.height, known_file.width, part or whole)
    name = f"{known_file.sha256} {list(part) if part else ''}"
    if name not in known:
        crop = (x, y, right, bottom)
        view = View(bottom - y, right - x, lambda: np.asarray(images.read(item.path).crop(crop)))
        try:
            boxes = passes.boxes(view)
        except images.ImageError:  # the header was fine, the pixels are not: reported when the network gets there
            return [item]
        if passes.fact("pixels"):
            known[name] = [list(box) for box in boxes]
    else:
        boxes = known[name]
    return [
        replace(item, box=(box[0] + x, box[1] + y, box[2] + x, box[3] + y), magnify=passes.magnify) for box in boxes
    ]
