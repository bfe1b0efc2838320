"""Daylight and night: where the sun stands, how bright it is, and the sky as a map.

The sky is a map in world directions (row 0 is the zenith, columns run over the azimuth from -180 degrees), and both
the light on surfaces and the visible sky are looked up in it, so the glow always stands where the shadows say.
Colours are linear RGB with the horizon of a clear noon sky near 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

SKY_ROWS, SKY_COLUMNS = 192, 384


@dataclass(frozen=True)
class Light:
    """Sun and weather.

    Parameters
    ----------
    sun_elevation_deg, sun_azimuth_deg : direction to the sun; azimuth counts from +x to +y.
    overcast : whether clouds hide the sun.
    cloud : share of the sky covered by single clouds, 0 to 1.
    turbidity : 0 clear air to 1 milky air.
    night : whether only lamps, floodlights and a dark sky give light.
    haze : extinction per metre.
    """

    sun_elevation_deg: float
    sun_azimuth_deg: float
    overcast: bool
    cloud: float
    turbidity: float
    night: bool
    haze: float

    def metadata(self) -> tuple[dict, dict]:
        """The `sun` and `weather` parts of an image's row."""
        values = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}
        sun = {"elevation_deg": values.pop("sun_elevation_deg"), "azimuth_deg": values.pop("sun_azimuth_deg")}
        return sun, values


def query_light(rng: np.random.Generator) -> Light:
    """Friendly daylight with the sun more or less before the main front."""
    return Light(
        float(rng.uniform(18.0, 60.0)), float(-90.0 + rng.normal(0.0, 50.0)), bool(rng.random() < 0.12),
        float(rng.uniform(0.0, 0.6)), float(rng.uniform(0.0, 0.7)), False, float(rng.uniform(0.0, 0.002)),
    )  # fmt: skip


def any_light(rng: np.random.Generator) -> Light:
    """All sorts of weather, and one image in eleven at night."""
    haze = rng.choice([0.0, rng.uniform(0.0, 0.004), rng.uniform(0.006, 0.016)], p=[0.5, 0.36, 0.14])
    return Light(
        float(rng.uniform(4.0, 62.0)), float(-90.0 + rng.normal(0.0, 72.0)), bool(rng.random() < 0.22),
        float(rng.uniform(0.0, 0.75)), float(rng.uniform(0.0, 1.0)), bool(rng.random() < 0.09), float(haze),
    )  # fmt: skip


def sun_direction(light: Light) -> np.ndarray:
    """Unit vector (3,) from the ground to the sun."""
    elevation, azimuth = np.radians(light.sun_elevation_deg), np.radians(light.sun_azimuth_deg)
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


def sun_irradiance(light: Light) -> np.ndarray:
    """Linear RGB irradiance (3,) on a surface facing the sun; zero when overcast or at night."""
    if light.overcast or light.night:
        return np.zeros(3)
    low = np.exp(-light.sun_elevation_deg / 9.0)  # reddening near the horizon
    strength = 0.8 + 9.0 * (1.0 - np.exp(-light.sun_elevation_deg / 12.0))
    veiled = 1.0 - 0.6 * max(0.0, light.cloud - 0.45)
    return np.array([1.0, 0.93 - 0.35 * low, 0.82 - 0.60 * low]) * strength * veiled


def sky_directions() -> np.ndarray:
    """Unit directions (rows, columns, 3) of the sky map's cells."""
    elevation = np.pi / 2 - (np.arange(SKY_ROWS) + 0.5) / SKY_ROWS * np.pi
    azimuth = -np.pi + (np.arange(SKY_COLUMNS) + 0.5) / SKY_COLUMNS * 2 * np.pi
    flat = np.cos(elevation)[:, None]
    z = np.broadcast_to(np.sin(elevation)[:, None], (SKY_ROWS, SKY_COLUMNS))
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), z], axis=-1)


