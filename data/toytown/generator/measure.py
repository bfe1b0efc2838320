"""What an image shows of its landmark, measured on first hits: share, visibility, box, contrast, surface patches."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from .backend import Tracer
from .camera import Camera
from .render import PER_SIDE, Buffer

PATCHES_ALONG = 24  # a patch is a cell of side (diagonal of the landmark) / 24, times six facing directions
MIN_PATCH_SAMPLES = 2
_GRID = 64  # cells per axis in a patch number
_WIDE = 3.0  # the unbounded view is this much wider, at most 150 degrees
_BOX_TAIL = 0.5  # percent of the landmark's samples left out at each side of the box


@dataclass(frozen=True)
class Measured:
    """Measures of one image.

    Attributes
    ----------
    fraction : share of the frame the landmark covers.
    visible : share of the landmark's unobstructed, unbounded silhouette that is in the image.
    occlusion : share of its silhouette within the frame that something hides.
    truncation : share of its silhouette outside the frame.
    scale_px : square root of its unobstructed silhouette's area, pixels.
    bbx : x0, y0, x1, y1 in pixels.
    contrast : standard deviation of its grey values, 0 to 255.
    """

    fraction: float
    visible: float
    occlusion: float
    truncation: float
    scale_px: float
    bbx: tuple[float, float, float, float]
    contrast: float

    def metadata(self) -> dict:
        """The `measured` part of an image's row."""
        values = {k: round(v, 4) for k, v in asdict(self).items() if k != "bbx"}
        return {**values, "scale_px": round(self.scale_px, 1), "bbx": [round(v, 1) for v in self.bbx]}


def landmark_mask(buffer: Buffer, quads: int) -> np.ndarray:
    """Supersamples (s,) that hit one of the first `quads` quads, those of the landmark."""
    return buffer.valid & (buffer.triangle < 2 * quads)


def measure(camera: Camera, mask: np.ndarray, alone: Tracer) -> Measured:
    """Measure the geometry; `alone` traces the landmark without anything else.  Contrast is left at zero."""
    pixels = camera.width * camera.height
    shown = float(mask.mean()) * pixels
    inside = float(alone.intersect(np.array(camera.origin), camera.rays()).valid.mean()) * pixels
    wide, scale = _wider(camera)
    whole = float(alone.intersect(np.array(camera.origin), wide.rays()).valid.mean()) * wide.width * wide.height * scale
    whole = max(whole, inside, 1.0)
    return Measured(
        fraction=shown / pixels,
        visible=min(1.0, shown / whole),
        occlusion=max(0.0, 1.0 - shown / inside) if inside > 0 else 1.0,
        truncation=max(0.0, 1.0 - inside / whole),
        scale_px=float(np.sqrt(whole)),
        bbx=_box(camera, mask),
        contrast=0.0,
    )


def with_contrast(measured: Measured, image: np.ndarray, mask: np.ndarray) -> Measured:
    """Add the contrast of the landmark in the finished image (h, w, 3)."""
    height, width = image.shape[:2]
    share = mask.reshape(height, PER_SIDE, width, PER_SIDE).mean(axis=(1, 3))
    grey = image.mean(axis=-1)[share > 0.5]
    return replace(measured, contrast=float(grey.std()) if grey.size > 1 else 0.0)


def patches(buffer: Buffer, mask: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (k,) uint32 and sample counts (k,) uint16 of the surface patches an image shows.

    A patch is a cell of a grid in the landmark's own space together with the axis its surface faces most, so the
    patches of two images of a landmark can be compared whatever the cameras were.
    """
    points, normals = buffer.points[mask], buffer.normals[mask]
    if not len(points):
        return np.zeros(0, np.uint32), np.zeros(0, np.uint16)
    cell = np.linalg.norm(high - low) / PATCHES_ALONG
    place = np.clip(np.floor((points - low) / cell), 0, _GRID - 1).astype(np.int64)
    axis = np.abs(normals).argmax(axis=1)
    facing = 2 * axis + (normals[np.arange(len(axis)), axis] > 0)
    number = ((place[:, 0] * _GRID + place[:, 1]) * _GRID + place[:, 2]) * 6 + facing
    numbers, counts = np.unique(number, return_counts=True)
    enough = counts >= MIN_PATCH_SAMPLES
    return numbers[enough].astype(np.uint32), np.minimum(counts[enough], 65535).astype(np.uint16)


def overlap(numbers_a: np.ndarray, counts_a: np.ndarray, numbers_b: np.ndarray) -> float:
    """Share of what image a shows of the landmark that image b shows too."""
    total = float(counts_a.sum(dtype=np.int64))
    if total == 0.0:
        return 0.0
    return float(counts_a[np.isin(numbers_a, numbers_b)].sum(dtype=np.int64)) / total


def _wider(camera: Camera) -> tuple[Camera, float]:
    """A wide view along the same axis with about as many rays, and how many pixels of `camera` one of its is."""
    half = np.tan(np.radians(camera.fov_deg) / 2)
    wide_half = min(_WIDE * half, np.tan(np.radians(75.0)))
    wide = replace(camera, fov_deg=float(np.degrees(2 * np.arctan(wide_half))))
    return wide, float((wide_half / half) ** 2)


def _box(camera: Camera, mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask.reshape(camera.height * PER_SIDE, camera.width * PER_SIDE))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    x0, x1 = np.percentile(columns, [_BOX_TAIL, 100 - _BOX_TAIL])
    y0, y1 = np.percentile(rows, [_BOX_TAIL, 100 - _BOX_TAIL])
    return float(x0) / PER_SIDE, float(y0) / PER_SIDE, float(x1 + 1) / PER_SIDE, float(y1 + 1) / PER_SIDE
