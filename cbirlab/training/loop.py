"""The loop: steps of Adam that can be scheduled, bounded and saved; epochs of them, which whoever iterates may stop.

Nothing is drawn here, and torch's own generator and threads are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from cbirlab.base.progress import bar
from cbirlab.training.schedule import SCHEDULE, share_of_rate

RATE = 3e-3


class Descent:
    """AdamW over groups of parameters: one step at a time, from a loss or from gradients that are there already.

    Parameters
    ----------
    groups : leaves that require gradients, which change in place, as torch's optimisers take them: mappings with
        "params", and "lr" or "weight_decay" where they differ.
    rate : of groups that do not say theirs.
    steps : how many there will be, for the schedule.
    schedule : one of `SCHEDULE`.
    decay : of weights.
    clip : longest gradient, over all groups together; None for any length.
    """

    def __init__(
        self,
        groups: Sequence[Mapping[str, Any]],
        *,
        rate: float = RATE,
        steps: int = 0,
        schedule: str = "constant",
        decay: float = 0.0,
        clip: float | None = None,
    ) -> None:
        SCHEDULE.check("Descent", "schedule", schedule)
        self.parameters = [leaf for group in groups for leaf in group["params"]]
        self.optimiser = torch.optim.AdamW([dict(one) for one in groups], lr=rate, weight_decay=decay)
        self.steps, self.schedule, self.clip, self.done = steps, schedule, clip, 0
        self._rates = [group["lr"] for group in self.optimiser.param_groups]

    def begin(self) -> None:
        """Forget the gradients of the last step."""
        self.optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move the parameters along the gradients that have come together since `begin`."""
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share_of_rate(self.schedule, self.done, self.steps)
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimiser.step()
        self.done += 1

    def state(self) -> dict[str, torch.Tensor]:
        """What the next step depends on beside the parameters: moments and counts, by "<parameter>.<name>"."""
        kept = self.optimiser.state_dict()["state"]
        return {f"{leaf}.{name}": value for leaf, values in kept.items() for name, value in values.items()}

    def resume(self, state: Mapping[str, torch.Tensor], done: int) -> None:
        """Go on after `done` steps from what `state` gave."""
        kept: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            leaf, name = key.split(".")
            kept.setdefault(int(leaf), {})[name] = value
        whole = self.optimiser.state_dict()
        self.optimiser.load_state_dict({"state": kept, "param_groups": whole["param_groups"]})
        self.done = done


def refuse_infinite(value: float, when: str) -> float:
    """Return the value of a loss.

    Raises
    ------
    FloatingPointError : it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise FloatingPointError(
            f"training: the loss must stay finite, got NaN or infinity in {when}; take a smaller rate, or weaken what "
            "the loss multiplies, as its scale."
        )
    return value


def epochs(
    parameters: Sequence[torch.Tensor],
    loss: Callable[[np.ndarray, int], torch.Tensor],
    batches: Callable[[int], Iterable[np.ndarray]],
    *,
    count: int,
    rate: float = RATE,
) -> Iterator[float]:
    """Train one epoch at each step of the iteration, which gives the mean loss of its batches.

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
    descent = Descent([{"params": list(parameters)}], rate=rate)
    for epoch in range(count):
        found = []
        for rows in batches(epoch):
            descent.begin()
            value = loss(rows, epoch)
            value.backward()
            descent.step()
            found.append(float(value.detach()))
        yield refuse_infinite(float(np.mean(found)), f"epoch {epoch}")


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
