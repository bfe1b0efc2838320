"""Pictures that make a building one of a kind: rose window, clock, sign, mural, banner. Each is (192, 192, 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .mesh import Material
from .noise import hsv, noise, to_bytes

SIZE = 192
_AXIS = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE * 2 - 1
Y, X = np.meshgrid(_AXIS, _AXIS, indexing="ij")
RADIUS, ANGLE = np.hypot(X, Y), np.arctan2(Y, X)
LIGHT_INK, DARK_INK = np.array([0.93, 0.92, 0.86]), np.array([0.06, 0.06, 0.1])


def decal(random: np.random.Generator, name: str) -> Material:
    """Paint a decal; its coordinates run once over the picture, so `tile_m` is 1."""
    image = DECALS[name](random)
    dirt = 0.04 * noise(random, "cloud")[:SIZE, :SIZE, None] + 0.02 * noise(random, "grain")[:SIZE, :SIZE, None]
    return Material(to_bytes(image * (1 + dirt)), "matte", 1.0)


def _colours(random: np.random.Generator, count: int) -> list[np.ndarray]:
    return [hsv(random.random(), random.uniform(0.15, 0.75), random.uniform(0.2, 0.85)) for _ in range(count)]


def _paint(image: np.ndarray, where: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], colour, image)


def rose(random: np.random.Generator) -> np.ndarray:
    """Tracery with petals and coloured glass."""
    petals, rings = int(random.integers(6, 17)), int(random.integers(2, 5))
    base, first, second = _colours(random, 3)
    stone = np.array([0.7, 0.68, 0.6])
    image = np.ones((SIZE, SIZE, 3)) * base * 0.35
    petal = np.cos(petals * ANGLE) > random.uniform(-0.2, 0.4)
    image = _paint(image, petal & (RADIUS > 0.25) & (RADIUS < 0.9), first * 0.6)
    image = _paint(
        image, (-np.cos(petals * ANGLE) * np.cos(rings * np.pi * RADIUS) > 0.1) & (RADIUS < 0.85), second * 0.6
    )
    spokes = (np.abs(np.sin(petals * ANGLE / 2)) < 0.12) & (RADIUS > 0.25)
    circles = np.abs(np.sin(rings * np.pi * RADIUS / 2)) < 0.08
    return _paint(image, (RADIUS > 0.9) | (np.abs(RADIUS - 0.25) < 0.04) | spokes | circles, stone)


def clock(random: np.random.Generator) -> np.ndarray:
    """A dial with twelve (or four) marks and two hands."""
    dark = random.random() < 0.4
    face = _colours(random, 1)[0] * 0.3 if dark else np.array([0.85, 0.84, 0.78]) * random.uniform(0.8, 1.05)
    ink = np.array([0.9, 0.75, 0.3]) if dark else DARK_INK
    marks = random.choice([2, 6])
    lines = (np.abs(RADIUS - 0.92) < 0.05) | (np.abs(RADIUS - random.uniform(0.5, 0.64)) < 0.015)
    lines |= (np.abs(np.sin(ANGLE * marks)) < 0.12 / np.maximum(RADIUS, 0.1)) & (RADIUS > 0.68) & (RADIUS < 0.86)
    for length, width in ((0.5, 0.07), (0.75, 0.045)):
        turn = random.uniform(0, 2 * np.pi)
        along, aside = X * np.cos(turn) + Y * np.sin(turn), Y * np.cos(turn) - X * np.sin(turn)
        lines |= (along > -0.1) & (along < length) & (np.abs(aside) < width)
    return _paint(np.ones((SIZE, SIZE, 3)) * face, lines, ink)


def _glyph(random: np.random.Generator, left: float, width: float) -> np.ndarray:
    """Return where a made-up letter, two to four strokes, puts its ink."""
    ink = np.zeros((SIZE, SIZE), bool)
    tall = np.abs(Y) < 0.55
    for _ in range(int(random.integers(2, 5))):
        stroke = random.integers(4)
        if stroke == 0:
            ink |= (np.abs(X - (left + width * random.uniform(0.15, 0.75))) < 0.16 * width) & tall
        elif stroke == 1:
            ink |= (
                (np.abs(Y - random.choice([-0.48, 0, 0.48])) < 0.08)
                & (X > left + 0.1 * width)
                & (X < left + 0.8 * width)
            )
        elif stroke == 2:
            ink |= (np.abs((X - left - 0.45 * width) / width - 0.4 * Y) < 0.13) & tall & (X > left) & (X < left + width)
        else:
            ink |= np.abs(np.hypot((X - left - 0.45 * width) / (0.38 * width), Y / 0.5) - 1) < 0.16
    return ink


def sign(random: np.random.Generator) -> np.ndarray:
    """A shop or building name in letters of no alphabet."""
    ground = _colours(random, 1)[0]
    ink = LIGHT_INK if ground.mean() < 0.5 else DARK_INK
    letters = int(random.integers(4, 9))
    image = np.ones((SIZE, SIZE, 3)) * ground
    for number in range(letters):
        image = _paint(image, _glyph(random, -0.9 + 1.8 * number / letters, 1.8 / letters), ink)
    return _paint(image, (np.abs(Y) > 0.9) | (np.abs(X) > 0.97), ink)


def mural(random: np.random.Generator) -> np.ndarray:
    """Discs, bars and stripes painted over one another."""
    image = np.ones((SIZE, SIZE, 3)) * _colours(random, 1)[0]
    for _ in range(14):
        middle, size, shape = random.uniform(-1, 1, 2), random.uniform(0.12, 0.6), random.integers(3)
        across, down = X - middle[0], Y - middle[1]
        if shape == 0:
            where = np.hypot(across, down) < size
        elif shape == 1:
            where = (np.abs(across) < size) & (np.abs(down) < size * random.uniform(0.2, 1))
        else:
            wave = np.sin((X * np.cos(size * 9) + Y * np.sin(size * 9)) * 8)
            where = (np.abs(wave) < 0.3) & (np.hypot(across, down) < size)
        image = _paint(image, where, _colours(random, 1)[0])
    return image


def banner(random: np.random.Generator) -> np.ndarray:
    """Vertical or slanting fields with a charge in the middle."""
    fields, slant = int(random.integers(2, 6)), random.choice([0.0, 0.0, 0.5])
    first, second, third, charge = _colours(random, 4)
    palette = np.stack([first, second, third])
    image = palette[np.floor((X * 0.5 + 0.5 + slant * Y) * fields).astype(int) % 3]
    if random.random() < 0.5:
        return _paint(image, np.hypot(X, Y * 1.2) < 0.4, charge)
    points = int(random.integers(4, 8))
    return _paint(image, 0.3 + 0.16 * np.cos(points * ANGLE) > RADIUS, charge)


DECALS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "rose": rose,
    "clock": clock,
    "sign": sign,
    "mural": mural,
    "banner": banner,
}
