"""Geometry: one model that carries the matches of two pictures from the one to the other, and which of them agree.

Every model is given as a matrix (3, 3) of homogeneous coordinates. A match is an inlier if the model carries its first
place to less than `tolerance` from the second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cbirlab.index.ranking import blocks

SCALES = 0.2, 5.0
"""How much smaller or larger a picture may show a thing than another one; areas change by the square of it."""

TRIALS, CONFIDENCE = 1000, 0.999
"""Of the sampling models. OpenCV begins every sampling in the same state, so that they need no seed."""

UPRIGHT = tuple(2.0 ** (step / 2) for step in range(-2, 3))
"""Scales of upright models: from half to double in steps of the square root of 2."""

HELD = 2**21
"""Numbers that are held at a time while hypotheses are tried."""

_REFITS = 2
_THIN = 1e-3
"""Inliers on a strip whose squared width is less than this share of its squared length say nothing across it."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A model between n matches.

    Attributes
    ----------
    inside : (n,) whether each match is an inlier.
    model : (3, 3) float64, from the places of the query to those of the image; None if there is none.
    """

    inside: np.ndarray
    model: np.ndarray | None = None

    @property
    def inliers(self) -> int:
        """How many matches agree with the model."""
        return int(np.count_nonzero(self.inside))

    def box(self, size: tuple[int, int]) -> np.ndarray | None:
        """The corners of a query of this (height, width) in the image, see `carried_box`; None without a model."""
        return None if self.model is None else carried_box(self.model, size)


def carry(model: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Where a model takes places (n, 2); infinite or NaN where it takes them nowhere."""
    found = places @ model[:, :2].T + model[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return found[:, :2] / found[:, 2:]


def carried_box(model: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """The corners (4, 2) of a picture of this (height, width) as a model carries them, clockwise from the top left.

    None if no camera could have seen it so: the outline crosses itself, is a mirror image, or its area is less than
    1/25 or more than 25 times that of the picture (the square of `SCALES`).
    """
    height, width = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    depths = corners @ model[2, :2] + model[2, 2]
    if not (depths > 0).all() and not (depths < 0).all():  # a corner lies on or behind the horizon
        return None
    found = carry(model, corners)
    low, high = (scale**2 * height * width for scale in SCALES)
    return found if low <= outline_area(found) <= high else None


def outline_area(corners: np.ndarray) -> float:
    """The area within an outline (n, 2), negative if its corners run the other way round."""
    x, y = corners.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


def fit_single(places: np.ndarray, others: np.ndarray, tolerance: float) -> Fit:
    """Single correspondences: each match alone gives scale, turn and shift, by the sizes and angles of its keypoints.

    All are tried, the one with most inliers is refitted to these as an affine map. Nothing is drawn by chance. Philbin
    et al., CVPR 2007.

    Parameters
    ----------
    places, others : (n, 4) as in `Keypoints`, row i of both is match i.
    """
    scales = others[:, 2].astype(np.float64) / places[:, 2]
    possible = (scales >= SCALES[0]) & (scales <= SCALES[1])
    if not possible.any():
        return _nothing(places)
    first, second = _complex(places), _complex(others)
    turned = scales * np.exp(1j * (others[:, 3].astype(np.float64) - places[:, 3]))
    shifts = second - turned * first
    away: Any = turned[:, None] * first + (shifts[:, None] - second)
    fits = away.real**2 + away.imag**2 < tolerance**2
    best = np.where(possible, fits.sum(axis=1), -1).argmax()
    a, b = turned[best], shifts[best]
    found = Fit(fits[best], np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]]))
    for _ in range(_REFITS):
        model = _least_squares(places[found.inside, :2], others[found.inside, :2])
        again = _fit(model, places, others, tolerance)
        if again.inliers < found.inliers:
            break
        found = again
    return found


