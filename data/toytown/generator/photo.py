"""What happens between the light and the file: haze, exposure, lens, sensor, grading, JPEG."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from .light import Light
from .render import Picture

_SKY_PATH_M = 130.0  # haze in front of the sky is that of this distance
_MIDDLE_GREY = 0.33
_BLUR_FOR_PX = 320  # long side for which blur is drawn; smaller pictures get proportionally less
_NIGHT_EXPOSURE = 0.55  # night is kept darker than the meter would have it


@dataclass(frozen=True)
class Photometry:
    """How one picture was taken and graded.

    Parameters
    ----------
    exposure_ev : stops away from the metered exposure.
    white_balance : gains of red, green and blue.
    vignette : darkening of the corners, 0 to 1.
    filmic : whether the filmic tone curve replaces the exponential one.
    saturation : 1 keeps the colours.
    greyscale, sepia : whether colours are dropped, and tinted brown.
    blur_px, noise : standard deviations, noise in units of full scale.
    jpeg_quality : 70 to 92.
    """

    exposure_ev: float
    white_balance: tuple[float, float, float]
    vignette: float
    filmic: bool
    saturation: float
    greyscale: bool
    sepia: bool
    blur_px: float
    noise: float
    jpeg_quality: int

    def metadata(self) -> dict:
        """The `photometric` part of an image's row."""
        values = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}
        values["white_balance"] = [round(v, 4) for v in self.white_balance]
        return values


def sample_photometry(
    rng: np.random.Generator, query: bool, night: bool, quality: tuple[int, int], long_side: int
) -> Photometry:
    """Draw a camera's settings; `quality` is the inclusive range of the JPEG quality."""
    gains = np.exp(rng.normal(0.0, 0.05, 3))
    grey = bool(rng.random() < 0.06) and not query
    blur = rng.uniform(0.0, 0.5) if query or rng.random() < 0.87 else rng.uniform(0.9, 1.5)
    noise = rng.uniform(0.002, 0.010) + (rng.uniform(0.006, 0.020) if night else 0.0)
    return Photometry(
        exposure_ev=float(rng.normal(0.0, 0.16 if query else 0.28)),
        white_balance=(float(gains[0]), float(gains[1]), float(gains[2])),
        vignette=float(rng.uniform(0.0, 0.4)),
        filmic=bool(rng.random() < 0.5),
        saturation=float(rng.uniform(0.78, 1.28)),
        greyscale=grey,
        sepia=grey and bool(rng.random() < 0.5),
        blur_px=float(blur * long_side / _BLUR_FOR_PX),
        noise=float(noise),
        jpeg_quality=int(rng.integers(quality[0], quality[1] + 1)),
    )


def develop(picture: Picture, light: Light, settings: Photometry, rng: np.random.Generator) -> np.ndarray:
    """8-bit sRGB image (h, w, 3) of a linear picture."""
    image = _with_haze(picture, light)
    image = image * _metered(image, picture.sky) * 2.0**settings.exposure_ev
    if light.night:
        image = image * _NIGHT_EXPOSURE
    image = image * np.array(settings.white_balance) * _vignette(image.shape[:2], settings.vignette)
    image = np.clip(_tone(image, settings.filmic), 0.0, 1.0) ** (1 / 2.2)
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + (image - grey) * settings.saturation
    if settings.greyscale:
        image = grey * (np.array([1.0, 0.95, 0.85]) if settings.sepia else np.ones(3))
    if settings.blur_px > 0.2:
        image = gaussian_filter(image, (settings.blur_px, settings.blur_px, 0.0))
    height, width = image.shape[:2]
    image = image + rng.normal(0.0, settings.noise, (height, width, 1))
    image = image + rng.normal(0.0, 0.5 * settings.noise, (height, width, 3))
    return np.clip(np.rint(255.0 * image), 0, 255).astype(np.uint8)


def encode(image: np.ndarray, quality: int) -> bytes:
    """JPEG file of an image."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def _with_haze(picture: Picture, light: Light) -> np.ndarray:
    """Extinction with distance towards the colour of the air."""
    if light.haze == 0.0:
        return picture.radiance
    distance = picture.distance * (1 - picture.sky) + _SKY_PATH_M * picture.sky
    through = np.exp(-light.haze * np.minimum(distance, 400.0))[..., None]
    level = float(np.median(picture.radiance.mean(axis=-1))) * 1.25 + (0.002 if light.night else 0.03)
    return picture.radiance * through + level * np.array([0.93, 1.0, 1.08]) * (1 - through)


def _metered(image: np.ndarray, sky: np.ndarray) -> float:
    """Gain that brings the scene to middle grey: mostly what is not sky counts."""
    grey = image.mean(axis=-1)
    ground = grey[sky < 0.5]
    whole = max(float(np.percentile(grey, 60)), 1e-4)
    if ground.size < 0.05 * grey.size:
        return _MIDDLE_GREY / whole
    return _MIDDLE_GREY / max(float(np.percentile(ground, 68)) ** 0.8 * whole**0.2, 1e-4)


def _vignette(shape: tuple[int, int], strength: float) -> np.ndarray:
    y = (np.arange(shape[0]) + 0.5) / shape[0] - 0.5
    x = (np.arange(shape[1]) + 0.5) / shape[1] - 0.5
    return (1.0 - 2.0 * strength * (y[:, None] ** 2 + x[None] ** 2))[..., None]


def _tone(image: np.ndarray, filmic: bool) -> np.ndarray:
    """Compress highlights: Narkowicz' fit of the ACES curve, or a plain exponential shoulder."""
    if filmic:
        return image * (2.51 * image + 0.03) / (image * (2.43 * image + 0.59) + 0.14)
    return 1.0 - np.exp(-1.15 * image)
