"""NetVLAD: VLAD with soft assignment, as a layer that can be trained further."""

from __future__ import annotations

from math import log
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from cbirlab.base.params import Choice, Range
from cbirlab.encoding.base import LocalEncoding
from cbirlab.encoding.codebook import k_means
from cbirlab.encoding.sums import gather, residuals, unit

RATIO = 100
"""At the start, the ratio of the largest share to the next, on (geometric) average: the paper's choice."""


class NetVLADLayer(nn.Module):
    """V(k) = Σ_t softmax_k(w_k.x_t + b_k) (x_t - c_k), L2 word by word, L2.

    Parameters
    ----------
    weight : (K, D), bias : (K,), centres : (K, D): where training starts, see `NetVLAD`.
    normalise : columns to length one first, as published.
    """

    def __init__(self, weight: Tensor, bias: Tensor, centres: Tensor, *, normalise: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.centres = nn.Parameter(centres)
        self.normalise = normalise

    def forward(self, columns: Tensor, weights: Tensor | None = None) -> Tensor:
        """Vectors (B, K D) of columns (B, T, D) with weights (B, T); maps give ``maps.flatten(2).mT``.

        Zero columns are not counted.
        """
        there = columns.any(dim=-1).to(columns.dtype)
        local = unit(columns) if self.normalise else columns
        return self.finish(*self.sums(local, there if weights is None else there * weights))

    def sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Shares (b, K) and columns (b, K, D) added up per word."""
        shares = nn.functional.linear(local, self.weight, self.bias).softmax(dim=-1)
        return gather(shares * weights[..., None], local)

    def finish(self, shares: Tensor, sums: Tensor) -> Tensor:
        """Vectors (b, K D) of these sums."""
        return unit(unit(residuals(shares, sums, self.centres)).flatten(1))


class NetVLAD(LocalEncoding):
    """The NetVLAD layer before any training, initialised from clusters of L2-normalised columns.

    `layer` gives the module, to train it further.

    Parameters
    ----------
    k : words of the codebook; the vector has k times the dimensions of a column.
    bias : True, the paper's Eq. 3: w = 2α c, b = -α |c|², and the shares fall with the squared distance; α makes the
        nearest centre's share on average 100 times the next, α = ln 100 / mean(d₂² - d₁²). False, as the authors' code
        runs by default: w = α c/|c|, no bias, α = ln 100 / mean(difference of the two largest c/|c|.x). The two are the
        same for centres of length one. (A port in wide use starts the bias at -α |c|, not squared: a mistake.)
    local_dims : principal components kept of a column; None keeps its channels, as published.
    normalise : bring columns to length one first, as published.
    seed : of the k-means; the same one gives the same words.

    Attributes
    ----------
    weight_ : (k, d), bias_ : (k,), centres_ : (k, d).

    References
    ----------
    Arandjelović, Gronat, Torii, Pajdla and Sivic, "NetVLAD: CNN architecture for weakly supervised place recognition",
    CVPR 2016, and its appendix A.
    """

    def __init__(
        self,
        *,
        k: Annotated[int, Range(2, 4096, integer=True)] = 64,
        bias: Annotated[bool, Choice((False, True))] = True,
        local_dims: Annotated[int | None, Range(1, 4096, integer=True, optional=True)] = 64,
        normalise: Annotated[bool, Choice((False, True))] = True,
        seed: Annotated[int, Range(0, 999, integer=True)] = 0,
    ) -> None:
        self.k = k
        self.bias = bias
        self.local_dims = local_dims
        self.normalise = normalise
        self.seed = seed

    def layer(self) -> NetVLADLayer:
        """A layer that starts where `fit` ended. It takes columns of `local_dims` dimensions, after the PCA if any."""
        parts = (torch.tensor(np.asarray(part)) for part in (self.weight_, self.bias_, self.centres_))
        return NetVLADLayer(*parts, normalise=self.normalise)

    def _learn(self, local: np.ndarray, groups: Any) -> None:
        self.centres_ = k_means(local, self.k, self.seed)
        norms = np.linalg.norm(self.centres_, axis=1, keepdims=True)
        weight = 2 * self.centres_ if self.bias else self.centres_ / np.maximum(norms, 1e-12)
        bias = -np.square(norms[:, 0]) if self.bias else np.zeros(self.k, np.float32)
        alpha = log(RATIO) / max(_mean_lead(local, weight, bias), 1e-12)
        self.weight_, self.bias_ = (alpha * weight).astype(np.float32), (alpha * bias).astype(np.float32)

    def _sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer().to(local).sums(local, weights)

    def _finish(self, *sums: Tensor) -> Tensor:
        shares, total = sums
        return self.layer().to(shares).finish(shares, total)


def _mean_lead(local: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> float:
    """The average over columns (n, d) of how much the best word's w.x + b exceeds the next best's."""
    leads = []
    for start in range(0, len(local), 1024):
        top = np.partition(local[start : start + 1024] @ weight.T + bias, -2, axis=1)[:, -2:]
        leads.append(top[:, 1] - top[:, 0])
    return float(np.concatenate(leads).mean(dtype=np.float64))
