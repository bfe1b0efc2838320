"""Rotations: ITQ in the plane, step by step, where its objective is a curve over one angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbirlab.compression.binary import principal_projection, random_rotation, rotate

QUARTER = 90
"""Degrees after which a rotation in the plane moves the same points to the corners."""


@dataclass(frozen=True, eq=False)
class Turn:
    """A rotation of points in the plane.

    Attributes
    ----------
    rotation : (2, 2).
    objective : mean squared distance of the coordinates from the corners of the square, as in `ITQ.objective_`.
    """

    rotation: np.ndarray
    objective: float

    @property
    def angle(self) -> float:
        """In degrees, from 0 to 90: rotations that differ by a quarter turn, or a reflection, have the same cells."""
        x, y = self.rotation[:, 0]
        return float(np.degrees(np.arctan2(y, x)) % QUARTER)


def plane_of(X: np.ndarray, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,), and the principal axes `first` and the next one of rows (n, D) as columns (D, 2).

    The axes are scaled so that the mean square of all coordinates is 1, the distance of the corners of the square from
    the axes. ITQ's rotation does not depend on that.

    Raises
    ------
    ValueError : the rows do not span so many dimensions.
    """
    mean, axes = principal_projection("ITQ in the plane", X, first + 2)
    axes = axes[:, first : first + 2]
    return mean, axes / np.sqrt(np.square((X - mean) @ axes).mean())


def turns(V: np.ndarray, start: np.ndarray, iterations: int) -> list[Turn]:
    """ITQ's rotations of points V (n, 2), from `start` (2, 2) on, with their objectives: iterations + 1 of them."""
    found = [Turn(start, objective(V, start))]
    for _ in range(iterations):
        rotation, values = rotate(V, found[-1].rotation, 1)
        found.append(Turn(rotation, float(values[-1])))
    return found


def start_of(kind: str, seed: int) -> np.ndarray:
    """Where ITQ starts: "pcah", which does not rotate, or "random"."""
    return np.eye(2) if kind == "pcah" else random_rotation(2, seed)


def objective(V: np.ndarray, rotation: np.ndarray) -> float:
    """Mean squared distance of rotated points from the corners of the square, per coordinate."""
    return float(np.square(1 - np.abs(V @ rotation)).mean())


def objective_curve(V: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The objective at each angle, in degrees."""
    return np.array([objective(V, turned(angle)) for angle in np.radians(angles)])


def turned(angle: float) -> np.ndarray:
    """The rotation by an angle, in radians (2, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def quadrants(points: np.ndarray) -> np.ndarray:
    """The two bits of points (n, 2) as a number: 0 to 3."""
    return (points[:, 0] >= 0) + 2 * (points[:, 1] >= 0)
