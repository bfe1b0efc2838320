"""Hashing heads: projections to bits that gradient descent learns on frozen descriptors, from ITQ's on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cbirlab.base.params import Range
from cbirlab.compression.binary import BITS, DISTANCE, SEED, BinaryCode, principal_projection, random_rotation, rotate
from cbirlab.training import batches, hash_losses
from cbirlab.training.loop import train

EPOCHS = Range(1, 10000, step=10, integer=True)
WEIGHT = Range(0, 100, step=0.01)
BATCH = 128
WHOLE = 2048  # up to so many rows, all are one batch where neighbours are learned from
ITERATIONS = 50  # of ITQ
EPSILON = 1e-5  # added to variances before they divide


class Task(NamedTuple):
    """What a head minimises: the loss of outputs (B, K) of some rows in an epoch, the batches of an epoch, and what it
    learns beside the projection."""

    loss: Callable[[Tensor, np.ndarray, int], Tensor]
    batches: Callable[[int], Sequence[np.ndarray]]
    beside: Sequence[Tensor] = ()


class Head(BinaryCode):
    """Base of the heads: K linear outputs of centred rows, whose projection is learned by Adam.

    It starts from ITQ's projection, scaled so that the mean square of all outputs is 1. There is no bias: outputs have
    mean 0 on the learning set, whatever the projection.

    Parameters
    ----------
    epochs : how often all rows of the learning set are seen.
    quantisation : weight of the pull towards -1 and 1, without which signs lose more.
    factor : of the inner product of two codes, before it becomes the probability of a match.
    scale : of cosines before the cross-entropy: the larger, the more the nearest target counts.
    margin : by which a match must be nearer than others, or the cosine of the own target must lead.
    balance : weight of bits that are 0 as often as 1.
    neighbours : nearest rows that count as matching.

    Attributes
    ----------
    losses_ : (epochs,), mean loss of each epoch.
    """

    bits: int
    seed: int
    epochs: int

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        owner = type(self).__name__
        mean, axes = principal_projection(owner, X, self.bits)
        centred = X - mean
        start = axes @ rotate(centred @ axes, random_rotation(self.bits, self.seed), ITERATIONS)[0]
        start /= np.sqrt(np.square(centred @ start).mean())
        task = self._task(centred, start, y)
        rows, projection = torch.from_numpy(centred).float(), torch.from_numpy(start).float().requires_grad_()
        found = train(
            [projection, *task.beside],
            lambda chosen, epoch: task.loss(rows[chosen] @ projection, chosen, epoch),
            task.batches,
            count=self.epochs,
            desc=owner,
        )
        self.mean_, self.losses_ = mean, found
        self.projection_ = self._folded(centred, projection.detach().numpy().astype(np.float64))

    def _folded(self, X: np.ndarray, projection: np.ndarray) -> np.ndarray:
        """The projection with what follows it before the sign."""
        return projection

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        """What is minimised, for centred rows (n, D), the projection (D, K) at the start, and labels."""
        raise NotImplementedError

    def _instances(self, X: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        """Numbers of the instances, as `batches.numbered` gives them.

        Raises
        ------
        ValueError : fewer than two instances with two rows.
        """
        owner = type(self).__name__
        if y is None or len(y) != len(X):
            raise ValueError(
                f"{owner}: y must hold a label for each of the {len(X)} rows, got {y if y is None else len(y)}."
            )
        numbers = batches.numbered(y)
        several = int((np.bincount(numbers[numbers >= 0]) > 1).sum())
        if several < 2:
            raise ValueError(
                f"{owner}: y must show at least two instances in two rows each, got {several}; choose a learning set "
                "with instances, or a code that needs none, as 'itq'."
            )
        return numbers

    def _pairs(self, X: np.ndarray, y: np.ndarray | None, loss: Callable[[Tensor, Tensor, int], Tensor]) -> Task:
        """A loss of outputs, of which rows show the same instance, and of the epoch."""
        numbers = self._instances(X, y)

        def of_rows(u: Tensor, rows: np.ndarray, epoch: int) -> Tensor:
            return loss(u, torch.from_numpy(batches.together(numbers[rows])), epoch)

        return Task(of_rows, lambda epoch: batches.with_partners(numbers, BATCH, seed=self.seed, epoch=epoch))


class DSH(Head):
    """DSH: matching rows come near, others move 2 K apart, outputs tend to -1 and 1.

    References
    ----------
    `cbirlab.training.hash_losses.dsh`.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        quantisation: Annotated[float, WEIGHT] = 0.01,
        epochs: Annotated[int, EPOCHS] = 150,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.quantisation, self.epochs, self.seed = bits, distance, quantisation, epochs, seed

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        return self._pairs(X, y, lambda u, same, _: hash_losses.dsh(u, same, quantisation=self.quantisation))


