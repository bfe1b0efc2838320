"""The loop: Adam over batches, epoch by epoch; whoever iterates may stop, or look at what has been learned so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from cbirlab.base.progress import bar

RATE = 3e-3


def epochs(
    parameters: Sequence[torch.Tensor],
    loss: Callable[[np.ndarray, int], torch.Tensor],
    batches: Callable[[int], Iterable[np.ndarray]],
    *,
    count: int,
    rate: float = RATE,
) -> Iterator[float]:
    """Train one epoch at each step of the iteration, which gives the mean loss of its batches.

    Nothing is drawn here, and torch's own generator and threads are left alone.

    Parameters
    ----------
    parameters : leaves that require gradients; they change in place.
    loss : of the rows of a batch, in an epoch.
    batches : of an epoch.
    rate : of Adam.

    Raises
    ------
    FloatingPointError : the loss is NaN or infinite.
    """
    optimiser = torch.optim.Adam(parameters, lr=rate)
    for epoch in range(count):
        found = []
        for rows in batches(epoch):
            optimiser.zero_grad()
            value = loss(rows, epoch)
            value.backward()
            optimiser.step()
            found.append(float(value.detach()))
        if not np.isfinite(found).all():
            raise FloatingPointError(
                f"training: the loss must stay finite, got NaN or infinity in epoch {epoch}; weaken what the loss "
                "multiplies, as its scale."
            )
        yield float(np.mean(found))


def train(
    parameters: Sequence[torch.Tensor],
    loss: Callable[[np.ndarray, int], torch.Tensor],
    batches: Callable[[int], Iterable[np.ndarray]],
    *,
    count: int,
    rate: float = RATE,
    desc: str = "training",
) -> np.ndarray:
    """Train all epochs behind a progress bar, whose listener can end it between two of them; mean losses (count,)."""
    steps = epochs(parameters, loss, batches, count=count, rate=rate)
    return np.array(list(bar(steps, total=count, desc=desc, unit="epoch")))
