"""SIFT: many small descriptors of a picture, each with its place; RootSIFT alone, to be pooled by an encoding."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range
from cbirlab.handcrafted.base import descriptor, grey

MOST, CONTRAST = 1000, 0.02


def detect(image: np.ndarray, most: int = MOST, contrast: float = CONTRAST) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of a picture, uint8 RGB (H, W, 3), and their SIFT descriptors, in OpenCV's order.

    Returns
    -------
    places (T, 4) float32: x and y in pixels, size in pixels, angle in radians; and descriptors (T, 128) uint8. Bytes
    lose nothing: OpenCV rounds the numbers of a SIFT descriptor to whole ones up to 255.
    """
    import cv2

    sift: Any = cv2.SIFT.create(nfeatures=most, contrastThreshold=contrast)
    keys, found = sift.detectAndCompute(grey(image), None)
    if found is None:
        return np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8)
    places = np.array([(*key.pt, key.size, key.angle) for key in keys], np.float32)
    places[:, 3] = np.radians(places[:, 3])
    return places, found.astype(np.uint8)


def rooted(descriptors: np.ndarray) -> np.ndarray:
    """RootSIFT: SIFT descriptors (T, 128) divided by their sum, then rooted; float32 of unit L2 norm."""
    found = descriptors.astype(np.float32)
    return np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12))


@descriptor(
    "rootsift",
    title="RootSIFT",
    reference="Lowe, IJCV 2004; Arandjelović and Zisserman, CVPR 2012",
    channels=128,
    kind="local",
)
def root_sift(
    image: np.ndarray,
    *,
    most: Annotated[int, Range(1, 20_000, integer=True)] = MOST,
    contrast: Annotated[float, Range(0.0, 0.2, step=0.01)] = CONTRAST,
) -> np.ndarray:
    """SIFT descriptors divided by their sum, then rooted; (T, 128) float32 of unit L2 norm, (0, 128) if there is none.

    Parameters
    ----------
    most : keypoints kept, those of the strongest response; equal responses may exceed it by a few.
    contrast : weakest response of a keypoint; the default, half of OpenCV's, finds more of them on small pictures.
    """
    return rooted(detect(image, most, contrast)[1])