def sky_map(light: Light, rng: np.random.Generator) -> np.ndarray:
    """Radiance of the sky (rows, columns, 3), float32; the lower half is the far ground's dim glow."""
    directions = sky_directions()
    height = np.maximum(directions[..., 2:], 0.0)
    elevation = light.sun_elevation_deg
    day = 0.5 + 0.5 * min(1.0, elevation / 25.0)
    if light.overcast:
        grey = 0.62 + 0.24 * height + 0.10 * _cloud_noise(rng)[..., None]
        sky = grey * np.array([0.93, 0.97, 1.03]) * day
    else:
        sky = _clear_sky(light, directions, height)
        noise = _cloud_noise(rng)[..., None]
        cover = 1.0 / (1.0 + np.exp(-3.5 * (noise - (1.6 - 3.2 * light.cloud)))) * np.minimum(1.0, 5.0 * height)
        white = (np.array([0.95, 0.95, 0.97]) + _glow(light) * np.array([0.2, 0.0, -0.15])) * day * (1 + 0.12 * noise)
        sky = sky * (1 - cover) + white * cover
    below = directions[..., 2] < 0
    sky[below] = np.array([0.18, 0.17, 0.15]) * day
    if light.night:
        level = 0.030 + 0.045 * light.turbidity  # dusk to dark
        sky = sky.mean(axis=-1, keepdims=True) * np.array([0.55, 0.70, 1.25]) * level
    return np.maximum(sky, 0.0).astype(np.float32)


def _glow(light: Light) -> float:
    return float(np.exp(-light.sun_elevation_deg / 9.0))


def _clear_sky(light: Light, directions: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Blue above, pale or orange at the horizon, a glow around the sun."""
    low, elevation = _glow(light), light.sun_elevation_deg
    zenith = np.array([0.16, 0.33, 0.75]) * (0.5 + 0.5 * min(1.0, elevation / 30.0))
    horizon = np.array([0.75, 0.80, 0.90]) * (0.6 + 0.4 * min(1.0, elevation / 25.0))
    horizon = horizon * (1 - low) + low * np.array([0.75, 0.46, 0.27])
    blend = np.exp(-4.0 * height * (1.2 - 0.45 * light.turbidity))
    near = directions @ sun_direction(light) - 1.0
    glow = 0.5 * np.exp(12.0 * near) + 2.0 * np.exp(150.0 * near)
    return zenith * (1 - blend) + horizon * blend + glow[..., None] * np.array([1.0, 0.85, 0.65])


def _cloud_noise(rng: np.random.Generator) -> np.ndarray:
    """Zero-mean, unit-variance noise (rows, columns): a flat, tiling layer of clouds seen from below."""
    side = 256
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    spectrum = (rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)) * frequency**-1.75
    layer = np.fft.irfft2(spectrum, s=(side, side))
    directions = sky_directions()
    plane = 45.0 * directions[..., :2] / (np.abs(directions[..., 2:]) + 0.22)
    column, row = np.floor(plane).astype(int)[..., 0] % side, np.floor(plane).astype(int)[..., 1] % side
    return ((layer - layer.mean()) / layer.std())[row, column]


def sky_index(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fractional (row, column) in the sky map of unit directions (..., 3)."""
    row = (0.5 - np.arcsin(np.clip(directions[..., 2], -1.0, 1.0)) / np.pi) * SKY_ROWS - 0.5
    column = (np.arctan2(directions[..., 1], directions[..., 0]) / (2 * np.pi) + 0.5) * SKY_COLUMNS - 0.5
    return row, column


def sky_lookup(sky: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Radiance (..., 3) of the sky in unit directions (..., 3), bilinear."""
    row, column = sky_index(directions)
    top = np.clip(np.floor(row), 0, SKY_ROWS - 2).astype(int)
    left = np.floor(column).astype(int)
    down = np.clip(row - top, 0.0, 1.0)[..., None].astype(np.float32)
    along = (column - left)[..., None].astype(np.float32)
    left, right = left % SKY_COLUMNS, (left + 1) % SKY_COLUMNS
    upper = sky[top, left] * (1 - along) + sky[top, right] * along
    lower = sky[top + 1, left] * (1 - along) + sky[top + 1, right] * along
    return upper * (1 - down) + lower * down
