"""Boxes of queries, checked as they are read: shares of a picture, places outside of it, and specks are refused."""

from __future__ import annotations

from pathlib import Path

from cbirlab.datasets.base import Box
from cbirlab.images import ImageError, size
from cbirlab.images.preprocessing import whole_box

LEAST_SIDE = 8
"""Least side of a box in pixels; half of the picture's side if the picture is smaller than twice this number."""


_BEYOND = 0.05  # share of a side; rounding and generous annotators leave less than this outside


def check_box(where: str, path: Path, box: Box) -> bool:
    """Refuse a box in which nothing can be seen; return whether it reaches far beyond the picture.

    An image whose header cannot be read is not judged here.

    Raises
    ------
    ValueError : edges between 0 and 1, nothing inside the picture, or less than `LEAST_SIDE` of a side.
    """
    if 0 <= min(box) and max(box) <= 1:
        raise ValueError(
            f"{where}: the box {box} must be in pixels, but looks like fractions of the picture; multiply x by its "
            "width and y by its height."
        )
    try:
        height, width = size(path)
    except ImageError:
        return False
    try:
        x0, y0, x1, y1 = whole_box(height, width, box)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if x1 - x0 < min(LEAST_SIDE, width / 2) or y1 - y0 < min(LEAST_SIDE, height / 2):
        raise ValueError(
            f"{where}: the box {box} covers only {x1 - x0} x {y1 - y0} of the picture's {width} x {height} pixels; "
            f"each side needs {LEAST_SIDE}."
        )
    outside = max(-box[0] / width, -box[1] / height, box[2] / width - 1, box[3] / height - 1)
    return outside > _BEYOND
