"""Flat collages of Toytown's own textures: a pretext task whose classes cost nothing to render."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from .pictures import Pictures, gather

_TOYTOWN = Path(__file__).resolve().parents[2] / "toytown"
_NO_COLLAGE = ("glass", "leaf", "plain")
_DECALS = ("rose", "clock", "sign", "mural", "banner")


def make_collages(count: int, views: int = 6, canvas: int = 160, seed: int = 0, progress: bool = True) -> Pictures:
    """Make `count` collages, each a class of its own, and photograph each from `views` oblique directions."""

    def views_of_all() -> Iterator[Image.Image]:
        for number in tqdm(range(count), "collages", disable=not progress):
            random = np.random.default_rng([seed, number])
            flat = _collage(random, 2 * canvas)
            for _ in range(views):
                yield _oblique_view(random, flat, (canvas, canvas * 3 // 4))

    return gather(views_of_all(), [f"collage-{number:04d}" for number in range(count) for _ in range(views)], canvas)


def _collage(random: np.random.Generator, side: int) -> Image.Image:
    """One layout of four to nine shapes, each filled with a texture or a decal, on a textured ground."""
    image = _surface(random, side)
    for _ in range(random.integers(4, 10)):
        stencil = Image.new("L", (side, side))
        _draw_shape(random, ImageDraw.Draw(stencil), side)
        image.paste(_surface(random, side) if random.random() < 0.65 else _decal(random, side), mask=stencil)
    return image


def _draw_shape(random: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    x, y = random.uniform(0.1, 0.9, 2) * side
    half = random.uniform(0.05, 0.2) * side
    kind = random.integers(4)
    if kind == 0:
        tall = half * random.uniform(0.4, 2.0)
        draw.rectangle((x - half, y - tall, x + half, y + tall), fill=255)
    elif kind == 1:
        draw.ellipse((x - half, y - half, x + half, y + half), fill=255)
    elif kind == 2:
        corners = random.uniform(-1.5, 1.5, (random.integers(3, 6), 2)) * half + (x, y)
        draw.polygon([*map(tuple, corners.tolist())], fill=255)
    else:
        for step in range(random.integers(2, 7)):
            left = x + step * half * 0.8
            draw.rectangle((left, y, left + half * 0.45, y + 1.6 * half), fill=255)


def _surface(random: np.random.Generator, side: int) -> Image.Image:
    """A patch of a random material in a random colour and size, filling the square."""
    textures, noise, _ = _generator()
    names = [name for name in textures.PAINTERS if name not in _NO_COLLAGE]
    colour = noise.hsv(random.random(), random.uniform(0.05, 0.6), random.uniform(0.3, 0.9))
    tile = Image.fromarray(textures.material(random, names[random.integers(len(names))], colour).texture)
    part = random.uniform(0.4, 1.0)
    return tile.resize((side, side), Image.Resampling.BILINEAR, (0, 0, tile.width * part, tile.height * part))


def _decal(random: np.random.Generator, side: int) -> Image.Image:
    *_, decals = _generator()
    texture = decals.decal(random, _DECALS[random.integers(len(_DECALS))]).texture
    return Image.fromarray(texture).resize((side, side), Image.Resampling.BILINEAR)


def _oblique_view(random: np.random.Generator, image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Look at the collage from the side: the image of a random quadrangle of it, under a random light."""
    ends = np.array([[0.1, 0.1], [0.1, 0.9], [0.9, 0.9], [0.9, 0.1]]) + random.uniform(-0.1, 0.16, (4, 2))
    middle = ends.mean(0)
    turn = random.normal(0, 0.12)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = ((ends - middle) @ rotation * random.uniform(0.55, 1.0) + middle) * image.width
    view = image.transform(size, Image.Transform.QUAD, corners.ravel().tolist(), Image.Resampling.BILINEAR)
    light = Image.fromarray(random.uniform(110, 255, (3, 3)).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    lit = np.asarray(view, np.float32) * np.asarray(light, np.float32)[..., None] / 200
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8))


def _generator():
    """The modules of Toytown's generator that paint; its folder is put on the path when they are first wanted."""
    if str(_TOYTOWN) not in sys.path:
        sys.path.append(str(_TOYTOWN))
    from generator import decals, noise, textures

    return textures, noise, decals
