"""Steps: the loop that trains a network, which whoever iterates may stop, save and take up again.

Every batch and every view follows from seed and step, so that a loop that is taken up again goes on bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cbirlab.adaptation.labelling import Guess
from cbirlab.adaptation.learning import LearningPictures
from cbirlab.adaptation.poolings import begin, network_of
from cbirlab.adaptation.supervision import Drawn, Supervision
from cbirlab.adaptation.training import Training
from cbirlab.adaptation.views import GROUP, KEPT_VIEWS, SHRINK, Pictures, by_shape, change
from cbirlab.base.progress import bar
from cbirlab.training.holding_out import Split, leave_one_out
from cbirlab.training.loop import Descent, refuse_infinite

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

GROUP_OF_MAPS = 64
LOOKS = 10
P_RATE, PROXY_RATE, DECAY, CLIP = 10, 100, 1e-4, 1.0
STILL = 1e-9
"""Length of a gradient up to which a row counts as not moved."""

OLD_ROWS, MOST_OLD = 8, 256
"""Pictures whose descriptors a step holds where they were, and of how many they are drawn."""


class Step(NamedTuple):
    """What one step did.

    Attributes
    ----------
    step : how many are done.
    loss : of its batch; NaN at the start.
    active : share of the rows of the batch that the loss moved.
    spread : mean distance of two rows of the batch; near 0 all descriptors have become one.
    held_out : mAP among the identities held out, where it was looked at, else NaN.
    p : exponent of GeM; NaN for other poolings.
    seconds : since the loop began, preparation left out.
    """

    step: int
    loss: float
    active: float
    spread: float
    held_out: float
    p: float
    seconds: float


class Loop:
    """A network that learns, step by step.

    Parameters
    ----------
    backbone : where it starts; it is not changed.
    training : resolved.
    learning : what it learns on.
    split : rows to learn from and to choose the step by.
    guess : labels, pairs or targets of the rows that it learns from.
    old : pictures whose descriptors are held where they were.
    """

    def __init__(
        self,
        backbone: Backbone,
        training: Training,
        learning: LearningPictures,
        split: Split,
        guess: Guess,
        old: LearningPictures | None = None,
    ) -> None:
        self.training, self.learning, self.split = training, learning, split
        self.network = network_of(backbone, training)
        self.device = backbone.device
        mean, std = (torch.tensor(one, device=self.device).view(3, 1, 1) for one in (backbone.mean, backbone.std))
        self._mean, self._std = mean, std
        side = int(training.image_size or learning.image_size)
        self.supervision = Supervision(guess, training)
        self._whole = self.network.entrance is None
        self._pictures = Pictures(learning.paths, side)
        self._shrunk = Pictures(learning.paths, max(1, round(SHRINK * side))) if self._whole else self._pictures
        self._old = self._chosen_old(old) if training.keep_old else None
        self._held: list[Tensor] = []
        self._held_at = torch.empty(0)
        self._entered: dict[tuple[int, int], Tensor] = {}
        self._descent()
        self.best: tuple[int, float, dict[str, Tensor]] = (0, float("nan"), {})
        self.curve: list[Step] = []
        self.spent = self.prepared = 0.0

    def _chosen_old(self, old: LearningPictures | None) -> tuple[Pictures, list[int]]:
        """The pictures whose descriptors are held, some of many."""
        rows = self.split.learn if old is None else np.arange(len(old.paths))
        some = np.random.default_rng(self.training.seed).permutation(rows)[:MOST_OLD]
        side = int(self.training.image_size or self.learning.image_size)
        pictures = self._pictures if old is None else Pictures(old.paths, side)
        return pictures, sorted(map(int, some))

    def _descent(self) -> None:
        training, network = self.training, self.network
        self.loss: nn.Module = training.loss.make(self.supervision.classes, network.width).to(self.device)
        rate = float(training.rate or 0)
        groups = [{"params": [*network.moving.values()], "lr": rate}]
        if network.p is not None:
            groups.append({"params": [network.p], "lr": P_RATE * rate, "weight_decay": 0})
        if proxies := list(self.loss.parameters()):
            groups.append({"params": proxies, "lr": PROXY_RATE * rate})
        options = {"steps": training.steps, "schedule": training.schedule, "decay": DECAY, "clip": CLIP}
        self.descent = Descent(groups, rate=rate, **options)

    # what enters

    def prepare(self) -> None:
        """Run the pictures whose maps are kept through the part that stays, once, and describe those that are held."""
        started = time.perf_counter()
        if not self._whole:
            views = range(1, KEPT_VIEWS + 1) if self.training.augment == "views" else (0,)
            wanted = [(int(row), view) for row in self.supervision.rows for view in views]
            self._keep(dict.fromkeys([*((int(row), 0) for row in self.split.rows), *wanted]))
        begin(self.network, self._entered, self.supervision.rows)
        if self._old is not None:
            pictures, rows = self._old
            self._held = [self.network.enter(self._seen(pictures, [(row, (0, 0))]))[0] for row in rows]
            self._held_at = self.described(self._held)
        self.prepared = time.perf_counter() - started

    def _keep(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Keep the maps of rows in their views."""
        order = sorted(wanted, key=lambda one: (tuple(self._pictures[one[0]].shape), one))
        groups = [order[at : at + GROUP] for at in range(0, len(order), GROUP)]
        for group in bar(groups, desc="views", unit="batch"):
            for part in by_shape([self._pictures[row] for row, _ in group], GROUP):
                asked = [(group[place][0], (self.training.seed, *reversed(group[place]))) for place in part]
                for place, one in zip(part, self.network.enter(self._seen(self._pictures, asked)), strict=True):
                    self._entered[group[place]] = one.clone()

    def _seen(self, pictures: Pictures, asked: Sequence[tuple[int, tuple[int, ...]]]) -> Tensor:
        """Pictures of one shape, normalised (B, 3, H, W), by row and seed (training's, view, ...); view 0 is itself."""
        batch = torch.stack([pictures[row] for row, _ in asked]).to(self.device).float() / 255
        changed = [place for place, (_, seed) in enumerate(asked) if seed[1]]
        if changed:
            batch[changed] = change(batch[changed], [asked[place][1] for place in changed])
        return (batch - self._mean) / self._std

    def _batch(self, drawn: Drawn, step: int) -> list[Tensor]:
        """What enters the part that moves, for the rows of a step in their views."""
        pairs = [(int(row), int(view)) for row, view in zip(drawn.rows, drawn.views, strict=True)]
        if not self._whole:
            return [self._entered[pair] for pair in pairs]
        seeds = [(self.training.seed, view and step + 1, row, slot) for slot, (row, view) in enumerate(pairs)]
        asked = zip(pairs, seeds, strict=True)
        return [self._seen(self._shrunk, [(row, seed)])[0] for (row, _), seed in asked]

    def _clean(self, rows: np.ndarray) -> Tensor:
        """Descriptors (n, D) of pictures as they are, a block at a time."""
        found = []
        for start in range(0, len(rows), GROUP_OF_MAPS):
            block = [int(row) for row in rows[start : start + GROUP_OF_MAPS]]
            entering = [self._entered.get((row, 0)) for row in block]
            whole = [self._seen(self._pictures, [(row, (0, 0))])[0] for row in block] if self._whole else entering
            found.append(self.described([one for one in whole if one is not None]))
        return torch.cat(found)

    # steps

    def described(self, entering: Sequence[Tensor]) -> Tensor:
        """Descriptors (B, D) without their graph."""
        found: list[Tensor | None] = [None] * len(entering)
        with torch.no_grad():
            for group in by_shape(entering, GROUP if self._whole else GROUP_OF_MAPS):
                for place, row in zip(group, self.network(torch.stack([entering[one] for one in group])), strict=True):
                    found[place] = row
        return torch.stack([row for row in found if row is not None])

    def _push(self, entering: Sequence[Tensor], gradient: Tensor) -> None:
        """Send the gradient of each descriptor (B, D) back through the part that moves, a group at a time."""
        for group in by_shape(entering, GROUP if self._whole else GROUP_OF_MAPS):
            made = self.network(torch.stack([entering[one] for one in group]))
            made.backward(gradient[group])

    def step(self) -> Step:
        """One step: describe the batch, ask the loss for its gradient by descriptor, send that back group by group.

        Three passes rather than one with a graph of the whole batch: the memory is that of one group, whatever the
        loss, and the gradient is the same, because batch normalisation is frozen and views follow from their seeds.
        """
        started, number = time.perf_counter(), self.descent.done
        drawn = self.supervision.draw(number)
        entering = self._batch(drawn, number)
        held = self._drawn_old(number)
        entering += [self._held[row] for row in held]
        own = len(drawn.rows)
        self.descent.begin()
        rows = self.described(entering).requires_grad_()
        value = self.supervision.loss(self.loss, rows[:own], drawn)
        if len(held):
            value = value + self.training.keep_old * (rows[own:] - self._held_at[held]).square().sum(dim=1).mean()
        value.backward()
        gradient = rows.grad if rows.grad is not None else torch.zeros_like(rows)
        self._push(entering, gradient)
        self.descent.step()
        rows = rows.detach()[:own]
        self.supervision.remember(rows, drawn, number)
        self.spent += time.perf_counter() - started
        loss = refuse_infinite(float(value.detach()), f"step {number}")
        active = float((gradient[:own].norm(dim=1) > STILL).float().mean())
        return self._note(loss, active, float(torch.pdist(rows.cpu()).mean()))

    def _drawn_old(self, step: int) -> np.ndarray:
        """Which of the held descriptors a step looks at."""
        if self._old is None:
            return np.empty(0, np.int64)
        return np.random.default_rng([self.training.seed, step, 1]).integers(0, len(self._held), OLD_ROWS)

    def _note(self, loss: float, active: float, spread: float) -> Step:
        """Look at what is held out where it is time to, keep the best, and add to the curve."""
        started, done = time.perf_counter(), self.descent.done
        every = max(1, self.training.steps // LOOKS)
        looks = done % every == 0 or done == self.training.steps
        found = self.look() if looks and len(self.split.ask) else float("nan")
        if looks and (not self._chooses or done == 0 or found > self.best[1]):
            kept = {name: one.detach().clone() for name, one in self.network.learned().items()}
            self.best = (done, found, kept)
        self.spent += time.perf_counter() - started
        p = float("nan") if self.network.p is None else float(self.network.p.detach())
        self.curve.append(Step(done, loss, active, spread, found, p, self.spent))
        return self.curve[-1]

    @property
    def _chooses(self) -> bool:
        return self.training.keep == "best" and len(self.split.ask) > 0

    def look(self) -> float:
        """The mAP of what is held out, in clean pictures."""
        rows = self.split.rows
        return leave_one_out(self._clean(rows).cpu().numpy(), self.learning.given[rows])

    def _begin_proxies(self) -> None:
        """Start class weights at the class means: random ones take hundreds of steps to find their place."""
        if not list(self.loss.parameters()):
            return
        rows = self.supervision.rows
        views = np.full(len(rows), int(self.training.augment == "views"))
        entering = self._batch(Drawn(rows, views, torch.from_numpy(self.supervision.labels[rows])), 0)
        with torch.no_grad():
            self.loss.start_at(self.described(entering), torch.from_numpy(self.supervision.labels[rows]))  # pyright: ignore[reportCallIssue]

    def run(self) -> Iterator[Step]:
        """All steps that are left; the start is the first that it gives."""
        if not self.curve:
            self._begin_proxies()
            yield self._note(float("nan"), float("nan"), float("nan"))
        while self.descent.done < self.training.steps:
            yield self.step()

    # being saved

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, and the best so far, as tensors by name."""
        found = {f"network.{name}": one.detach() for name, one in self.network.learned().items()}
        found |= {f"loss.{name}": one.detach() for name, one in self.loss.named_parameters()}
        found |= {f"descent.{name}": one for name, one in self.descent.state().items()}
        found |= {f"best.{name}": one for name, one in self.best[2].items()}
        found |= {f"memory.{name}": one for name, one in self.supervision.state().items()}
        return {name: one.detach().cpu().clone().contiguous() for name, one in found.items()}

    def resume(self, state: Mapping[str, Tensor], curve: Sequence[Sequence[float]], best: tuple[int, float]) -> None:
        """Go on from what `state`, `curve` and `best` were when they were saved."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}

        with torch.no_grad():
            for name, one in self.network.learned().items():
                one.copy_(state[f"network.{name}"])
            for name, one in self.loss.named_parameters():
                one.copy_(state[f"loss.{name}"])
        self.curve = [Step(int(one[0]), *map(float, one[1:])) for one in curve]
        self.descent.resume(part("descent."), self.curve[-1].step)
        self.best = (int(best[0]), float(best[1]), part("best."))
        self.supervision.resume(part("memory."))
        self.spent = self.curve[-1].seconds

    def finish(self) -> None:
        """Go back to the step that is kept."""
        with torch.no_grad():
            for name, one in self.network.learned().items():
                one.copy_(self.best[2][name])
