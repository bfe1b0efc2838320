"""Regions of an image that could be an object of any kind, by a library's segmentation or by a trained network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from cbirlab.passes.base import Box, View

WARD_SIDE = 64
"""Long side in pixels of the picture to cluster, which takes 0.13 s on one core. 96 took three times as long and was no
better on Toytown's landmarks."""

MSER_SIDE = 512
"""Long side in pixels of the picture that MSER sees."""

SMALLEST = 0.01
"""Boxes smaller than this share of the view are left out."""

SAME = 0.7
"""Boxes with a higher intersection over union count as one."""


def propose(view: View, most: int, method: str) -> list[Box]:
    """The whole view, then up to ``most - 1`` boxes by `method`, none like an earlier one.

    Raises
    ------
    ValueError : ``view.read`` gives something other than the view's uint8 RGB pixels.
    ImportError, WeightsError : as for `cbirlab.passes.schemes.proposals`.
    """
    pixels = view.read()
    if pixels.shape != (view.height, view.width, 3) or pixels.dtype != np.uint8:
        raise ValueError(
            f"proposals: view.read() must give uint8 pixels {(view.height, view.width, 3)}, "
            f"got {pixels.dtype} {pixels.shape}."
        )
    candidates = METHODS[method](pixels)
    areas = (candidates[:, 2] - candidates[:, 0]) * (candidates[:, 3] - candidates[:, 1])
    large = candidates[areas >= SMALLEST * view.height * view.width]
    return distinct(np.vstack([[view.whole], large]), most)


def ward(pixels: np.ndarray) -> np.ndarray:
    """Boxes of regions of similar colour, from whole to part: Ward's hierarchical clustering of neighbouring pixels.

    Selective search (Uijlings et al., IJCV 2013) is a hierarchical grouping too; it starts from superpixels and
    merges by texture and shape as well.

    Parameters
    ----------
    pixels : uint8 (H, W, 3).

    Returns
    -------
    (n, 4) boxes, the region that was merged last first; single pixels are left out.
    """
    from sklearn.cluster import ward_tree
    from sklearn.feature_extraction.image import grid_to_graph

    small, scale = _shrunk(pixels, WARD_SIDE)
    height, width = small.shape[:2]
    if height * width < 2:
        return np.empty((0, 4))
    colours = small.reshape(-1, 3).astype(float)
    merges = ward_tree(colours, connectivity=grid_to_graph(height, width))[0]
    rows, columns = np.divmod(np.arange(height * width), width)
    return _merged(np.stack([columns, rows, columns + 1, rows + 1], axis=1), merges)[::-1] * scale


def mser(pixels: np.ndarray) -> np.ndarray:
    """Boxes of maximally stable colour regions (Forssén, CVPR 2007, in OpenCV), the largest first; as `ward`."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError("proposals(method='mser') needs OpenCV: pip install opencv-python-headless.") from error

    small, scale = _shrunk(pixels, MSER_SIDE)
    height, width = small.shape[:2]
    if min(height, width) < 3:  # OpenCV refuses them
        return np.empty((0, 4))
    _, found = cv2.MSER.create(max_area=height * width).detectRegions(np.ascontiguousarray(small))
    corners = np.array(found, float).reshape(-1, 4)
    boxes = np.hstack([corners[:, :2], corners[:, :2] + corners[:, 2:]])
    # Corners decide the order of equal areas, so that nothing depends on the order in which OpenCV finds them.
    order = np.lexsort((*boxes.T, -corners[:, 2] * corners[:, 3]))
    return boxes[order] * scale


def rpn(pixels: np.ndarray) -> np.ndarray:
    """Boxes of a region proposal network, the highest objectness first; as `ward`."""
    from cbirlab.passes.rpn import score

    return score(pixels)


METHODS = {"ward": ward, "mser": mser, "rpn": rpn}


def distinct(boxes: Iterable[np.ndarray], most: int) -> list[Box]:
    """The first `most` boxes whose intersection over union with every box chosen before is at most `SAME`."""
    kept: list[np.ndarray] = []
    for box in boxes:
        if len(kept) == most:
            break
        if not kept or intersection_over_union(np.array(kept), box).max() <= SAME:
            kept.append(box)
    return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in kept]


def intersection_over_union(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of each of `boxes` (n, 4), whose areas are not zero, with `box` (4,)."""
    overlap = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = overlap.clip(min=0).prod(axis=1)
    return shared / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared)


def _merged(leaves: np.ndarray, merges: np.ndarray) -> np.ndarray:
    """Boxes of the inner nodes of a tree: node i joins the boxes of ``merges[i]``, inner nodes counted after leaves."""
    boxes = np.vstack([leaves, np.empty((len(merges), 4), leaves.dtype)])
    for node, (left, right) in enumerate(merges, start=len(leaves)):
        np.minimum(boxes[left, :2], boxes[right, :2], out=boxes[node, :2])
        np.maximum(boxes[left, 2:], boxes[right, 2:], out=boxes[node, 2:])
    return boxes[len(leaves) :]


def _shrunk(pixels: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture with its long side at most `side` pixels, and the factors (4,) that bring boxes back to full size."""
    height, width = pixels.shape[:2]
    factor = min(1.0, side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = pixels if factor == 1 else np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    across, down = width / size[0], height / size[1]
    return small, np.array([across, down, across, down])
