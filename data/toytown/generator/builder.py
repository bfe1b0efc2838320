"""Collecting quads by named slot ("wall", "roof", ...), to be dressed in materials at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .mesh import Material, Mesh, yaw_matrix

UP = np.array([0.0, 0.0, 1.0])
RIGHT = np.array([1.0, 0.0, 0.0])
BACK = np.array([0.0, 1.0, 0.0])
# Corner numbers of a box's faces; corner number = x + 2 y + 4 z with each of x, y, z low (0) or high (1).
BOX_FACES = np.array([[0, 1, 5, 4], [1, 3, 7, 5], [3, 2, 6, 7], [2, 0, 4, 6], [4, 5, 7, 6]])


class Builder:
    """A mesh under construction: quads by slot, coordinates in metres until `build` divides by the tile."""

    def __init__(self) -> None:
        self.slots: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.panes = 0

    def quads(self, slot: str, corners: object, uv: object = None) -> None:
        """Add quads, (n, 4, 3) or (4, 3). Without `uv` the texture is laid flat on each face in world metres."""
        corners = np.asarray(corners, float).reshape(-1, 4, 3)
        flat = np.full((len(corners), 4, 2), np.nan) if uv is None else np.asarray(uv, float).reshape(-1, 4, 2)
        self.slots.setdefault(slot, []).append((corners, flat))

    def boxes(self, slot: str, low: object, high: object) -> None:
        """Add axis-aligned boxes without undersides from their low and high corners, each (n, 3) or (3,)."""
        low, high = (np.asarray(end, float).reshape(-1, 3) for end in (low, high))
        low, high = np.broadcast_arrays(low, high)
        pick = np.array([[bit >> axis & 1 for axis in range(3)] for bit in range(8)])
        points = np.where(pick[None] == 1, high[:, None], low[:, None])
        self.quads(slot, points[:, BOX_FACES].reshape(-1, 4, 3))

    def lathe(
        self, slot: str, centre: Sequence[float], profile: object, sides: int = 20, phase: float | None = None
    ) -> None:
        """Turn a profile of (radius, z) about the vertical through centre (x, y).

        Four or eight sides get a face towards -y unless `phase` (radians) says otherwise.
        """
        profile = np.asarray(profile, float)
        radius, height = profile[:, 0], profile[:, 1]
        start = (np.pi / sides if phase is None else phase) - np.pi / 2
        angle = start + np.arange(sides + 1) / sides * 2 * np.pi
        points = np.stack(
            np.broadcast_arrays(
                centre[0] + radius[:, None] * np.cos(angle),
                centre[1] + radius[:, None] * np.sin(angle),
                height[:, None],
            ),
            -1,
        )
        along = np.r_[0.0, np.cumsum(np.hypot(np.diff(radius), np.diff(height)))]
        uv = np.stack(np.broadcast_arrays(angle * max(radius.max(), 0.1), -(height[0] + along)[:, None]), -1)
        self.quads(slot, grid_quads(points), grid_quads(uv))

    def disc(self, slot: str, centre: object, u: np.ndarray, v: np.ndarray, radius: float, sides: int = 24) -> None:
        """Add a disc spanned by unit vectors u (right) and v (up), the slot's decal filling its square."""
        angle = np.arange(0, sides + 1, 2) / sides * 2 * np.pi
        middle = angle[:-1] + 2 * np.pi / sides

        def at(turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            cosine, sine = np.cos(turn)[:, None], np.sin(turn)[:, None]
            rim = np.asarray(centre, float) + radius * (cosine * u + sine * v)
            return rim, 0.5 + 0.49 * np.concatenate([cosine, -sine], 1)

        (first, first_uv), (half, half_uv), (last, last_uv) = at(angle[:-1]), at(middle), at(angle[1:])
        hub = np.broadcast_to(np.asarray(centre, float), first.shape)
        hub_uv = np.full_like(first_uv, 0.5)
        self.quads(slot, np.stack([hub, first, half, last], 1), np.stack([hub_uv, first_uv, half_uv, last_uv], 1))

    def panel(self, slot: str, centre: object, u: np.ndarray, v: np.ndarray, width: float, height: float) -> None:
        """Add one quad centred at `centre` with the slot's decal stretched over it, u to the right, v up."""
        middle, half_u, half_v = np.asarray(centre, float), u * width / 2, v * height / 2
        corners = [
            middle - half_u - half_v,
            middle + half_u - half_v,
            middle + half_u + half_v,
            middle - half_u + half_v,
        ]
        uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]]) * 0.98 + 0.01
        self.quads(slot, [corners], [uv + self._pane_numbers(slot, 1)[0]])

    def stamp(self, other: Builder, axes: np.ndarray, offsets: object, slots: Mapping[str, str] | None = None) -> None:
        """Add a copy of `other` at each offset (n, 3), its x, y, z along the rows of `axes` (3, 3).

        `slots` renames slots on the way. Panes of glass get new numbers.
        """
        offsets = np.asarray(offsets, float).reshape(-1, 3)
        for slot, chunks in other.slots.items():
            corners = np.concatenate([chunk[0] for chunk in chunks]) @ axes
            uv = np.concatenate([chunk[1] for chunk in chunks])
            placed = corners[None] + offsets[:, None, None]
            repeated = np.broadcast_to(uv, (len(offsets), *uv.shape)).copy()
            name = (slots or {}).get(slot, slot)
            repeated += self._pane_numbers(name, len(offsets))[:, None, None]
            self.quads(name, placed, repeated)

    def place(self, other: Builder, yaw: float = 0.0, position: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        """Add one copy of `other`, turned by yaw (radians) and moved."""
        self.stamp(other, yaw_matrix(yaw).T, [position])

    def build(self, palette: Mapping[str, Material]) -> Mesh:
        """Dress every slot in the material of that name.

        Raises
        ------
        KeyError
            If a slot has no material in `palette`.
        """
        corners, uv, material, materials = [], [], [], []
        for slot, chunks in self.slots.items():
            if slot not in palette:
                raise KeyError(f"Builder.build: slot {slot!r} has no material; known are {sorted(palette)}.")
            points = np.concatenate([chunk[0] for chunk in chunks])
            flat = np.concatenate([chunk[1] for chunk in chunks])
            empty = np.isnan(flat[:, 0, 0])
            flat[empty] = lay_flat(points[empty])
            corners.append(points.astype(np.float32))
            uv.append((flat / palette[slot].tile_m).astype(np.float32))
            material.append(np.full(len(points), len(materials), np.int32))
            materials.append(palette[slot])
        return Mesh(np.concatenate(corners), np.concatenate(uv), np.concatenate(material), materials)

    def _pane_numbers(self, slot: str, count: int) -> np.ndarray:
        """Return (count, 2) whole numbers to add to uv: fresh ones for glass, zeros for the rest."""
        numbers = np.zeros((count, 2))
        if slot.startswith("glass"):
            numbers[:, 0] = self.panes + np.arange(count)
            self.panes += count
        return numbers


def grid_quads(grid: np.ndarray) -> np.ndarray:
    """Cut an (a, b, k) grid of points into its ((a-1)(b-1), 4, k) quads."""
    corners = [grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]]
    return np.stack(corners, 2).reshape(-1, 4, grid.shape[-1])


def lay_flat(corners: np.ndarray) -> np.ndarray:
    """Return (n, 4, 2) metres across and down each face of (n, 4, 3) quads; floors take x across."""
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    across = np.cross(UP, normal)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    across = np.where(length < 0.05, RIGHT, across / (length + 1e-12))
    up = np.cross(normal, across)
    return np.stack([np.einsum("nki,ni->nk", corners, across), -np.einsum("nki,ni->nk", corners, up)], -1)
