"""The estimator that all encodings extend: it checks, samples, makes columns ready and walks through them in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from cbirlab.base.params import check_parameters
from cbirlab.encoding.codebook import SAMPLE, principal_axes
from cbirlab.encoding.sums import NORM_FLOOR, lengths, unit

ELEMENTS = 2**20
"""Numbers that `encode` holds per step and matrix (4 MiB of float32), whatever the batch and however long its sets."""

BATCH = 32
"""Sets that `transform` pads to one length at a time."""


class LocalEncoding(BaseEstimator):
    """Base of the encodings; a subclass says what it learns, what it sums over columns, and how sums become vectors.

    Columns are L2-normalised (`normalise`), projected to `local_dims` principal components of the sample if they are
    wider, and normalised again, as Mohedano et al. (ICMR 2016) do. A zero column means "nothing there" and is not
    counted. An image without any column gives a zero vector.

    A subclass fills in:

    * ``_learn(local, groups)``: the codebook, from prepared columns (n, d).
    * ``_sums(local, weights)``: tensors that are sums over t, of prepared columns (b, t, d) with weights (b, t).
    * ``_finish(*sums)``: these sums as vectors (b, `width`).
    * ``_size(d)``: the dimensions of the vectors.

    Attributes
    ----------
    mean_ : (D,), and components_ : (d, D), of the PCA; both are empty if columns keep their channels.
    """

    k: int
    local_dims: int | None
    normalise: bool
    seed: int

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Any:
        """Learn from sampled columns; more than 100,000 are thinned out at random (seeded).

        Parameters
        ----------
        X : (n, D), columns of images that are not evaluated; zero rows are left out.
        groups : (n,), the image that each row came from: BoW's idf counts images with it, the others do not need it.

        Raises
        ------
        ValueError : X is not (n, D) or not finite, or holds fewer different columns than `k`.
        """
        check_parameters(type(self), self.get_params(deep=False), owner=self._owner)
        rows, groups = self._sampled(X, groups)
        self.mean_, self.components_ = np.empty(0, np.float32), np.empty((0, rows.shape[1]), np.float32)
        if self.local_dims is not None and self.local_dims < rows.shape[1]:
            self.mean_, self.components_ = principal_axes(self._units(rows), self.local_dims)
        local = np.concatenate([self._ready(block[None])[0][0].numpy() for block in _blocks(rows)])
        different = len({hash(row.tobytes()) for row in local})
        if different < self.k:
            raise ValueError(
                f"{self._owner}: k must be at most the number of different columns in X, got k={self.k} for {different}"
                f" of {len(local)} columns; lower k or sample more."
            )
        self._learn(local, groups)
        return self

    @torch.no_grad()
    def encode(self, columns: Tensor, weights: Tensor | None = None) -> Tensor:
        """One vector for each image.

        Parameters
        ----------
        columns : (B, T, D), of any floating-point type; short sets are filled up with zero columns.
        weights : (B, T), >= 0: the share of each column, as in a spatially weighted embedding. Every column counts as
            one by default.

        Returns
        -------
        (B, ``width(D)``) in float32 (float64 stays float64), on the device of `columns`.

        Raises
        ------
        ValueError, TypeError : a wrong shape or type, negative weights, NaN or infinity.
        sklearn.exceptions.NotFittedError : before `fit`.
        """
        check_is_fitted(self)
        columns, weights = self._checked(columns, weights)
        vectors = columns.new_zeros((len(columns), self.width(self.n_features_in_)))
        at_once = max(1, ELEMENTS // max(self.k, self.n_features_in_))
        images = max(1, at_once // max(1, columns.shape[1]))
        for start in range(0, len(columns), images):
            here = slice(start, start + images)
            vectors[here] = self._finish(*self._summed(columns[here], weights[here], at_once))
        return vectors

    def transform(self, sets: Sequence[Any]) -> np.ndarray:
        """Vectors (N, d) for N images, each given as its columns (T_i, D); T_i may be zero."""
        check_is_fitted(self)
        vectors = np.zeros((len(sets), self.width(self.n_features_in_)), dtype=np.float32)
        for start in range(0, len(sets), BATCH):
            batch = [torch.as_tensor(np.asarray(columns)) for columns in sets[start : start + BATCH]]
            for columns in batch:
                if columns.ndim != 2:
                    raise ValueError(f"{self._owner}: each set must be (T, D), got {tuple(columns.shape)}.")
            padded = torch.nn.utils.rnn.pad_sequence([columns.float() for columns in batch], batch_first=True)
            vectors[start : start + len(batch)] = self.encode(padded).numpy()
        return vectors

    def width(self, channels: int) -> int:
        """Dimensions of the vectors for columns with that many channels."""
        return self._size(channels if self.local_dims is None else min(channels, self.local_dims))

    def _learn(self, local: np.ndarray, groups: np.ndarray | None) -> None:
        raise NotImplementedError

    def _sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _finish(self, *sums: Tensor) -> Tensor:
        raise NotImplementedError

    def _size(self, dims: int) -> int:
        return self.k * dims

    @property
    def n_features_in_(self) -> int:
        """Channels D of a column, once fitted."""
        return self.components_.shape[1]

    @property
    def _owner(self) -> str:
        return type(self).__name__

    def _summed(self, columns: Tensor, weights: Tensor, at_once: int) -> tuple[Tensor, ...]:
        """Sums over all columns of a few images, or of one image in several steps."""
        total = None
        for first in range(0, max(1, columns.shape[1]), at_once):
            here = slice(first, first + at_once)
            part = self._sums(*self._ready(columns[:, here], weights[:, here]))
            total = part if total is None else tuple(map(torch.add, total, part))
        assert total is not None
        return total

    def _ready(self, columns: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Columns normalised and projected (b, t, d), and their weights (b, t), zero for zero columns."""
        norms = lengths(columns)
        if not norms.isfinite().all():
            raise ValueError(f"{self._owner}: columns must be finite, got NaN, infinity or an overflow.")
        there = (norms > NORM_FLOOR).squeeze(-1).to(columns.dtype)
        scale = norms.clamp(min=NORM_FLOOR) if self.normalise else 1
        if len(self.components_):
            # The projection comes first, because it is linear and leaves fewer numbers to divide and shift.
            axes = self._tensor(self.components_, columns).T
            local = columns @ axes / scale - self._tensor(self.mean_, columns) @ axes
            local = unit(local) if self.normalise else local
        else:
            local = columns / scale
        return local, there if weights is None else there * weights

    def _units(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks of `rows`, normalised where columns are."""
        for block in _blocks(rows):
            yield (unit(block) if self.normalise else block).numpy()

    def _tensor(self, array: np.ndarray, like: Tensor) -> Tensor:
        """A learned array with the device and type of `like`; a copy, because the store gives read-only memory maps."""
        return torch.tensor(np.asarray(array), dtype=like.dtype, device=like.device)

    def _sampled(self, X: Any, groups: Any) -> tuple[np.ndarray, np.ndarray | None]:
        X = np.asarray(X)
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"{self._owner}: X must be (n, D), one row per column, and not empty, got {X.shape}.")
        if groups is not None and len(groups := np.asarray(groups)) != len(X):
            raise ValueError(f"{self._owner}: groups must hold an image for each of {len(X)} rows, got {len(groups)}.")
        if not all(np.isfinite(X[start : start + 4096]).all() for start in range(0, len(X), 4096)):
            raise ValueError(f"{self._owner}: X must be finite, got NaN or infinity.")
        kept = np.flatnonzero(X.any(axis=1))
        if len(kept) > SAMPLE:
            kept = np.sort(np.random.default_rng(self.seed).choice(kept, SAMPLE, replace=False))
        if not len(kept):
            raise ValueError(f"{self._owner}: X must hold columns that are not zero, got {len(X)} zero rows.")
        return np.asarray(X[kept], dtype=np.float32), None if groups is None else groups[kept]

    def _checked(self, columns: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        shape = tuple(getattr(columns, "shape", ()))
        if len(shape) != 3 or shape[2] != self.n_features_in_:
            raise ValueError(
                f"{self._owner}: columns must be (B, T, {self.n_features_in_}) as in fit, got "
                f"{shape or type(columns).__name__}."
            )
        if not columns.is_floating_point():
            raise TypeError(f"{self._owner}: columns must be of a floating-point type, got {columns.dtype}.")
        columns = columns if columns.itemsize >= 4 else columns.float()
        if weights is None:
            return columns, columns.new_ones(shape[:2])
        if tuple(weights.shape) != shape[:2]:
            raise ValueError(f"{self._owner}: weights must be (B, T) = {shape[:2]}, got {tuple(weights.shape)}.")
        weights = weights.to(columns)
        if not (weights.isfinite() & (weights >= 0)).all():
            raise ValueError(f"{self._owner}: weights must be finite and not negative.")
        return columns, weights


def _blocks(rows: np.ndarray) -> Iterator[Tensor]:
    return (torch.from_numpy(rows[start : start + 4096]) for start in range(0, len(rows), 4096))
