"""RootSIFT: many small descriptors of a picture, to be pooled by an encoding."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range
from cbirlab.handcrafted.base import descriptor, grey


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
    most: Annotated[int, Range(1, 20_000, integer=True)] = 1000,
    contrast: Annotated[float, Range(0.0, 0.2, step=0.01)] = 0.02,
) -> np.ndarray:
    """SIFT descriptors divided by their sum, then rooted; (T, 128) float32 of unit L2 norm, (0, 128) if there is none.

    Parameters
    ----------
    most : keypoints kept, those of the strongest response; equal responses may exceed it by a few.
    contrast : weakest response of a keypoint; the default, half of OpenCV's, finds more of them on small pictures.
    """
    import cv2

    sift: Any = cv2.SIFT.create(nfeatures=most, contrastThreshold=contrast)
    found = sift.detectAndCompute(grey(image), None)[1]
    if found is None:
        return np.zeros((0, 128), np.float32)
    return np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12))
