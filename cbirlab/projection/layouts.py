"""The methods: functions from (n, D) rows of length one to (n, 2) points, n >= 4 (PCA: n >= 0)."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from cbirlab.base.progress import bar, stopwatch
from cbirlab.projection.neighbours import nearest

_EXACT_UP_TO = 512  # above this, a randomised decomposition finds the same two axes
_UMAP_EPOCHS = 200
_START_NOISE = 0.05  # relative to the start's own spread: separates equal rows and makes the seed count
_ONE_FIT = threading.Lock()


def pca(unit: np.ndarray, *, seed: int = 0, neighbours: int = 0) -> np.ndarray:
    """The two directions of largest variance. Each axis points to where the farthest point is, so maps do not flip."""
    if len(unit) < 2:
        return np.zeros((len(unit), 2), np.float32)
    centred = unit - unit.mean(axis=0)
    points = np.zeros((len(unit), 2))
    found = _scores(centred)[:, :2]
    points[:, : found.shape[1]] = found
    return _not_flipped(points)


def _not_flipped(points: np.ndarray) -> np.ndarray:
    """Turn each axis so that its farthest point is on the positive side."""
    farthest = points[np.abs(points).argmax(axis=0), [0, 1]]
    return (points * np.where(farthest < 0, -1, 1)).astype(np.float32)


def _turned(points: np.ndarray) -> np.ndarray:
    """Lay the longer side of a map along the first axis, as PCA does; a map has no up and no right."""
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    return _not_flipped(centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1])


def _scores(centred: np.ndarray) -> np.ndarray:
    """Coordinates on the principal axes, largest variance first: at least two, if there are as many."""
    rows, width = centred.shape
    if min(rows, width) > _EXACT_UP_TO:
        from sklearn.utils.extmath import randomized_svd

        left, values, _ = randomized_svd(centred, 2, n_oversamples=14, n_iter=7, random_state=0)  # pyright: ignore
        return left * values
    wide = centred.astype(np.float64)
    if width <= rows:
        return wide @ np.linalg.eigh(wide.T @ wide)[1][:, ::-1][:, :2]
    values, vectors = np.linalg.eigh(wide @ wide.T)
    return (vectors * np.sqrt(values.clip(0)))[:, ::-1][:, :2]


def _start(unit: np.ndarray, seed: int) -> np.ndarray:
    """PCA at unit spread with a little seeded noise; keeps distant points apart (Kobak and Linderman 2021)."""
    points = pca(unit).astype(np.float64)
    noise = np.random.default_rng(seed).normal(size=points.shape)
    return points / max(points[:, 0].std(), 1e-6) + _START_NOISE * noise


def umap(unit: np.ndarray, *, seed: int = 0, neighbours: int = 15) -> np.ndarray:
    """UMAP from exact neighbours: its own search for them compiles for most of a minute, once per process."""
    with ExitStack() as before_epochs:
        before_epochs.enter_context(stopwatch("UMAP compiles its loops, once per process"))
        import umap as library
        from umap import layouts as module

        def told(items: Any, **_: Any) -> Any:
            before_epochs.close()
            return bar(items, desc="UMAP", unit="epoch")

        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")  # only says that no new rows can be added
        fit = library.UMAP(
            n_neighbors=neighbours,
            n_epochs=_UMAP_EPOCHS,
            init=_start(unit, seed).astype(np.float32),  # pyright: ignore[reportArgumentType]
            precomputed_knn=_with_itself(unit, neighbours),  # pyright: ignore[reportArgumentType]
            random_state=seed,
            n_jobs=1,
        )
        # Some of UMAP's compiled loops are parallel; numba's simplest scheduler ends a process that enters two at once.
        with _ONE_FIT, _in_place_of(module, "tqdm", lambda _theirs: told):
            return _turned(np.asarray(fit.fit_transform(unit)))


def _with_itself(unit: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and distances of the nearest of each row, of which it is itself the first, as umap-learn counts them."""
    rows, cosines = nearest(unit, neighbours - 1)
    distances = np.sqrt(np.clip(2 - 2 * cosines, 0, None))
    return np.hstack([np.arange(len(unit))[:, None], rows]), np.hstack([np.zeros_like(distances[:, :1]), distances])


@contextmanager
def _in_place_of(module: ModuleType, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace a library function that has no callback by ours for a while, so that we can watch it and stop it.

    Parameters
    ----------
    make : takes the library's function and gives ours.
    """
    theirs = getattr(module, name)
    setattr(module, name, make(theirs))
    try:
        yield
    finally:
        setattr(module, name, theirs)


def tsne(unit: np.ndarray, *, seed: int = 0, neighbours: int = 15) -> np.ndarray:
    """t-SNE by Barnes and Hut's approximation; perplexity is at most a third of the rows."""
    from sklearn.manifold import TSNE
    from sklearn.manifold import _t_sne as module

    fit = TSNE(
        perplexity=max(1.0, min(float(neighbours), (len(unit) - 1) / 3)),
        init=(1e-4 * _start(unit, seed)).astype(np.float32),  # pyright: ignore[reportArgumentType]
        random_state=seed,
        n_jobs=1,
    )
    with _ONE_FIT, bar(total=fit.max_iter, desc="t-SNE", unit="step") as steps:

        def told(theirs: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *given, **named: (steps.update(), theirs(*given, **named))[1]

        with _in_place_of(module, "_kl_divergence_bh", told):
            return _turned(np.asarray(fit.fit_transform(unit)))
