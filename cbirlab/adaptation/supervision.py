"""Supervision: which rows a step sees, and what their descriptors are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cbirlab.adaptation.labelling import Guess
from cbirlab.adaptation.training import Training
from cbirlab.adaptation.views import KEPT_VIEWS
from cbirlab.training.batches import NO_INSTANCE, classes_of
from cbirlab.training.schedule import WARM_UP

Mined = tuple[Tensor, ...]


class Drawn(NamedTuple):
    """The rows of a step.

    Attributes
    ----------
    rows, views : (B,) pictures, and which view of each; 0 is the picture itself.
    labels : (B,) int64.
    mined : pairs or triplets within the batch, where they are given; None where labels say.
    """

    rows: np.ndarray
    views: np.ndarray
    labels: Tensor
    mined: Mined | None = None


class Supervision:
    """Draws the rows of each step, from seed and step alone, and asks their descriptors for what the labels say.

    Parameters
    ----------
    guess : labels, pairs or targets; row numbers are those of the pictures.
    training : resolved.

    Attributes
    ----------
    rows : pictures that can be drawn.
    classes : how many labels there are.
    """

    def __init__(self, guess: Guess, training: Training) -> None:
        self.training = training
        self.guess = guess
        self.per_batch, self.each = (int(training.batch.parameters[name]) for name in ("classes", "each"))  # pyright: ignore[reportOptionalMemberAccess]
        self.views = KEPT_VIEWS if training.augment == "views" else 0
        self.miner = training.miner.make()
        if guess.labels is not None:
            self.rows = np.flatnonzero(guess.labels != NO_INSTANCE)
            self.labels = np.full(len(guess.labels), NO_INSTANCE)
            self.labels[self.rows] = np.unique(guess.labels[self.rows], return_inverse=True)[1]
        else:
            pairs = [one.ravel() for one in (guess.positives, guess.negatives) if one is not None]
            self.rows = np.unique(np.concatenate(pairs)) if pairs else np.flatnonzero(guess.targets.any(axis=1))  # pyright: ignore[reportOptionalMemberAccess]
            self.labels = np.arange(int(self.rows.max()) + 1)
        self.classes = int(self.labels.max()) + 1
        self._memory: list[Tensor] = []

    def draw(self, step: int) -> Drawn:
        """The rows of a step."""
        if self.guess.labels is not None:
            known = {"classes": self.per_batch, "each": self.each, "seed": self.training.seed, "step": step}
            fill = not self.training.labels.fact("alone")
            return self._seen(classes_of(self.labels, fill=fill, **known), step)
        random = np.random.default_rng([self.training.seed, step])
        if self.guess.targets is not None:
            count = min(len(self.rows), self.per_batch * self.each)
            return self._seen(random.permutation(self.rows)[:count], step)
        return self._triplets(random, step)

    def _triplets(self, random: np.random.Generator, step: int) -> Drawn:
        """Anchors, each with one of its positives and one of its negatives."""
        positives, negatives = np.asarray(self.guess.positives), np.asarray(self.guess.negatives)
        anchors = np.intersect1d(positives[:, 0], negatives[:, 0])
        chosen = random.permutation(anchors)[: self.per_batch * self.each // 3 + 1]
        partners = [[random.choice(pairs[pairs[:, 0] == one, 1]) for one in chosen] for pairs in (positives, negatives)]
        rows = np.concatenate([chosen, *partners]).astype(np.int64)
        places = torch.arange(len(rows)).reshape(3, len(chosen))
        return self._seen(rows, step)._replace(labels=torch.arange(len(rows)), mined=tuple(places))

    def _seen(self, rows: np.ndarray, step: int) -> Drawn:
        """A view of each row: several of one row in a batch are different views."""
        views = np.zeros(len(rows), np.int64)
        if self.views:
            first = np.random.default_rng([self.training.seed, step, 2]).integers(0, self.views, len(rows))
            times: dict[int, int] = {}
            for slot, row in enumerate(rows):
                again = times.setdefault(int(row), 0)
                times[int(row)] += 1
                start = first[np.flatnonzero(rows == row)[0]]
                views[slot] = 1 + (start + again) % self.views
        return Drawn(rows, views, torch.from_numpy(self.labels[rows]))

    def loss(self, loss: nn.Module, descriptors: Tensor, drawn: Drawn) -> Tensor:
        """The loss of the descriptors (B, D) of a batch, beside those that are remembered."""
        if self.guess.targets is not None:
            return (descriptors - torch.from_numpy(self.guess.targets[drawn.rows])).square().sum(dim=1).mean()
        rows, labels = descriptors, drawn.labels.to(descriptors.device)
        if self._memory:
            beside = ~torch.isin(self._memory[1], torch.from_numpy(drawn.rows))
            rows = torch.cat([rows, self._memory[0][beside]])
            labels = torch.cat([labels, self._memory[2][beside].to(labels.device)])
        mined = drawn.mined if drawn.mined is not None else self.miner(rows, labels)
        return loss(rows, labels, mined)

    def remember(self, descriptors: Tensor, drawn: Drawn, step: int) -> None:
        """Put the descriptors of a batch into the memory, which forgets the oldest."""
        most = self.training.memory
        if not most or step < WARM_UP:
            return
        new = [descriptors.cpu(), torch.from_numpy(drawn.rows), drawn.labels]
        kept = [torch.cat([*pair]) for pair in zip(self._memory, new, strict=True)] if self._memory else new
        self._memory = [one[-most:] for one in kept]

    def state(self) -> dict[str, Tensor]:
        """What is remembered."""
        return {str(place): one for place, one in enumerate(self._memory)}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Remember what `state` gave."""
        self._memory = [state[str(place)] for place in range(len(state))]
