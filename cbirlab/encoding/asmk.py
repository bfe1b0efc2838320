"""ASMK: images compared word by word, so that a few good matches outweigh many poor ones.

An extension: the survey's v2 has it in a table only. Vectors are (k d): the residuals of word j in columns j d to (j +
1) d, of length one, or zero if the image does not show the word. They are compared by `similarity`, not by their inner
product.
"""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from cbirlab.base.params import Choice, Range
from cbirlab.encoding.base import LocalEncoding
from cbirlab.encoding.codebook import k_means
from cbirlab.encoding.sums import NORM_FLOOR, gather, nearest, residuals, unit

BLOCK = 2**22
"""Numbers of the images' vectors that `similarity` holds at a time (16 MiB of float32)."""


class ASMK(LocalEncoding):
    """Residuals added up per word, each sum scaled to length one; `binary` keeps only their signs (ASMK*).

    Dense, one row of fixed width per image: handy for small codebooks. The published 65,536 words need an inverted
    file.

    Parameters
    ----------
    k : words of the codebook; the vector has k times the dimensions of a column.
    binary : keep the signs of the residuals (> 0) as ±1/√d, so that an inner product is 1 - 2 Hamming/d.
    alpha : exponent of the inner products of words: the larger, the more the most alike count.
    tau : the least inner product of a word that counts.
    assignment : how many words a column of an image is assigned to.
    query_assignment : how many words a column of a query is assigned to, see `for_queries`; k at most.
    local_dims : principal components kept of a column; None keeps its channels.
    normalise : bring columns to length one first.
    seed : of the k-means; the same one gives the same words.

    Attributes
    ----------
    centres_ : (k, d).

    References
    ----------
    Tolias, Avrithis and Jégou, "To aggregate or not to aggregate: selective match kernels for image search", ICCV 2013.
    Defaults of alpha, tau and both assignments as in HOW: Tolias, Jenicek and Chum, ECCV 2020.
    """

    def __init__(
        self,
        *,
        k: Annotated[int, Range(1, 4096, integer=True)] = 256,
        binary: Annotated[bool, Choice((False, True))] = False,
        alpha: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0,
        tau: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.0,
        assignment: Annotated[int, Range(1, 10, integer=True)] = 1,
        query_assignment: Annotated[int, Range(1, 10, integer=True)] = 5,
        local_dims: Annotated[int | None, Range(1, 4096, integer=True, optional=True)] = 64,
        normalise: Annotated[bool, Choice((False, True))] = True,
        seed: Annotated[int, Range(0, 999, integer=True)] = 0,
    ) -> None:
        self.k = k
        self.binary = binary
        self.alpha = alpha
        self.tau = tau
        self.assignment = assignment
        self.query_assignment = query_assignment
        self.local_dims = local_dims
        self.normalise = normalise
        self.seed = seed

    def for_queries(self) -> ASMK:
        """A copy that encodes queries: it assigns their columns to `query_assignment` words."""
        twin = copy(self)
        twin.assignment = self.query_assignment
        return twin

    def _learn(self, local: np.ndarray, groups: Any) -> None:
        self.centres_ = k_means(local, self.k, self.seed)

    def _sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return gather(nearest(local, self._tensor(self.centres_, local), weights, self.assignment), local)

    def _finish(self, *sums: Tensor) -> Tensor:
        counts, total = sums
        left = residuals(counts, total, self._tensor(self.centres_, counts))
        if self.binary:
            shown = left.any(dim=-1, keepdim=True)
            left = torch.where(left > 0, 1.0, -1.0).to(left) * shown
        return unit(left).flatten(1)


def similarity(
    queries: np.ndarray, images: np.ndarray, *, k: int, alpha: float = 3.0, tau: float = 0.0, **_: Any
) -> np.ndarray:
    """Σ over words of σ(u), σ(u) = u^alpha where u >= tau and 0 elsewhere, over √(words of query × words of image).

    u is the inner product of the two residuals of a word. Division is by the number of words, not of columns.

    Parameters
    ----------
    queries : (Q, k d), images : (N, k d), as `ASMK.encode` gives them; a factor per row makes no difference. `images`
        may be a memory map: it is read in blocks.
    k, alpha, tau : as in `ASMK`.

    Returns
    -------
    (Q, N) float32, in [0, 1]; -inf, no answer, if query or image shows no word.

    Raises
    ------
    ValueError : rows of different widths, or not of k words.
    """
    if queries.ndim != 2 or images.ndim != 2 or queries.shape[1] != images.shape[1] or queries.shape[1] % k:
        raise ValueError(
            f"similarity: queries and images must be (Q, k d) and (N, k d) with k={k}, "
            f"got {queries.shape} and {images.shape}."
        )
    scores = np.zeros((len(queries), len(images)), dtype=np.float32)
    rows = max(1, BLOCK // max(1, images.shape[1]))
    asked, asked_shown = _by_word(queries, k)
    for start in range(0, len(images), rows):
        block, shown = _by_word(images[start : start + rows], k)
        here = scores[:, start : start + rows]
        for word in range(k):
            ours, theirs = np.flatnonzero(asked_shown[word]), np.flatnonzero(shown[word])
            # Summed in float64, a product does not depend on which other queries are asked with it.
            inner = asked[word, ours].astype(np.float64) @ block[word, theirs].T.astype(np.float64)
            inner = inner.astype(np.float32)
            inner[inner < tau] = 0
            here[np.ix_(ours, theirs)] += np.maximum(inner, 0) ** alpha
        here /= np.sqrt(np.maximum(asked_shown.sum(axis=0), 1))[:, None]
        here /= np.sqrt(np.maximum(shown.sum(axis=0), 1))
        here[:, ~shown.any(axis=0)] = -np.inf
    scores[~asked_shown.any(axis=0)] = -np.inf
    return scores


def _by_word(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of length one, word by word (k, n, d), and which rows show which words (k, n)."""
    words = np.asarray(rows, dtype=np.float32).reshape(len(rows), k, -1).transpose(1, 0, 2)
    norms = np.linalg.norm(words, axis=-1, keepdims=True)
    return words / np.maximum(norms, NORM_FLOOR), norms[..., 0] > NORM_FLOOR