class HashNet(Head):
    """HashNet: the inner product of two soft codes tells whether rows match; soft codes turn into signs step by step.

    References
    ----------
    `cbirlab.training.hash_losses.hashnet`.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        factor: Annotated[float, Range(0.001, 10, step=0.01)] = 0.1,
        epochs: Annotated[int, EPOCHS] = 150,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.factor, self.epochs, self.seed = bits, distance, factor, epochs, seed

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        def loss(u: Tensor, same: Tensor, epoch: int) -> Tensor:
            return hash_losses.hashnet(u, same, steepness=(epoch // 20 + 1) ** 0.5, factor=self.factor)

        return self._pairs(X, y, loss)


class TripletHash(Head):
    """A row is nearer to its matches than to all other rows of a batch, by a margin.

    References
    ----------
    `cbirlab.training.hash_losses.triplet`.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        margin: Annotated[float, Range(0.01, 4, step=0.1)] = 1.0,
        epochs: Annotated[int, EPOCHS] = 150,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.margin, self.epochs, self.seed = bits, distance, margin, epochs, seed

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        return self._pairs(X, y, lambda u, same, _: hash_losses.triplet(u, same, margin=self.margin))


class OrthoHash(Head):
    """OrthoHash: rows of an instance point to its target, a random corner of the cube; targets are nearly orthogonal.

    Outputs are brought to mean 0 and variance 1 in each batch before they are compared (batch normalisation), and in
    the end over the learning set. Rows without an instance take part in that alone.

    References
    ----------
    `cbirlab.training.hash_losses.orthohash`.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        scale: Annotated[float, Range(0.1, 100, step=1)] = 8.0,
        margin: Annotated[float, Range(0, 1, step=0.05)] = 0.2,
        epochs: Annotated[int, EPOCHS] = 150,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.scale, self.margin = bits, distance, scale, margin
        self.epochs, self.seed = epochs, seed

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        numbers = self._instances(X, y)
        corners = np.random.default_rng(self.seed).integers(0, 2, (numbers.max() + 1, self.bits)) * 2 - 1
        targets, classes = torch.from_numpy(corners).float(), torch.from_numpy(numbers)

        def loss(u: Tensor, rows: np.ndarray, _: int) -> Tensor:
            return hash_losses.orthohash(normalised(u), classes[rows], targets, scale=self.scale, margin=self.margin)

        return Task(loss, lambda epoch: batches.with_partners(numbers, BATCH, seed=self.seed, epoch=epoch))

    def _folded(self, X: np.ndarray, projection: np.ndarray) -> np.ndarray:
        return projection / np.sqrt(np.square(X @ projection).mean(axis=0) + EPSILON)


def normalised(u: Tensor) -> Tensor:
    """Outputs (B, K) with mean 0 and variance 1 in each column: batch normalisation without parameters."""
    return torch.nn.functional.batch_norm(u, None, None, training=True, eps=EPSILON)


class BAE(Head):
    """Binary autoencoder: a linear decoder gives rows back from their bits. It learns without labels.

    ITQ, where it starts, is nearly the best that it can find.

    References
    ----------
    `cbirlab.training.hash_losses.bae`.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        balance: Annotated[float, WEIGHT] = 0.1,
        epochs: Annotated[int, EPOCHS] = 150,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.balance, self.epochs, self.seed = bits, distance, balance, epochs, seed

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        X = X / np.sqrt(np.square(X).mean())  # Adam takes steps of one size, whatever that of the rows
        best = np.linalg.lstsq(np.where(X @ start >= 0, 1.0, -1.0), X, rcond=None)[0]
        decoder, rows = torch.from_numpy(best).float().requires_grad_(), torch.from_numpy(X).float()

        def loss(u: Tensor, chosen: np.ndarray, _: int) -> Tensor:
            return hash_losses.bae(rows[chosen], u, decoder, balance=self.balance)

        return Task(loss, lambda epoch: batches.shuffled(len(X), BATCH, seed=self.seed, epoch=epoch), [decoder])


class KNNHash(Head):
    """Self-taught: rows whose descriptors are nearest count as matching, and codes learn which those are. No labels.

    References
    ----------
    Zhang et al., "Self-taught hashing for fast similarity search", SIGIR 2010, for the graph;
    `cbirlab.training.hash_losses.hashnet` for the loss.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        neighbours: Annotated[int, Range(1, 1000, integer=True)] = 5,
        epochs: Annotated[int, EPOCHS] = 150,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.neighbours, self.epochs, self.seed = bits, distance, neighbours, epochs, seed

    def _task(self, X: np.ndarray, start: np.ndarray, y: np.ndarray | None) -> Task:
        if self.neighbours >= len(X) - 1:
            raise ValueError(
                f"KNNHash: neighbours must be fewer than the other rows of the learning set, {len(X) - 1}, got "
                f"{self.neighbours}."
            )
        near = batches.nearest(X, self.neighbours)

        def loss(u: Tensor, rows: np.ndarray, _: int) -> Tensor:
            return hash_losses.hashnet(u, torch.from_numpy(batches.neighbouring(rows, near)))

        return Task(loss, lambda epoch: batches.with_neighbours(near, WHOLE, seed=self.seed, epoch=epoch))
