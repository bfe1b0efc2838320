"""Fisher vector: how a mixture of Gaussians would have to change to explain the image's columns better."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from cbirlab.base.params import Choice, Range
from cbirlab.encoding.base import LocalEncoding
from cbirlab.encoding.codebook import gaussian_mixture
from cbirlab.encoding.sums import gather, signed_root, unit


class Fisher(LocalEncoding):
    """Gradients with respect to weights, means and deviations of a diagonal mixture, signed root, L2.

    With γ_k(x) the share of component k in x (survey, Eq. 5-8)::

        g_w  = 1/(T √w_k)  Σ_t (γ_k(x_t) - w_k)
        g_μ  = 1/(T √w_k)  Σ_t γ_k(x_t) (x_t - μ_k)/σ_k
        g_σ  = 1/(T √2w_k) Σ_t γ_k(x_t) [((x_t - μ_k)/σ_k)² - 1]

    The survey's Eq. 7 prints γ_k outside the sum and μ_i for μ_k; this follows the paper. 1/T cancels out in the L2
    norm. With weights from a saliency map it is the spatially weighted Fisher vector (SWFV).

    Parameters
    ----------
    k : components of the mixture; the vector has about 2 k times the dimensions of a column.
    gradients : "all", k (1 + 2d) dimensions; "mu_sigma", 2 k d, as in most code; "mu", k d.
    root : take the signed square root of each number: the "improved" Fisher vector (Perronnin et al. 2010).
    floor : the least variance, as a fraction of the mean variance of the sample: otherwise a nearly dead channel would
        outweigh all others.
    local_dims : principal components kept of a column; None keeps its channels.
    normalise : bring columns to length one first.
    seed : of the mixture's start.

    Attributes
    ----------
    priors_ : (k,), means_ : (k, d), variances_ : (k, d), of the mixture.

    References
    ----------
    Perronnin, Sánchez and Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV 2010.
    Sánchez, Perronnin, Mensink and Verbeek, IJCV 2013.
    """

    def __init__(
        self,
        *,
        k: Annotated[int, Range(1, 1024, integer=True)] = 32,
        gradients: Annotated[str, Choice(("all", "mu_sigma", "mu"))] = "all",
        root: Annotated[bool, Choice((False, True))] = True,
        floor: Annotated[float, Range(1e-6, 1.0)] = 1e-3,
        local_dims: Annotated[int | None, Range(1, 4096, integer=True, optional=True)] = 64,
        normalise: Annotated[bool, Choice((False, True))] = True,
        seed: Annotated[int, Range(0, 999, integer=True)] = 0,
    ) -> None:
        self.k = k
        self.gradients = gradients
        self.root = root
        self.floor = floor
        self.local_dims = local_dims
        self.normalise = normalise
        self.seed = seed

    def _learn(self, local: np.ndarray, groups: Any) -> None:
        self.priors_, self.means_, self.variances_ = gaussian_mixture(local, self.k, self.seed, self.floor)

    def shares(self, local: Tensor) -> Tensor:
        """γ (..., k) of prepared columns (..., d)."""
        return self._shares(self._powers(local))

    def _powers(self, local: Tensor) -> Tensor:
        """[x, x²] (..., 2d), x minus the mean of the mixture: sums of squares far from zero would lose digits."""
        shifted = local - self._tensor(self._centre(), local)
        return torch.cat([shifted, shifted.square()], dim=-1)

    def _shares(self, powers: Tensor) -> Tensor:
        """γ of [x, x²]: the logarithm of a Gaussian is linear in it, so one matrix product computes all of them."""
        priors, means, variances = self._mixture(powers)
        slopes = torch.cat([means / variances, -0.5 / variances], dim=1)
        offsets = priors.log() - 0.5 * (means.square() / variances + variances.log()).sum(dim=1)
        return (powers @ slopes.T).add_(offsets).softmax(dim=-1)

    def _sums(self, local: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        powers = self._powers(local)
        return gather(self._shares(powers) * weights[..., None], powers)

    def _finish(self, *sums: Tensor) -> Tensor:
        counts, (first, second) = sums[0], sums[1].chunk(2, dim=-1)
        priors, means, variances = self._mixture(counts)
        scale, counted = priors.sqrt()[:, None], counts[..., None]
        weight = (counts - counts.sum(dim=1, keepdim=True) * priors) / priors.sqrt()
        mean = (first - counted * means) / (variances.sqrt() * scale)
        spread = second - 2 * means * first + counted * means.square()
        deviation = (spread / variances - counted) / (2**0.5 * scale)
        parts = {"all": (weight, mean, deviation), "mu_sigma": (mean, deviation), "mu": (mean,)}[self.gradients]
        vectors = torch.cat([part.flatten(1) for part in parts], dim=1)
        return unit(signed_root(vectors) if self.root else vectors)

    def _centre(self) -> np.ndarray:
        return np.asarray(self.priors_, np.float64) @ self.means_

    def _mixture(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Priors, means minus the mean of the mixture, variances."""
        return (
            self._tensor(self.priors_, like),
            self._tensor(self.means_ - self._centre(), like),
            self._tensor(self.variances_, like),
        )

    def _size(self, dims: int) -> int:
        return self.k * {"all": 1 + 2 * dims, "mu_sigma": 2 * dims, "mu": dims}[self.gradients]
