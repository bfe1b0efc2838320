"""Textures that are not laid from blocks. Each takes a generator and a colour and returns (256, 256, 3) in 0..1."""

from __future__ import annotations

import numpy as np

from .noise import SIZE, hsv, mix, noise

_AXIS = np.arange(SIZE, dtype=np.float32) / SIZE
Y, X = np.meshgrid(_AXIS, _AXIS, indexing="ij")
FLAT = np.ones((SIZE, SIZE, 1), np.float32)


def plain(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    return FLAT * colour * (1 + 0.03 * noise(random, "rough")[..., None])


def stucco(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    return FLAT * colour * (1 + 0.04 * noise(random, "rough") + 0.05 * noise(random, "cloud"))[..., None]


def marble(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    veins = np.exp(-9 * np.abs(noise(random, "cloud"))) + 0.5 * np.exp(-14 * np.abs(noise(random, "cloud")))
    return colour * (1 - 0.3 * np.minimum(veins, 1))[..., None]


def halftimber(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Plaster between timbers: posts, rails, and braces of one of four patterns."""
    beams = (np.minimum(Y % 0.5, 0.5 - Y % 0.5) < 0.022) | (np.minimum(X % 0.25, 0.25 - X % 0.25) < 0.016)
    rising, falling = (4 * X) % 1 - (2 * Y) % 1, (4 * X) % 1 + (2 * Y) % 1 - 1
    pattern = random.integers(4)
    if pattern == 0:
        beams |= (np.abs(rising) < 0.08) & (X % 0.5 < 0.25)
    elif pattern == 1:
        beams |= np.abs(rising) < 0.08
    elif pattern == 2:
        beams |= (np.abs(rising) < 0.08) | (np.abs(falling) < 0.08)
    wood = hsv(0.07, random.uniform(0.3, 0.6), random.uniform(0.15, 0.32))
    wood = wood * (1 + 0.15 * noise(random, "rough")[..., None])
    return np.where(beams[..., None], wood, stucco(random, colour))


def mosaic(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Coloured tesserae in a mirrored pattern."""
    cells = int(random.choice([8, 12, 16]))
    pattern = random.integers(0, 4, (cells, cells))
    if random.random() < 0.5:
        pattern = np.minimum(pattern, pattern.T)
    pattern = np.block([[pattern, pattern[:, ::-1]], [pattern[::-1], pattern[::-1, ::-1]]])
    palette = np.stack([colour, hsv(random.random(), 0.4, 0.55), hsv(random.random(), 0.15, 0.75), colour * 0.6])
    place = np.arange(SIZE) * 2 * cells // SIZE
    return palette[pattern[place][:, place]] * (1 + 0.05 * noise(random, "rough")[..., None])


def panels(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Metal or stone cladding with dark joints."""
    across, down = int(random.integers(5, 10)), int(random.integers(5, 10))
    tone = random.uniform(0.75, 1.1, (down, across, 1)).astype(np.float32)
    image = colour * tone[np.arange(SIZE) * down // SIZE][:, np.arange(SIZE) * across // SIZE]
    joint = ((Y * down) % 1 < 0.05) | ((X * across) % 1 < 0.05)
    return np.where(joint[..., None], colour * 0.4, image)


def rooftile(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    rows, columns = 24, 28
    row = (Y * rows).astype(int)
    across = X * columns + (row % 2) * 0.5
    round_back = 0.74 + 0.3 * np.abs(np.sin(np.pi * across))
    overlap = 0.78 + 0.3 * ((Y * rows) % 1)
    tone = 1 + 0.12 * random.standard_normal((rows, columns)).astype(np.float32)
    return colour * (round_back * overlap * tone[row, across.astype(int) % columns])[..., None]


def seam(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Standing-seam sheet metal."""
    edge = (X * 10) % 1
    shade = 1 - 0.3 * (edge < 0.1) + 0.15 * ((edge > 0.1) & (edge < 0.2))
    return colour * (shade * (1 + 0.07 * noise(random, "streak")))[..., None]


def planks(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    tone = 1 + 0.12 * random.standard_normal(10).astype(np.float32)
    image = colour * tone[(X * 10).astype(int)][..., None] * (1 + 0.12 * noise(random, "streak")[..., None])
    return np.where((((X * 10) % 1) < 0.09)[..., None], colour * 0.4, image)


def glass(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Dark rooms behind panes: here a curtain, there a blind or a pale wall. Each pane shows about half of it."""
    room = colour * (1 + 0.25 * noise(random, "cloud")[..., None])
    pale = hsv(random.uniform(0.05, 0.15), 0.15, random.uniform(0.3, 0.5))
    curtain = np.clip(noise(random, "streak") - 1.1, 0, 1) * 0.6
    blind = (np.sin(2 * np.pi * 8 * Y) > 0.9) * np.clip(noise(random, "stain") - 0.9, 0, 0.4)
    return mix(np.clip(curtain + blind, 0, 1), room, pale)


def asphalt(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    cracks = np.exp(-40 * np.abs(noise(random, "cloud"))) * (noise(random, "stain") > 0.3)
    image = colour * (1 + 0.08 * noise(random, "grain") + 0.05 * noise(random, "cloud") - 0.25 * cracks)[..., None]
    for _ in range(int(random.integers(0, 3))):  # a mended patch
        top, left, high, wide = random.integers(0, 160), random.integers(0, 160), *random.integers(20, 70, 2)
        image[top : top + high, left : left + wide] *= random.uniform(0.8, 0.92)
    return image


def grass(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    dry = np.clip(0.35 + 0.25 * noise(random, "stain"), 0, 1)
    image = mix(dry, colour, colour * np.array([1.25, 1.05, 0.9], np.float32))
    return image * (1 + 0.2 * noise(random, "grain") + 0.1 * noise(random, "rough"))[..., None]


def gravel(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    return FLAT * colour * (1 + 0.16 * noise(random, "grain") + 0.04 * noise(random, "cloud"))[..., None]


def leaf(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    hue_shift = 1 + 0.12 * noise(random, "rough")[..., None] * np.array([1.0, 0.4, 0.2], np.float32)
    return FLAT * colour * hue_shift * (1 + 0.28 * noise(random, "grain") + 0.15 * noise(random, "rough"))[..., None]


def window_grid(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """A far building's wall: rows of windows, for the skyline."""
    columns, rows = int(random.integers(6, 11)), 8
    across, down = (X * columns) % 1, (Y * rows) % 1
    wide, high = random.uniform(0.22, 0.36), random.uniform(0.22, 0.32)
    window = (np.abs(across - 0.5) < wide) & (np.abs(down - 0.5) < high)
    mullion = (np.abs(across - 0.5) < 0.03) & (random.random() < 0.6)
    tone = random.uniform(0.08, 0.22, (rows, columns)) + (random.random((rows, columns)) < 0.12) * 0.3
    pane = tone[(Y * rows).astype(int), (X * columns).astype(int)][..., None] * np.array([0.9, 1.0, 1.15], np.float32)
    wall = stucco(random, colour) * np.where(np.abs(down - 0.02) < 0.03, 0.85, 1.0)[..., None]
    return np.where((window & ~mullion)[..., None], pane, wall)
