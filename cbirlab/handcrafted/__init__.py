"""Hand-crafted: descriptors without any training, the other side of the survey's first question.

Each is a function of one uint8 RGB picture (H, W, 3) and is registered in `DESCRIPTORS`. `cbirlab.handcrafted.module`
presents them together as a backbone whose taps they are, so that tables, store and menus treat them like networks.
"""

# ruff: noqa: I001  # the order of these imports is the order in which tables list the descriptors
from cbirlab.handcrafted.base import DESCRIPTORS, descriptor
from cbirlab.handcrafted.vectors import hog, hsv_histogram, lbp
from cbirlab.handcrafted.scene import gist
from cbirlab.handcrafted.sift import root_sift

__all__ = ["DESCRIPTORS", "descriptor", "gist", "hog", "hsv_histogram", "lbp", "root_sift"]
