"""A scene ready for shading: quads with their normals, mean colours and mip-mapped textures in one flat atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .mesh import Mesh

KINDS = ("matte", "glass", "leaf")
_LEVELS = 9
_TO_LINEAR = (np.arange(256) / 255.0) ** 2.2
_TO_BYTE = np.rint(255.0 * (np.arange(4097) / 4096.0) ** (1 / 2.2)).astype(np.uint8)


@dataclass(frozen=True)
class Stage:
    """Quads and textures of one or several meshes.

    Attributes
    ----------
    corners : (n, 4, 3) float32, metres.
    uv : (n, 4, 2) float32, texture repeats.
    material : (n,) int32.
    normals : (2n, 3) float32, one per triangle.
    density : (n,) float32, texels per metre on level 0.
    colours : (materials, 3) float32, mean linear colour.
    kind : (materials,) int8, index into `KINDS`.
    atlas : (texels, 3) uint8 sRGB, all levels of all textures one after the other.
    table : (materials, levels, 3) int64: first texel, height and width of each level.
    """

    corners: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    normals: np.ndarray
    density: np.ndarray
    colours: np.ndarray
    kind: np.ndarray
    atlas: np.ndarray
    table: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh) -> Stage:
        """Prepare a mesh."""
        corners = np.asarray(mesh.corners, np.float32)
        pages = [_pyramid(m.texture) for m in mesh.materials]
        table = np.zeros((len(pages), _LEVELS, 3), np.int64)
        start = 0
        for row, levels in zip(table, pages, strict=True):
            for cell, image in zip(row, levels, strict=True):
                cell[:] = start, image.shape[0], image.shape[1]
                start += image.shape[0] * image.shape[1]
        flat = [image.reshape(-1, 3) for levels in pages for image in levels]
        colours = np.array([_TO_LINEAR[levels[-1].reshape(-1, 3)].mean(axis=0) for levels in pages], np.float32)
        kind = np.array([KINDS.index(m.kind) for m in mesh.materials], np.int8)
        texels = table[mesh.material, 0, 1] * table[mesh.material, 0, 2]
        density = np.sqrt(_uv_area(mesh.uv) * texels / np.maximum(_area(corners), 1e-8))
        return cls(
            corners, np.asarray(mesh.uv, np.float32), np.asarray(mesh.material, np.int32), _normals(corners),
            density.astype(np.float32), colours.reshape(-1, 3), kind,
            np.concatenate([*flat, np.zeros((0, 3), np.uint8)]), table,
        )  # fmt: skip

    @classmethod
    def join(cls, stages: Sequence[Stage]) -> Stage:
        """One stage after another; quads keep their order."""
        materials = np.cumsum([0] + [len(s.kind) for s in stages])
        texels = np.cumsum([0] + [len(s.atlas) for s in stages])
        tables = [s.table + np.array([start, 0, 0]) for s, start in zip(stages, texels, strict=False)]
        numbers = [s.material + first for s, first in zip(stages, materials, strict=False)]
        parts = {
            name: np.concatenate([getattr(s, name) for s in stages])
            for name in ("corners", "uv", "normals", "density", "colours", "kind", "atlas")
        }
        return cls(material=np.concatenate(numbers).astype(np.int32), table=np.concatenate(tables), **parts)

    def texture_coordinates(self, triangle: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
        """(k, 2) coordinates of points given by triangle number and weights of its second and third corner."""
        quad = triangle // 2
        second = np.where(triangle % 2 == 0, 1, 2)
        first_uv = self.uv[quad, 0]
        along = self.uv[quad, second] - first_uv
        across = self.uv[quad, second + 1] - first_uv
        return first_uv + barycentric[:, :1] * along + barycentric[:, 1:] * across

    def albedo(self, quad: np.ndarray, uv: np.ndarray, footprint_m: np.ndarray) -> np.ndarray:
        """Linear colour (k, 3) of points of quads (k,) at uv (k, 2), averaged over `footprint_m` (k,) metres.

        Row = v * h, column = u * w, repeated; bilinear on the mip level whose texels are as large as the footprint.
        """
        material = self.material[quad]
        level = np.rint(np.log2(np.maximum(footprint_m * self.density[quad], 1e-6)))
        level = np.clip(level, 0, _LEVELS - 1).astype(np.int64)
        start, height, width = np.moveaxis(self.table[material, level], 1, 0)
        y = (uv[:, 1] - np.floor(uv[:, 1])) * height - 0.5
        x = (uv[:, 0] - np.floor(uv[:, 0])) * width - 0.5
        top, left = np.floor(y), np.floor(x)
        down, along = (y - top).astype(np.float32)[:, None], (x - left).astype(np.float32)[:, None]
        top, left = top.astype(np.int64) % height, left.astype(np.int64) % width
        bottom, right = start + (top + 1) % height * width, (left + 1) % width
        top = start + top * width
        linear = _TO_LINEAR.astype(np.float32)
        upper = linear[self.atlas[top + left]] * (1 - along) + linear[self.atlas[top + right]] * along
        lower = linear[self.atlas[bottom + left]] * (1 - along) + linear[self.atlas[bottom + right]] * along
        return upper * (1 - down) + lower * down


def _pyramid(texture: np.ndarray) -> list[np.ndarray]:
    """`_LEVELS` versions of an sRGB image, each half as large as the one before (down to 1), averaged linearly."""
    levels = [np.ascontiguousarray(texture)]
    image = _TO_LINEAR.astype(np.float32)[texture]
    for _ in range(_LEVELS - 1):
        height, width = image.shape[:2]
        if height > 1:
            image = 0.5 * (image[0 : height // 2 * 2 : 2] + image[1 : height // 2 * 2 : 2])
        if width > 1:
            image = 0.5 * (image[:, 0 : width // 2 * 2 : 2] + image[:, 1 : width // 2 * 2 : 2])
        levels.append(_TO_BYTE[np.rint(4096 * image).astype(np.int64)])
    return levels


def _normals(corners: np.ndarray) -> np.ndarray:
    """Unit normals (2n, 3) of the triangles 0 1 2 and 0 2 3 of each quad; a degenerate one borrows its twin's."""
    sides = corners[:, 1:] - corners[:, :1]
    both = np.cross(sides[:, :2], sides[:, 1:])  # (n, 2, 3)
    length = np.linalg.norm(both, axis=-1, keepdims=True)
    both = np.where(length > 1e-9, both, both[:, ::-1])
    length = np.maximum(np.linalg.norm(both, axis=-1, keepdims=True), 1e-12)
    return (both / length).reshape(-1, 3).astype(np.float32)


def _area(corners: np.ndarray) -> np.ndarray:
    diagonals = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return 0.5 * np.linalg.norm(np.cross(*diagonals), axis=-1)


def _uv_area(uv: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = (uv[:, 2] - uv[:, 0]).T, (uv[:, 3] - uv[:, 1]).T
    return 0.5 * np.abs(a * d - b * c)
