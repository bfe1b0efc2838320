"""Eight rows on two rings of the sphere and a query between: a chain 0-4 that leads away from it, and a clump 5-7."""

from __future__ import annotations

import numpy as np

ANGLES = [(12, 0), (28, 4), (45, 0), (63, -4), (80, 0), (-20, 10), (-26, 4), (-23, -4)]


def point(azimuth, elevation):
    a, e = np.radians([azimuth, elevation])
    return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


ROWS = np.array([point(*angles) for angles in ANGLES]).round(6)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
QUERY = np.array([[1.0, 0.0, 0.0]])
