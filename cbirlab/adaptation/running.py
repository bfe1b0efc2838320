"""Running: carry out a training, from its last checkpoint on, and give what it learned a name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cbirlab.adaptation.known import control_of
from cbirlab.adaptation.trained import Trained
from cbirlab.adaptation.training import HEAD, Training
from cbirlab.adaptation.work import Work
from cbirlab.backbones.trained import check_alias, give_alias
from cbirlab.base.progress import bar, showing
from cbirlab.store import Store

if TYPE_CHECKING:
    from cbirlab.adaptation.steps import Loop, Step

CHECKPOINT_SECONDS = 20.0


def train(
    training: Training,
    *,
    name: str | None = None,
    replacing: bool = False,
    resume: bool = True,
    control: bool = False,
    store: Store | None = None,
    progress: bool = True,
    told: Callable[[Step], None] | None = None,
) -> Trained:
    """Train a network, or take what this training gave before.

    A training that was killed goes on from its last checkpoint, and gives the same weights bit for bit on the same
    machine. What ends it by an error, or is cancelled by a listener (`cbirlab.base.progress`), leaves the checkpoint
    and nothing else.

    Parameters
    ----------
    name : gives the weights a name: ``Recipe(backbone="toynet@name")``.
    replacing : the name may be taken from other weights.
    resume : False begins anew, whatever is there.
    control : train on the same labels dealt out anew too, with this seed and the next: what those gain is owed to no
        label.
    store : keeps descriptors, from which labels are guessed.
    progress : show bars.
    told : hears of each step.

    Raises
    ------
    ValueError : see `Training`; fewer than two labels that two rows share; evaluated images without `leak`; the name.
    FloatingPointError : the loss became infinite.
    StoreUnwritable : the weights cannot be written.
    """
    store = store or Store()
    if name is not None:
        check_alias(training.family, name, replace=replacing)
    with showing(progress), torch_threads(training.threads):
        work = Work.of(training, store)
        done = work.finished() if resume else None
        if done is None and training.moves == HEAD:
            done = work.train_head()
        elif done is None:
            loop = work.begin(resume=resume)
            _carry_out(work, loop, told)
            done = work.finish(loop)
        if name is not None:
            give_alias(training.family, name, done.weights)
        if control:
            again = [
                replace(training, labels=control_of(training.labels), seed=training.seed + extra) for extra in (0, 1)
            ]
            others = tuple(train(one, store=store, progress=progress, resume=resume) for one in again)
            done = replace(done, controls=others)
    return done


def steps(training: Training, *, store: Store | None = None) -> Iterator[Step]:
    """The steps of a training, one at a time; what it learned is gone with the iterator. `train` keeps it."""
    yield from Work.of(training, store or Store()).begin(resume=False).run()


def _carry_out(work: Work, loop: Loop, told: Callable[[Step], None] | None) -> None:
    """All steps that are left, with checkpoints on the way."""
    left, last = loop.training.steps - loop.descent.done, time.monotonic()
    with bar(total=left, desc="training", unit="step") as shown:
        for number, step in enumerate(loop.run()):
            if told is not None:
                told(step)
            if time.monotonic() - last > CHECKPOINT_SECONDS:
                work.save(loop)
                last = time.monotonic()
            if number:
                shown.update()


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use `count` threads inside the block."""
    import torch

    before = torch.get_num_threads()
    try:
        if count is not None:
            torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)
