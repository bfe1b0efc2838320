"""Wall and floor textures laid from blocks: brick, ashlar, rubble, stripes, slabs, cobble."""

from __future__ import annotations

import numpy as np

from .noise import SIZE, hsv


def bond(
    random: np.random.Generator,
    rows: int,
    columns: int,
    course_colours: np.ndarray,
    *,
    jitter: float,
    joint_px: float,
    mortar: np.ndarray,
    wobble: float = 0.0,
) -> np.ndarray:
    """Lay blocks in running bond.

    Parameters
    ----------
    course_colours : (3,) or (rows, 1, 3), the colour of each course.
    jitter : deviation of the brightness from block to block, relative.
    joint_px : width of the mortar joint.
    wobble : 0 for equal blocks, up to about 0.35 for uneven ones.
    """
    y, x = np.meshgrid(
        np.arange(SIZE, dtype=np.float32) / SIZE, np.arange(SIZE, dtype=np.float32) / SIZE, indexing="ij"
    )
    down = y * rows
    row = down.astype(int)
    shift = random.uniform(0, 1, rows) if wobble else (np.arange(rows) % 2) * 0.5
    across = x * columns + shift[row].astype(np.float32)
    if wobble:
        across = across + wobble * np.sin(4 * np.pi * across / columns + 6 * shift[row].astype(np.float32))
    column = np.floor(across).astype(int)
    table = (
        1
        + jitter * random.standard_normal((rows, columns, 1))
        + 0.18 * jitter * random.standard_normal((rows, columns, 3))
    )
    image = (np.asarray(course_colours) * table).astype(np.float32)[row, column % columns]
    left_px = (across - column) * (SIZE / columns)
    top_px = (down - row) * (SIZE / rows)
    joint = (left_px < joint_px) | (top_px < joint_px)
    shade = 1 - 0.12 * ((top_px < joint_px + 1.2) | (left_px < joint_px + 1.2))
    return np.where(joint[..., None], np.asarray(mortar, np.float32), image * shade[..., None])


def brick(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    mortar = colour * 0.45 + random.uniform(0.25, 0.4)
    image = bond(random, 26, 11, colour, jitter=0.1, joint_px=1.2, mortar=mortar)
    if random.random() < 0.5:  # burnt headers here and there
        dark = bond(random, 26, 11, colour * 0.6, jitter=0.1, joint_px=1.2, mortar=mortar)
        chosen = random.random((26, 11)) < 0.12
        rows, columns = np.arange(SIZE) * 26 // SIZE, np.arange(SIZE) * 11 // SIZE
        image = np.where((chosen[rows][:, columns])[..., None], dark, image)
    return image


def ashlar(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    rows, columns = int(random.integers(10, 15)), int(random.integers(5, 8))
    return bond(random, rows, columns, colour, jitter=0.07, joint_px=1.6, mortar=colour * 0.62, wobble=0.12)


def rubble(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    rows, columns = int(random.integers(14, 20)), int(random.integers(9, 14))
    return bond(random, rows, columns, colour, jitter=0.16, joint_px=1.8, mortar=colour * 0.6, wobble=0.35)


def stripes(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    rows = 16
    other = colour * random.uniform(0.4, 0.65) if random.random() < 0.6 else hsv(random.random(), 0.45, 0.45)
    period = int(random.choice([2, 4, 8]))
    second = np.arange(rows) % period < random.integers(1, period)
    courses = np.where(second[:, None, None], other, colour)
    return bond(random, rows, 7, courses, jitter=0.05, joint_px=1.2, mortar=colour * 0.7, wobble=0.1)


def concrete(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    return bond(random, 4, 3, colour, jitter=0.03, joint_px=1.4, mortar=colour * 0.72)


def slabs(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    rows, columns = int(random.choice([12, 16, 20])), int(random.choice([8, 12, 16]))
    return bond(random, rows, columns, colour, jitter=0.06, joint_px=1.2, mortar=colour * 0.62)


def cobble(random: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    return bond(random, 36, 30, colour, jitter=0.14, joint_px=1.2, mortar=colour * 0.55, wobble=0.3)
