"""A figure of regions: rectangles over a picture, the more they count the less transparent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.plots.canvas import COLOURS, ink, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST, MOST = 0.06, 0.95
"""Opacity of the lightest and of the heaviest region."""


def regions(
    image: Any,
    boxes: Sequence[Sequence[float]],
    weights: Any,
    *,
    cells: tuple[int, int],
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Regions over a picture, each a rectangle whose opacity is its weight: from the least to the largest of them.

    If all weigh the same, as in plain R-MAC, all are drawn at half opacity. The line below the picture says what the
    ends stand for.

    Parameters
    ----------
    image : a Pillow image, or (H, W, 3).
    boxes : R of (top, left, bottom, right), in cells of the map.
    weights : (R,), >= 0, as `cbirlab.aggregation.trained.region_weights` gives them for one image.
    cells : (h, w) of the map.
    title : a title such as the name of the method.

    Raises
    ------
    ValueError : no region, another number of weights, or a box that does not have four numbers.
    """
    from matplotlib.patches import Rectangle

    given = np.asarray(weights, float)
    if given.shape != (len(boxes),) or not len(boxes):
        raise ValueError(f"regions: weights must be ({len(boxes)},), one for each of the boxes, got {given.shape}.")
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    ax = ax or new_axes(width=5.0, height=0.5 + 4.8 * height / width)
    ax.imshow(pixels, extent=(0, width, height, 0))
    down, across = height / cells[0], width / cells[1]
    for place in np.argsort(given, kind="stable"):  # the heaviest lie on top
        if len(boxes[place]) != 4:
            raise ValueError(f"regions: a box must be (top, left, bottom, right), got {tuple(boxes[place])}.")
        top, left, bottom, right = (edge * step for edge, step in zip(boxes[place], (down, across) * 2, strict=True))
        look: dict[str, Any] = {"fill": False, "alpha": float(opacities(given)[place])}
        for line, colour in ((4.0, "white"), (2.0, COLOURS[1])):  # a white rim is visible on any picture
            ax.add_patch(Rectangle((left, top), right - left, bottom - top, linewidth=line, edgecolor=colour, **look))
    ax.set_axis_off()
    ax.set_title(plain(title), color=ink(ax))
    note = f"{len(boxes)} regions, weights {given.min():.3g} (faint) to {given.max():.3g}"
    ax.text(0.5, -0.02, note, transform=ax.transAxes, ha="center", va="top", size=8, color=ink(ax))
    return ax


def opacities(weights: np.ndarray) -> np.ndarray:
    """Opacity of each region (R,): linear from the least weight to the largest."""
    least, most = weights.min(), weights.max()
    if most - least <= 1e-6 * max(abs(most), 1e-12):
        return np.full(len(weights), 0.5)
    return LEAST + (MOST - LEAST) * (weights - least) / (most - least)
