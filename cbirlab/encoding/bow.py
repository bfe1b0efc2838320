"""Bag of words: how often an image shows each word."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from cbirlab.base.params import Choice, Range
from cbirlab.encoding.base import LocalEncoding
from cbirlab.encoding.codebook import k_means
from cbirlab.encoding.sums import nearest, unit


class BoW(LocalEncoding):
    """Histogram of words, (1/T) Σ_t φ(x_t, c_k) with φ = 1 for the nearest centre (survey, Eq. 1-2), then L2.

    The survey's 1/T cancels out in the L2 norm.

    Parameters
    ----------
    k : words of the codebook, and dimensions of the vector.
    idf : multiply each word by ln(images / images that show it) before L2. Counted among the sampled columns:
        images if `groups` says which image each column belongs to; otherwise columns, ln(columns / columns of the
        word), which gives the same order of words but spreads them further. A word that never occurs counts as
        occurring once.
    local_dims : principal components kept of a column; None keeps its channels.
    normalise : bring columns to length one first.
    seed : of the k-means; the same one gives the same words.

    Attributes
    ----------
    centres_ : (k, d).
    idf_ : (k,), ones without `idf`.

    References
    ----------
    Sivic and Zisserman, "Video Google", ICCV 2003. On columns of a convolution: Mohedano et al., ICMR 2016 (25,000
    words, no idf).
    """

    def __init__(
        self,
        *,
        k: Annotated[int, Range(1, 65536, integer=True)] = 1024,
        idf: Annotated[bool, Choice((False, True))] = False,
        local_dims: Annotated[int | None, Range(1, 4096, integer=True, optional=True)] = 64,
        normalise: Annotated[bool, Choice((False, True))] = True,
        seed: Annotated[int, Range(0, 999, integer=True)] = 0,
    ) -> None:
        self.k = k
        self.idf = idf
        self.local_dims = local_dims
        self.normalise = normalise
        self.seed = seed

    def _learn(self, local: np.ndarray, groups: Any) -> None:
        self.centres_ = k_means(local, self.k, self.seed)
        self.idf_ = self._idf(local, groups) if self.idf else np.ones(self.k, np.float32)

    def _idf(self, local: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
        documents, of_row = np.unique(np.arange(len(local)) if groups is None else groups, return_inverse=True)
        met = np.unique(np.stack([of_row.ravel(), self._words(local)]), axis=1)
        images = np.bincount(met[1], minlength=self.k)
        return np.log(len(documents) / np.maximum(images, 1)).astype(np.float32)

    def _words(self, local: np.ndarray) -> np.ndarray:
        """The word of each column (n,)."""
        rows = torch.from_numpy(local)
        centres = self._tensor(self.centres_, rows)
        blocks = [nearest(block, centres, block.new_ones(len(block))).argmax(-1) for block in rows.split(1024)]
        return torch.cat(blocks).numpy()

    def _sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor]:
        return (nearest(local, self._tensor(self.centres_, local), weights).sum(dim=1),)

    def _finish(self, *sums: Tensor) -> Tensor:
        (counts,) = sums
        return unit(counts * self._tensor(self.idf_, counts))

    def _size(self, dims: int) -> int:
        return self.k
