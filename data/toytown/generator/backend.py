"""Ray tracing: one triangle soup in Embree, driven through Mitsuba's ``llvm_ad_rgb`` variant.

Only intersections come from Mitsuba.  A tracer keeps one scene for its whole life and swaps the vertices, because
a fresh scene bakes literals into its kernels and each would cost a compilation (0.25 s of 0.3 s, measured).
"""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MINIMUM_LLVM = 17  # 15 and 16 end the process with "Cannot select fminimum": no Python exception to catch
_LIBRARY_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib",
)
_FAR = 1.0e4  # metres: distance given to rays that leave the scene


class RenderUnavailable(RuntimeError):
    """Mitsuba or a usable LLVM library is missing."""


def llvm_version(path: Path) -> int:
    """Major version in an LLVM library's file name, or 0 when the name does not tell."""
    match = re.search(r"libLLVM[-.](?:so\.|dylib\.)?(\d+)", path.name)
    return int(match.group(1)) if match else 0


def find_llvm() -> Path | None:
    """Newest LLVM library of at least `MINIMUM_LLVM` in the usual folders, or None."""
    folders = [Path(f) for f in _LIBRARY_FOLDERS] + sorted(Path("/usr/lib").glob("llvm-*/lib"))
    found = {p.resolve(): llvm_version(p) for f in folders if f.is_dir() for p in f.glob("libLLVM*")}
    usable = {p: v for p, v in found.items() if v >= MINIMUM_LLVM and p.is_file() and ".a" not in p.suffixes}
    return max(usable, key=lambda p: (usable[p], str(p)), default=None)


def load_mitsuba():
    """Import Mitsuba with the LLVM variant on one thread; clear error when something is missing.

    Returns
    -------
    tuple
        The ``mitsuba`` and ``drjit`` modules.

    Raises
    ------
    RenderUnavailable
        If Mitsuba is not installed or no LLVM library of at least `MINIMUM_LLVM` is found.
    """
    if "DRJIT_LIBLLVM_PATH" not in os.environ:
        library = find_llvm()
        if library is None:
            raise RenderUnavailable(
                f"rendering needs an LLVM library of version {MINIMUM_LLVM} or newer and none was found: install one "
                "(Debian/Ubuntu: libllvm19) or set DRJIT_LIBLLVM_PATH to its file."
            )
        os.environ["DRJIT_LIBLLVM_PATH"] = str(library)
    try:
        ctypes.CDLL(os.environ["DRJIT_LIBLLVM_PATH"])
    except OSError as error:
        raise RenderUnavailable(f"DRJIT_LIBLLVM_PATH names a library that does not load: {error}.") from error
    try:
        import mitsuba as mi
    except ImportError as error:
        raise RenderUnavailable(
            'rendering needs Mitsuba 3, which is not installed: run pip install "mitsuba>=3.5".'
        ) from error
    mi.set_variant("llvm_ad_rgb")
    import drjit as dr

    dr.set_thread_count(1)  # images are made in parallel by processes; one thread also keeps results identical
    return mi, dr


@dataclass(frozen=True)
class Hits:
    """First intersections of n rays.

    Attributes
    ----------
    valid : ndarray (n,) bool
    distance : ndarray (n,) float32
        Metres; 1e4 where the ray left the scene.
    triangle : ndarray (n,) int64
        Index of the triangle (two per quad), 0 where the ray left the scene.
    barycentric : ndarray (n, 2) float32
        Weights of the triangle's second and third corner.
    """

    valid: np.ndarray
    distance: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray


class Tracer:
    """Intersects rays with a soup of quads that can be replaced at little cost."""

    def __init__(self):
        self.mi, self.dr = load_mitsuba()
        mi = self.mi
        corners = np.array([[[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]], np.float32)
        vertices, faces = _triangles(corners)
        mesh = mi.Mesh("soup", len(vertices), len(faces))
        values = mi.traverse(mesh)
        values["vertex_positions"] = mi.Float(vertices.ravel())
        values["faces"] = mi.UInt32(faces.ravel())
        values.update()
        self.scene = mi.load_dict({"type": "scene", "soup": mesh})
        self._values = mi.traverse(self.scene)

    def load(self, corners: np.ndarray) -> None:
        """Replace the geometry by quads (n, 4, 3) in metres."""
        mi = self.mi
        vertices, faces = _triangles(corners)
        self._values["soup.vertex_positions"] = mi.Float(vertices.ravel())
        self._values["soup.faces"] = mi.UInt32(faces.ravel())
        self._values.update()

    def vectors(self, array: np.ndarray):
        """(n, 3) array as a Dr.Jit vector."""
        columns = np.ascontiguousarray(array.T, np.float32)
        return self.mi.Vector3f(*[self.mi.Float(c) for c in columns])

    def rays(self, origins: np.ndarray, directions: np.ndarray):
        """Rays from (n, 3) or (3,) origins along (n, 3) unit directions."""
        mi = self.mi
        origins = np.broadcast_to(np.asarray(origins, np.float32), directions.shape)
        return mi.Ray3f(mi.Point3f(self.vectors(origins)), self.vectors(directions))

    def intersect(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """First hit of each ray (n rays)."""
        if not len(directions):
            return Hits(np.zeros(0, bool), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 2), np.float32))
        hit = self.scene.ray_intersect_preliminary(self.rays(origins, directions))
        self.dr.eval(hit)
        valid = np.isfinite(np.array(hit.t))
        distance = np.where(valid, np.array(hit.t), _FAR).astype(np.float32)
        triangle = np.where(valid, np.array(hit.prim_index), 0).astype(np.int64)
        return Hits(valid, distance, triangle, np.array(hit.prim_uv).T.astype(np.float32))

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray | None = None) -> np.ndarray:
        """Whether each ray meets something, within `reach` (n,) metres if given."""
        if not len(directions):  # Dr.Jit ends the process over empty arrays
            return np.zeros(0, bool)
        rays = self.rays(origins, directions)
        if reach is not None:
            rays.maxt = self.mi.Float(np.ascontiguousarray(reach, np.float32))
        return np.array(self.scene.ray_test(rays)).astype(bool)


def _triangles(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (4n, 3) and faces (2n, 3) of n quads: triangle 2i is corners 0 1 2, 2i + 1 is corners 0 2 3."""
    first = 4 * np.arange(len(corners), dtype=np.uint32)[:, None]
    faces = np.stack([first + np.array([0, 1, 2], np.uint32), first + np.array([0, 2, 3], np.uint32)], axis=1)
    return corners.reshape(-1, 3).astype(np.float32), faces.reshape(-1, 3).astype(np.uint32)
