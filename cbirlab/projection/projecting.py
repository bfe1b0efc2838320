"""Projecting: descriptors become points in a plane, kept in the store, with a note of what the plane does not show."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np

from cbirlab.base.params import Range, parameters
from cbirlab.base.registry import Registry
from cbirlab.projection.neighbours import unit_rows
from cbirlab.projection.trust import shared_neighbours
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.code import code_version

PROJECTIONS: Registry[Callable[..., np.ndarray]] = Registry("projection")
PROJECTIONS.add(
    "pca",
    "cbirlab.projection.layouts:pca",
    title="PCA",
    reference="Pearson 1901; Hotelling 1933",
    seeded=False,
    needs="numpy",
)
PROJECTIONS.add(
    "umap",
    "cbirlab.projection.layouts:umap",
    title="UMAP",
    reference="McInnes, Healy and Melville 2018",
    seeded=True,
    needs="umap-learn",
)
PROJECTIONS.add(
    "tsne",
    "cbirlab.projection.layouts:tsne",
    title="t-SNE",
    reference="van der Maaten and Hinton, JMLR 2008",
    seeded=True,
    needs="scikit-learn",
)

PLANAR = 3  # this many points lie in a plane anyway, so the method has nothing to do
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Projection:
    """A map.

    Attributes
    ----------
    points : (N, 2) float32, one row per vector, without a unit.
    method, seed : as asked for.
    neighbours : as used: less than asked for if there are few rows.
    placed : (N,) bool, False for rows of zeros, whose position means nothing.
    """

    points: np.ndarray
    method: str
    seed: int
    neighbours: int
    placed: np.ndarray


def project(
    vectors: Any,
    method: str = "umap",
    *,
    seed: int = 0,
    neighbours: Annotated[int, Range(2, 200, integer=True)] = 15,
    store: Store | None = None,
    key: str = "",
) -> Projection:
    """Lay descriptors out in the plane. For looking, not for searching.

    The same vectors, method, seed and neighbours give the same map on the same machine.
    `cbirlab.base.progress.listening` follows the steps and can stop them.

    Parameters
    ----------
    vectors : (N, D) real and finite; normalised here.
    method : a name in `PROJECTIONS`.
    seed : seed of the random parts; PCA ignores it.
    neighbours : for UMAP, including the point itself; for t-SNE the perplexity, which is an effective number of
        neighbours; PCA has none. With few rows, fewer are used.
    store : keeps the map, under the contents of `vectors` and everything else that the map depends on.
    key : names the vectors (a recipe's key); noted with the map in the store.

    Raises
    ------
    ValueError, TypeError : vectors, seed or neighbours that are not allowed.
    UnknownName : no such method.
    """
    layout, rows = _checked(vectors, method, seed, neighbours)
    specification = _specification(rows, method, seed, neighbours) if store else {}
    entry = store.get("projection", specification) if store else None
    unit, placed = unit_rows(rows)
    used = max(2, min(neighbours, len(unit) - 1))
    if entry is not None:
        return Projection(np.array(entry.arrays["points"]), method, seed, used, placed)
    if len(unit) <= PLANAR:
        layout = PROJECTIONS["pca"]
    points = _with_the_unplaced(layout(unit, seed=seed, neighbours=used), placed)
    if store:
        _keep(store, specification, points, key)
    return Projection(points, method, seed, used, placed)


def cached(vectors: Any, method: str = "umap", *, seed: int = 0, neighbours: int = 15, store: Store) -> bool:
    """Whether `project` would find the map in the store."""
    _, rows = _checked(vectors, method, seed, neighbours)
    return store.has("projection", _specification(rows, method, seed, neighbours))


def seed_stability(
    vectors: Any,
    method: str = "umap",
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    neighbours: int = 15,
    k: int = 10,
    store: Store | None = None,
    key: str = "",
) -> float:
    """Share of the k nearest on one seed's map that are also among the k nearest on another's, averaged over all pairs.

    Raises
    ------
    ValueError : fewer than two seeds, and as `project`.
    """
    if len(set(seeds)) < 2:
        raise ValueError(f"seed_stability: seeds must be two or more different numbers, got {seeds!r}.")
    maps = [project(vectors, method, seed=seed, neighbours=neighbours, store=store, key=key) for seed in seeds]
    placed = [one.points[one.placed] for one in maps]
    pairs = [(one, other) for place, one in enumerate(placed) for other in placed[place + 1 :]]
    return float(np.mean([shared_neighbours(one, other, k) for one, other in pairs]))


def _checked(vectors: Any, method: str, seed: int, neighbours: int) -> tuple[Callable[..., np.ndarray], np.ndarray]:
    layout = PROJECTIONS[method]
    parameters(project)["neighbours"].domain.check("project", "neighbours", neighbours)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(f"project: seed must be a whole number in [0, {_LARGEST_SEED}], got {seed!r}.")
    rows = np.asarray(vectors)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"project: vectors must be (N, D), one row per image and not empty, got {rows.shape}.")
    if rows.dtype.kind not in "fiu":
        raise TypeError(f"project: vectors must hold real numbers, got {rows.dtype}.")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(f"project: row {int(finite.argmin())} of vectors holds NaN or infinity.")
    return layout, rows


def _specification(rows: np.ndarray, method: str, seed: int, neighbours: int) -> dict[str, Any]:
    """Everything that a map depends on; the rows by their contents, since a key can outlive the images behind it."""
    info = PROJECTIONS.info(method)
    needed = info.facts.get("needs", "numpy")
    seeded = info.facts.get("seeded", True)
    values = np.ascontiguousarray(rows, dtype=np.float32)
    return {
        "vectors": blake2b(values.data, digest_size=16).hexdigest(),
        "shape": list(rows.shape),
        "method": method,
        "seed": int(seed) if seeded else 0,
        "neighbours": int(neighbours) if seeded else 0,
        "needs": f"{needed} {version(needed)}",
        "code": code_version("projection", PROJECTIONS[method]),
    }


def _keep(store: Store, specification: dict[str, Any], points: np.ndarray, key: str) -> None:
    try:
        store.put("projection", specification, {"points": points}, key=key)
    except StoreUnwritable as error:  # the map exists all the same, but has to be made again next time
        warnings.warn(str(error), stacklevel=3)


def _with_the_unplaced(points: np.ndarray, placed: np.ndarray) -> np.ndarray:
    everywhere = np.zeros((len(placed), 2), dtype=np.float32)
    everywhere[placed] = points
    if len(points) and not placed.all():
        low, span = points.min(axis=0), max(float(np.ptp(points, axis=0).max()), 1e-3)
        missing = int((~placed).sum())
        steps = np.arange(missing) * min(0.02, 1 / missing)
        everywhere[~placed] = low + span * np.stack([steps, np.full(missing, -0.08)], axis=1)
    return everywhere
