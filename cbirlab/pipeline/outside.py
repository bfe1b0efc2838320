"""Outside: pictures that no dataset holds, as the network sees them, view by view."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab import images
from cbirlab.datasets.base import Box
from cbirlab.extract.network import Network
from cbirlab.passes import Passes, View
from cbirlab.pipeline.recipe import Recipe
from cbirlab.preprocessing import region, whole_box
from cbirlab.store.files import state_of

if TYPE_CHECKING:
    from PIL import Image


def maps_of_views(
    network: Network,
    image: str | Path | Image.Image,
    box: Box | None,
    taps: Sequence[str],
    recipe: Recipe,
    *,
    prepared: bool = False,
) -> list[dict[str, Any]]:
    """The maps of every view of an image, or of a part of it.

    Parameters
    ----------
    box : (x0, y0, x1, y1) in pixels of the upright image.
    recipe : resolved; says the views, the size, how the box is cut and how pictures come to their size.
    prepared : the image is cut and resized already; a rule that may enlarge or cut is not applied twice.

    Raises
    ------
    ImageError : a file that cannot be read.
    ValueError : a box outside the image.
    """
    upright = images.read(image)
    passes, size, resizing = Passes.parse(recipe.passes), int(recipe.image_size or 0), recipe.resizing
    if prepared and resizing.resize != "long_side":
        size, resizing = max(upright.size), replace(resizing, resize="long_side")
    box, frame = region(box, recipe.crop)
    boxes = [box] if passes.single else _views(upright, box or frame, passes)
    options = {"image_size": size, "frame": frame, "scale": passes.magnify, "resizing": resizing}
    pixels = [images.pixels(upright, box=one, **options) for one in boxes]
    return [network.maps(one[None].copy(), taps) for one in pixels]


def known_by(image: str | Path | Image.Image) -> Hashable:
    """What tells an image from others in memory: a file's name alone does not, since the file may be changed."""
    if not isinstance(image, str | Path):
        return id(image)
    with suppress(OSError):  # whoever reads it says so
        return str(image), state_of(Path(image).stat())
    return str(image)


def _views(upright: Image.Image, box: Box | None, passes: Passes) -> list[Box]:
    """The boxes of all views of an image, or of a part of it."""
    x0, y0, x1, y1 = whole_box(upright.height, upright.width, box or (0, 0, upright.width, upright.height))
    view = View(y1 - y0, x1 - x0, lambda: np.asarray(upright.crop((x0, y0, x1, y1))))
    return [(x0 + left, y0 + top, x0 + right, y0 + bottom) for left, top, right, bottom in passes.boxes(view)]
