"""Autoencoder: a code of a descriptor from which the descriptor can be told, learned without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from cbirlab.base.params import Choice, Range
from cbirlab.training.batches import shuffled
from cbirlab.whitening.base import FLOATS, LinearWhitening, refuse_fewer

if TYPE_CHECKING:
    from torch import Tensor

ACTIVATIONS = {"none": lambda values: values, "relu": lambda values: np.maximum(values, 0), "tanh": np.tanh}

USUAL = 128
"""Width by default, of descriptors that have twice as many dimensions or more."""

BATCH = 256
"""Rows of a step."""


class AutoencoderWhitening(LinearWhitening):
    """Two layers that learn to give descriptors back: the code between them, ``f(W (x - m) + b)``, is what is searched.

    What is minimised is the mean square of ``x - m - V f(W (x - m) + b) - c``, over batches that follow from the seed
    and the number of the step. It starts where V is the transpose of W, whose rows are orthonormal and random.

    With ``activation="none"`` this is PCA. V stays the transpose of W, and b and c stay 0; no projection to so many
    dimensions loses less variance than that to the leading principal axes, so W comes to span them, and the cosines of
    codes come to those of ``pca(power=0)``. No activation loses less either, since all that V can give back lies in a
    space of so many dimensions (Bourlard and Kamp): what an activation changes is the code, not what can be told from
    it.

    Parameters
    ----------
    width : dimensions of the code, fewer than the rows that it learns from; None for 128, or for half of the
        descriptor's if that is less.
    activation : f, of each dimension of the code: "none", "relu" or "tanh".
    steps, rate : of AdamW.
    seed : of the start and of batches.

    Attributes
    ----------
    mean_ : (D,), m.
    components_, bias_ : W (d, D) and b (d,).
    decoder_, offset_ : V transposed (d, D) and c (D,).
    losses_ : (steps,), share of the variance that was lost in the batch of each step.
    spectrum_ : (d,), variances of the code over the learning set, in descending order; for inspection.
    n_components_ : d.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006, for codes
    of several layers; Bourlard and Kamp, "Auto-association by multilayer perceptrons and singular value decomposition",
    Biological Cybernetics 59, 1988, for two.
    """

    bias_: np.ndarray

    def __init__(
        self,
        *,
        width: Annotated[int | None, Range(1, 65536, integer=True, optional=True)] = None,
        activation: Annotated[str, Choice(tuple(ACTIVATIONS))] = "tanh",
        steps: Annotated[int, Range(1, 10000, step=10, integer=True)] = 200,
        rate: Annotated[float, Range(1e-6, 1)] = 0.01,
        seed: Annotated[int, Range(0, 2**31 - 1, integer=True)] = 0,
    ) -> None:
        self.width, self.activation, self.steps, self.rate, self.seed = width, activation, steps, rate, seed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from `X` (N, D).

        Raises
        ------
        ValueError : a width above D or N - 1, all rows equal, NaN or infinity, a parameter that is not allowed.
        FloatingPointError : the loss became infinite.
        """
        import torch

        from cbirlab.training.loop import train

        self._check_parameters()
        X = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        if (X == X[0]).all():
            raise ValueError(f"AutoencoderWhitening: X must hold rows that differ, got {len(X)} equal rows.")
        width = self._width(*X.shape)
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        centred = X - self.mean_
        scale = np.sqrt(np.square(centred).mean())  # AdamW takes steps of one size, whatever that of the rows
        rows = torch.from_numpy((centred / scale).astype(np.float32))
        leaves = [torch.from_numpy(one.astype(np.float32)) for one in self._start(X.shape[1], width)]
        if self.activation == "none":
            leaves[2] = leaves[0]
        moving = leaves[:1] if self.activation == "none" else leaves
        for leaf in moving:
            leaf.requires_grad_()
        self.losses_ = train(
            moving,
            lambda drawn, _: lost(rows[drawn], leaves, self.activation),
            lambda step: shuffled(len(X), BATCH, seed=self.seed, epoch=step)[:1],
            count=self.steps,
            rate=self.rate,
            desc="autoencoder",
        )
        learned = [leaf.detach().numpy().astype(np.float64) for leaf in leaves]
        self.bias_, self.decoder_, self.offset_ = learned[1], scale * learned[2], scale * learned[3]
        self._keep(learned[0] / scale, None)
        self.spectrum_ = np.sort(self.transform(X).var(axis=0, dtype=np.float64))[::-1]
        return self

    def _width(self, count: int, dimensions: int) -> int:
        """Dimensions of the code for `count` rows of so many dimensions."""
        most = min(dimensions, count - 1)
        if self.width is None:
            return min(USUAL, max(1, dimensions // 2), most)
        if self.width > most:
            raise ValueError(
                f"AutoencoderWhitening: width must be at most {most}, because {count} rows of {dimensions} dimensions "
                f"are learned from, got {self.width}; take a smaller width, or more images."
            )
        return self.width

    def _start(self, dimensions: int, width: int) -> list[np.ndarray]:
        """W, b, V transposed and c before the first step."""
        axes = np.linalg.qr(np.random.default_rng(self.seed).standard_normal((dimensions, width)))[0].T
        return [axes, np.zeros(width), axes, np.zeros(dimensions)]

    def transform(self, X: Any) -> np.ndarray:
        """The codes (N, d) of `X` in float32, not normalised."""
        inner = super().transform(X)
        return ACTIVATIONS[self.activation](inner + self.bias_.astype(np.float32))

    def truncate(self, dimensions: int | None) -> Self:
        """Itself.

        Raises
        ------
        ValueError : fewer dimensions are asked for; those of a code have no order, its `width` says how many there are.
        """
        refuse_fewer("autoencoder", self.n_components_, dimensions)
        return self


def lost(rows: Tensor, leaves: Sequence[Tensor], activation: str) -> Tensor:
    """Mean square of what the decoder does not give back of rows (B, D).

    Parameters
    ----------
    leaves : W (d, D), b (d,), V transposed (d, D) and c (D,).
    """
    import torch

    encoder, bias, decoder, offset = leaves
    code = rows @ encoder.T + bias
    if activation != "none":
        code = getattr(torch, activation)(code)
    return (rows - code @ decoder - offset).square().mean()
