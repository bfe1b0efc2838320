"""The human figure, as a passer-by or a statue."""

from __future__ import annotations

import numpy as np

from .builder import Builder


def figure(
    random: np.random.Generator,
    height: float,
    slots: tuple[str, str, str] = ("skin", "coat", "legs"),
    robe: bool = False,
) -> Builder:
    """Build a person `height` metres tall, facing -y, in some pose. `slots` are those of skin, upper and lower body."""
    skin, coat, legs = slots
    body = Builder()
    stride = random.uniform(0.0, 0.09)
    if robe:
        body.lathe(legs, (0, 0), [(0.17, 0), (0.14, 0.3), (0.11, 0.52)], 10)
    else:
        for side in (-1, 1):
            foot, knee, hip = (0.055 * side, -side * stride), (0.05 * side, -side * stride * 0.6), (0.045 * side, 0.0)
            body.quads(legs, _limb([(*foot, 0.0), (*knee, 0.26), (*hip, 0.5)], [0.035, 0.042, 0.058]))
            body.boxes(
                "shoe" if slots[0] == "skin" else legs,
                (foot[0] - 0.035, foot[1] - 0.1, 0),
                (foot[0] + 0.035, foot[1] + 0.04, 0.04),
            )
    squash = Builder()
    squash.lathe(coat, (0, 0), [(0.1, 0.46), (0.105, 0.52), (0.09, 0.6), (0.125, 0.78), (0.1, 0.82), (0.035, 0.84)], 10)
    body.stamp(squash, np.diag([1.0, 0.62, 1.0]), [(0, 0, 0)])
    for side in (-1, 1):
        raised = random.random() < (0.4 if robe else 0.1)
        elbow = (0.19 * side, -0.03, 0.66 if not raised else 0.8)
        hand = (0.17 * side, -0.1 - stride * side, 0.5) if not raised else (0.24 * side, -0.06, 0.98)
        body.quads(coat, _limb([(0.12 * side, 0, 0.79), elbow, hand], [0.04, 0.034, 0.026]))
        body.boxes(skin, np.array(hand) - 0.025, np.array(hand) + 0.025)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 7)
    body.lathe(skin, (0, 0), [(0.03, 0.82), (0.03, 0.87)], 6)
    body.lathe(skin, (0, -0.01), np.stack([0.052 * np.cos(turn) + 1e-3, 0.925 + 0.075 * np.sin(turn)], 1), 10)
    body.lathe(
        "hair" if slots[0] == "skin" else skin,
        (0, 0.003),
        np.stack([0.056 * np.cos(turn[3:]) + 1e-3, 0.938 + 0.075 * np.sin(turn[3:])], 1),
        10,
    )
    grown = Builder()
    grown.stamp(body, np.eye(3) * height, [(0, 0, 0)])
    return grown


def _limb(joints: list[tuple[float, float, float]], radii: list[float]) -> np.ndarray:
    """Return the quads of a four-sided tube through joints."""
    centre, radius = np.array(joints), np.array(radii)
    turn = np.pi / 4 + np.arange(5) * np.pi / 2
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(5)], 1)
    if abs(centre[0, 2] - centre[-1, 2]) < 0.15:  # a level limb: rings stand upright instead
        ring = ring[:, [2, 0, 1]]
    grid = centre[:, None] + radius[:, None, None] * ring
    return np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2).reshape(-1, 4, 3)