def fit_upright(places: np.ndarray, others: np.ndarray, tolerance: float) -> Fit:
    """Scale and shift: each match alone, which has no size, gives a shift at each scale of `UPRIGHT`; all are tried.

    For the cells of maps, of which a network sees things upright. Only x and y of the places (n, 2 or more) count.
    """
    if not len(places):
        return _nothing(places)
    scales = np.array(UPRIGHT)[:, None]
    (x, y), (u, v) = (np.ascontiguousarray(one[:, :2].T, np.float64) for one in (places, others))
    right, down = u - scales * x, v - scales * y
    counts = np.empty(right.shape, np.int64)
    for some in blocks(len(x), HELD // right.size):
        across = scales[..., None] * x + (right[:, some, None] - u)
        along = scales[..., None] * y + (down[:, some, None] - v)
        counts[:, some] = (np.square(across) + np.square(along) < tolerance**2).sum(axis=-1)
    best = np.unravel_index(counts.argmax(), counts.shape)
    scale = UPRIGHT[best[0]]
    inside = np.square(scale * x + (right[best] - u)) + np.square(scale * y + (down[best] - v)) < tolerance**2
    return Fit(inside, np.array([[scale, 0, right[best]], [0, scale, down[best]], [0, 0, 1]]))


def fit_affine(places: np.ndarray, others: np.ndarray, tolerance: float) -> Fit:
    """Affine maps by RANSAC: three matches give one. Only x and y of the places (n, 2 or more) count."""
    import cv2

    if len(places) < 3:
        return _nothing(places)
    sampling: Any = {"maxIters": TRIALS, "confidence": CONFIDENCE, "ransacReprojThreshold": tolerance}
    model, _ = cv2.estimateAffine2D(_xy(places), _xy(others), method=cv2.RANSAC, **sampling)
    return _fit(None if model is None else np.vstack([model, (0, 0, 1)]), places, others, tolerance)


def fit_homography(places: np.ndarray, others: np.ndarray, tolerance: float) -> Fit:
    """Homographies by RANSAC: four matches give one."""
    import cv2

    return _homography(places, others, tolerance, cv2.RANSAC)


def fit_magsac(places: np.ndarray, others: np.ndarray, tolerance: float) -> Fit:
    """Homographies by MAGSAC++, which weighs matches rather than to ask for a threshold. Baráth et al., CVPR 2020."""
    import cv2

    return _homography(places, others, tolerance, cv2.USAC_MAGSAC)


MODELS: dict[str, Callable[[np.ndarray, np.ndarray, float], Fit]] = {
    "single": fit_single,
    "affine": fit_affine,
    "homography": fit_homography,
    "magsac": fit_magsac,
}


def _homography(places: np.ndarray, others: np.ndarray, tolerance: float, method: int) -> Fit:
    import cv2

    if len(places) < 4:
        return _nothing(places)
    sampling: Any = {"maxIters": TRIALS, "confidence": CONFIDENCE}
    model, _ = cv2.findHomography(_xy(places), _xy(others), method, tolerance, **sampling)
    return _fit(model, places, others, tolerance)


def _fit(model: np.ndarray | None, places: np.ndarray, others: np.ndarray, tolerance: float) -> Fit:
    """The matches that agree with a model; none with one that is degenerate."""
    if model is None or not np.isfinite(model).all():
        return _nothing(places)
    away = carry(model, places[:, :2].astype(np.float64)) - others[:, :2]
    return Fit((away**2).sum(axis=1) < tolerance**2, model)


def _least_squares(places: np.ndarray, others: np.ndarray) -> np.ndarray | None:
    """The affine map (3, 3) that is nearest to n matches (n, 2); None if these lie on a line."""
    if len(places) < 3:
        return None
    middle, other = places.mean(axis=0, dtype=np.float64), others.mean(axis=0, dtype=np.float64)
    spread = places - middle
    (a, b), (_, d) = spread.T @ spread
    area = a * d - b * b  # its inverse by hand: such small matrices take NumPy longer than all the rest
    if area <= _THIN * (a + d) ** 2:
        return None
    matrix = (others - other).T @ spread @ np.array([[d, -b], [-b, a]]) / area
    model = np.eye(3)
    model[:2, :2], model[:2, 2] = matrix, other - matrix @ middle
    return model


def _complex(places: np.ndarray) -> np.ndarray:
    """x + iy (n,), so that a turn is a product."""
    return places[:, 0].astype(np.float64) + 1j * places[:, 1]


def _xy(places: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(places[:, :2])


def _nothing(places: np.ndarray) -> Fit:
    return Fit(np.zeros(len(places), bool))
