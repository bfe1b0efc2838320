"""VLAD: the residuals of the columns of each word after subtracting its centre."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from torch import Tensor

from cbirlab.base.params import Choice, Range
from cbirlab.encoding.base import LocalEncoding
from cbirlab.encoding.codebook import k_means
from cbirlab.encoding.sums import gather, nearest, residuals, signed_root, unit


class VLAD(LocalEncoding):
    """Σ_t φ(x_t, c_k) (x_t - c_k) for each word k (survey, Eq. 3-4), signed root, L2 word by word, L2.

    The survey divides by T, which cancels out in the L2 norm, and leaves out the steps in between.

    Parameters
    ----------
    k : words of the codebook; the vector has k times the dimensions of a column.
    root : take the signed square root of each number, which dampens words that come in bursts (Jégou et al., TPAMI
        2012).
    intra : scale the residuals of each word to length one (Arandjelović and Zisserman 2013), after the root.
    local_dims : principal components kept of a column; None keeps its channels.
    normalise : bring columns to length one first.
    seed : of the k-means; the same one gives the same words.

    Attributes
    ----------
    centres_ : (k, d).

    References
    ----------
    Jégou, Douze, Schmid and Pérez, "Aggregating local descriptors into a compact image representation", CVPR 2010.
    Arandjelović and Zisserman, "All about VLAD", CVPR 2013. On columns of a convolution: Ng et al., CVPRW 2015.
    """

    def __init__(
        self,
        *,
        k: Annotated[int, Range(1, 4096, integer=True)] = 64,
        root: Annotated[bool, Choice((False, True))] = True,
        intra: Annotated[bool, Choice((False, True))] = True,
        local_dims: Annotated[int | None, Range(1, 4096, integer=True, optional=True)] = 64,
        normalise: Annotated[bool, Choice((False, True))] = True,
        seed: Annotated[int, Range(0, 999, integer=True)] = 0,
    ) -> None:
        self.k = k
        self.root = root
        self.intra = intra
        self.local_dims = local_dims
        self.normalise = normalise
        self.seed = seed

    def _learn(self, local: np.ndarray, groups: Any) -> None:
        self.centres_ = k_means(local, self.k, self.seed)

    def _sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return gather(nearest(local, self._tensor(self.centres_, local), weights), local)

    def _finish(self, *sums: Tensor) -> Tensor:
        counts, total = sums
        left = residuals(counts, total, self._tensor(self.centres_, counts))
        left = signed_root(left) if self.root else left
        left = unit(left) if self.intra else left
        return unit(left.flatten(1))
