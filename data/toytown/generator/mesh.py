"""Textured quads: what the world hands to the camera."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

KINDS = ("matte", "glass", "leaf")


@dataclass(frozen=True, eq=False)
class Material:
    """A repeating texture and how it answers light.

    Parameters
    ----------
    texture : (h, w, 3) uint8, sRGB.
    kind : "matte", "glass" (mirrors the sky, may be lit at night) or "leaf" (thin, lets light through).
    tile_m : side of one repeat in metres; 1 for decals, whose coordinates are repeats already.
    """

    texture: np.ndarray
    kind: str
    tile_m: float


@dataclass(frozen=True, eq=False)
class Mesh:
    """A soup of quads in metres, z up, ground at z = 0, main front facing -y.

    Parameters
    ----------
    corners : (n, 4, 3) float32; a triangle repeats its last corner.
    uv : (n, 4, 2) float32, in texture repeats, v down (row = v * h). For glass, floor(u) numbers the pane.
    material : (n,) int32, index into `materials`.
    materials : the materials, each listed once.
    """

    corners: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: list[Material]

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner, two (3,) arrays in metres.

        Raises
        ------
        ValueError
            If the mesh has no quads.
        """
        if not len(self):
            raise ValueError("Mesh.bounds: an empty mesh has no bounds; add quads first.")
        points = self.corners.reshape(-1, 3)
        return points.min(axis=0), points.max(axis=0)

    @staticmethod
    def join(placed: Iterable[tuple[Mesh, float, Sequence[float]]]) -> Mesh:
        """Join meshes, each turned by a yaw (radians, about z) and then moved to (x, y, z)."""
        numbers: dict[int, int] = {}
        materials: list[Material] = []
        corners, uv, material = [], [], []
        for mesh, yaw, position in placed:
            for item in mesh.materials:
                if id(item) not in numbers:
                    numbers[id(item)] = len(materials)
                    materials.append(item)
            lookup = np.array([numbers[id(item)] for item in mesh.materials], np.int32)
            corners.append((mesh.corners @ yaw_matrix(yaw).T + np.asarray(position)).astype(np.float32))
            uv.append(mesh.uv)
            material.append(lookup[mesh.material])
        if not corners:
            return Mesh(
                np.zeros((0, 4, 3), np.float32), np.zeros((0, 4, 2), np.float32), np.zeros(0, np.int32), materials
            )
        return Mesh(np.concatenate(corners), np.concatenate(uv), np.concatenate(material), materials)


def yaw_matrix(yaw: float) -> np.ndarray:
    """Return the (3, 3) rotation by `yaw` radians about z."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
