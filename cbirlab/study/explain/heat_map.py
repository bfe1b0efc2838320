"""Overlay: what a pooling looked at, brought from the cells of the map to the pixels of the picture.

A map of h x w cells is laid over the picture edge to edge: cell (i, j) covers the rows from i H / h to (i + 1) H / h.
A cell depends on a larger area, and with padded layers the area's middle lies up to half a stride to the upper left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.aggregation.look import Box as CellBox
from cbirlab.aggregation.look import looked

if TYPE_CHECKING:
    from torch import Tensor

PixelBox = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels, like the boxes of datasets."""

TOP_CHANNELS = 4

_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


@dataclass(frozen=True, eq=False)
class Overlay:
    """What a pooling looked at in one picture.

    Attributes
    ----------
    heat : (H, W) float32 in [0, 1]: the weight of each place, divided by the largest; if the pooling has no weights,
        the sum of the activations, divided likewise.
    weighs : whether `heat` shows weights rather than activations.
    cells : (h, w) float64, the heat before it is enlarged, in the method's own units.
    boxes : regions in pixels.
    mask : (H, W) bool, the places that count at all; None if all count.
    channels : the channels that count most, and how much: by their weights, or if the pooling has none, by the mean of
        their activations.
    weighs_channels : whether these are weights.
    channel_heat : (len(channels), H, W) float32 in [0, 1], the map of each of them.
    """

    heat: np.ndarray
    weighs: bool
    cells: np.ndarray
    boxes: tuple[PixelBox, ...]
    mask: np.ndarray | None
    channels: tuple[tuple[int, float], ...]
    weighs_channels: bool
    channel_heat: np.ndarray


def overlay(
    aggregation: str | Aggregation, maps: Tensor, size: tuple[int, int], state: Mapping[str, Tensor] | None = None
) -> Overlay:
    """Show what `aggregation` looked at in one image of `size` (height, width) pixels.

    Parameters
    ----------
    maps : (1, C, h, w), of that image.
    state : what the method has learned, or needs from the network.

    Raises
    ------
    ValueError : maps of several images; and as `looked` raises it.
    """
    spec = Aggregation.parse(aggregation)
    if len(maps) != 1:
        raise ValueError(f"overlay: maps must be those of one image, (1, C, H, W), got {tuple(maps.shape)}.")
    seen = looked(spec, maps, state if isinstance(state, Mapping) else None)
    weighed = maps.float()
    for one in spec.attentions:
        weighed = one.weigh(weighed)
    activations = weighed[0].clamp(min=0).cpu().double().numpy()
    weighs = seen.spatial is not None or seen.masks is not None
    cells = _numbers(seen.spatial) if seen.spatial is not None else activations.sum(axis=0)
    channels = _top(_numbers(seen.channels) if seen.channels is not None else activations.mean(axis=(1, 2)))
    maps_of_top = [resize_map(relative(activations[channel]), size) for channel, _ in channels]
    cell_boxes = seen.regions[0] if seen.regions is not None else ()
    return Overlay(
        heat=resize_map(relative(cells), size),
        weighs=weighs,
        cells=cells,
        boxes=tuple(to_pixels(box, (cells.shape[0], cells.shape[1]), size) for box in cell_boxes),
        mask=None if seen.masks is None else resize_map(_numbers(seen.masks), size, smooth=False) > 0.5,
        channels=channels,
        weighs_channels=seen.channels is not None,
        channel_heat=np.stack(maps_of_top) if maps_of_top else np.empty((0, *size), np.float32),
    )


def to_pixels(box: CellBox, cells: tuple[int, int], size: tuple[int, int]) -> PixelBox:
    """Convert a box (top, left, bottom, right) from cells of the map to pixels: (x0, y0, x1, y1).

    Parameters
    ----------
    cells : (h, w) of the map.
    size : (height, width) of the picture.
    """
    down, across = size[0] / cells[0], size[1] / cells[1]
    top, left, bottom, right = box
    return left * across, top * down, right * across, bottom * down


def resize_map(cells: np.ndarray, size: tuple[int, int], *, smooth: bool = True) -> np.ndarray:
    """Enlarge a map (h, w) to (height, width) pixels, float32; smooth between the middles of the cells, or in blocks.

    Smooth means bicubic without overshooting: no pixel leaves the range of the cells.
    """
    from PIL import Image

    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    image = Image.fromarray(np.ascontiguousarray(cells, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), method)).clip(float(cells.min()), float(cells.max()))


def relative(cells: np.ndarray) -> np.ndarray:
    """Divide by the largest magnitude, into [-1, 1]; zeros stay zeros."""
    top = float(np.abs(cells).max())
    return cells / top if top else cells


def words(cells: np.ndarray) -> str:
    """Where the weight of a map (h, w) lies, in words, for readers who do not see the picture."""
    positive = np.maximum(cells, 0).ravel()
    if not positive.any():
        return "nothing stands out"
    if cells.size == 1:
        return "the map has a single place"
    falling = np.cumsum(np.sort(positive)[::-1]) / positive.sum()
    half = (int(np.searchsorted(falling, 0.5 - 1e-9)) + 1) / cells.size
    if half > 0.45:
        return "it is spread evenly"
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    place = f"{_ROWS[3 * row // cells.shape[0]]} {_COLUMNS[3 * column // cells.shape[1]]}"
    return f"half of it lies in {half:.0%} of the picture, strongest at the {place}"


def _numbers(values: Any) -> np.ndarray:
    return values[0].detach().cpu().double().numpy()


def _top(weights: np.ndarray) -> tuple[tuple[int, float], ...]:
    order = np.argsort(-weights, kind="stable")[:TOP_CHANNELS]
    return tuple((int(channel), float(weights[channel])) for channel in order if weights[channel] > 0)
