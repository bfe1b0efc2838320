"""LiveTraining: a training that a panel follows; it can wait, end early, and be kept under a name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbirlab.adaptation.running import torch_threads
from cbirlab.adaptation.work import Work
from cbirlab.backbones.trained import check_alias, give_alias
from cbirlab.store import digest
from cbirlab.training.batches import NO_INSTANCE
from cbirlab.widgets.parts.watched import Watched

if TYPE_CHECKING:
    from cbirlab.adaptation.learning import LearningPictures
    from cbirlab.adaptation.steps import Loop, Step
    from cbirlab.adaptation.trained import Trained
    from cbirlab.adaptation.training import Training
    from cbirlab.datasets import Dataset
    from cbirlab.store import Store
    from cbirlab.widgets.parts.tasks import Stop

PREPARING, RUNNING, ENDED = "preparing", "running", "ended"
SHARE = 0.6
"""Most time that looking at the dataset may take, over that of the steps; the start and the end are always seen."""

MOMENT = 0.1
MOST_ROWS = 3000
"""Pictures among whose pairs the most similar are looked for."""


class Look(NamedTuple):
    """The dataset at one step.

    Attributes
    ----------
    step : how many were done.
    rows : descriptors (N + Q, D) of its database and queries.
    benchmark : the main metric of its protocol; NaN if it was not asked for.
    """

    step: int
    rows: np.ndarray
    benchmark: float


class Pair(NamedTuple):
    """Two pictures that the labels call the same, by their row among those that are learned on.

    `true` is "positive" or "wrong", or "" where the truth is not known; `cosine` that before training.
    """

    one: int
    other: int
    cosine: float
    true: str


class LiveTraining:
    """One training, from its start to its end; a thread calls `carry_out`, and others read what it has found so far.

    Parameters
    ----------
    training : of a network, not of a head.
    dataset : looked at while the network learns; it never decides anything.
    learning : what is learned on, if it is no dataset that the training can name.
    judges : whether the benchmark is to be judged at the next look.

    Attributes
    ----------
    phase : "preparing", "running" or "ended".
    steps : what each step did.
    looks : at the dataset; the first one is the start.
    best : the look at the best step so far, or at the last one if nothing chooses.
    pairs : that the labels call the same, the most similar first; no picture twice.
    """

    def __init__(
        self,
        training: Training,
        dataset: Dataset,
        store: Store,
        *,
        learning: LearningPictures | None = None,
        judges: Callable[[], bool] = lambda: False,
    ) -> None:
        self.training, self.dataset, self.store = training, dataset, store
        self.phase, self.best = PREPARING, None
        self.steps: list[Step] = []
        self.looks: list[Look] = []
        self.pairs: list[Pair] = []
        self.work: Work | None = None
        self.loop: Loop | None = None
        self.watched: Watched | None = None
        self.trained: Trained | None = None
        self._learning, self._judges = learning, judges
        self._going, self._ending = threading.Event(), threading.Event()
        self._going.set()
        self._looked = 0.0

    best: Look | None

    # what the buttons do

    @property
    def paused(self) -> bool:
        """Whether it waits to go on."""
        return not self._going.is_set()

    def pause(self) -> None:
        """Wait before the next step."""
        self._going.clear()

    def go_on(self) -> None:
        """Wait no longer."""
        self._going.set()

    def end(self) -> None:
        """End after the present step, with the best one so far; before the first step there is none."""
        self._ending.set()
        self.go_on()

    @property
    def ending(self) -> bool:
        """Whether it was told to end."""
        return self._ending.is_set()

    @property
    def early(self) -> bool:
        """Whether it has ended before its last step."""
        return self.phase == ENDED and self.done < self.training.steps

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self.steps[-1].step if self.steps else 0

    # the work

    def carry_out(self, told: Callable[[], None], stop: Stop) -> None:
        """Prepare, take all steps, and go back to the one that is kept.

        Parameters
        ----------
        told : called after each step, and after the preparation.
        stop : ends it, wherever it is; nothing is left then.
        """
        with torch_threads(self.training.threads):
            self._prepare(told)
            loop = self._loop
            if self.ending:
                return
            self.phase = RUNNING
            for step in loop.run():
                self.steps.append(step)
                self._look(loop, step)
                told()
                self.wait(stop)
                if self.ending:
                    break
            loop.finish()
            kept = loop.best[0]
            if self.best is None or self.best.step != kept:
                self.best = self._seen(kept)
            self._watched.forget()
            self.phase = ENDED
        told()

    def wait(self, stop: Stop) -> None:
        """Wait while it is paused; raise `Cancelled` once nobody wants it any more."""
        while self.paused:
            stop.check(MOMENT)
        stop.check()

    def _prepare(self, told: Callable[[], None]) -> None:
        self.work = Work.of(self.training, self.store, self._learning)
        self.training = replace(self.work.training, threads=self.training.threads)
        self.loop = self.work.begin(resume=False)
        self.pairs = self._mined()
        told()
        self.watched = Watched(self.dataset, self.loop, self.work.backbone, int(self.training.image_size or 0))
        self.watched.prepare()

    @property
    def _loop(self) -> Loop:
        assert self.loop is not None
        return self.loop

    @property
    def _watched(self) -> Watched:
        assert self.watched is not None
        return self.watched

    def _look(self, loop: Loop, step: Step) -> None:
        """Look at the dataset where the held-out identities were looked at, unless that takes too long."""
        every = max(1, self.training.steps // 10)
        if step.step and (step.step % every or self._looked > SHARE * loop.spent):
            return
        look = self._seen(step.step)
        self.looks.append(look)
        if self.best is None or loop.best[0] == step.step:
            self.best = look

    def _seen(self, step: int) -> Look:
        started = perf_counter()
        rows = self._watched.look()
        self._looked += perf_counter() - started
        return Look(step, rows, self._watched.benchmark(rows) if self._judges() else float("nan"))

    def _mined(self) -> list[Pair]:
        """The pairs of the labels, by their cosines before training."""
        work, guess = self.work, self._loop.supervision.guess
        assert work is not None
        if guess.labels is None and guess.positives is None:
            return []
        rows, given = work.described(), work.learning.given
        if guess.labels is not None:
            shown = np.flatnonzero(guess.labels != NO_INSTANCE)[:MOST_ROWS]
            above = np.triu(guess.labels[shown][:, None] == guess.labels[shown], 1)
            pairs = shown[np.argwhere(above)]
        else:
            pairs = np.asarray(guess.positives)
        cosines = (rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(axis=1)
        found: list[Pair] = []
        used: set[int] = set()
        for place in np.argsort(-cosines, kind="stable"):
            one, other = (int(row) for row in pairs[place])
            if one == other or used & {one, other}:
                continue
            used |= {one, other}
            known = NO_INSTANCE not in (given[one], given[other])
            true = ("positive" if given[one] == given[other] else "wrong") if known else ""
            found.append(Pair(one, other, float(cosines[place]), true))
        return found

    def keep(self, name: str, *, replacing: bool = False) -> Trained:
        """Write what was learned, and give it a name.

        Weights of a training that was ended early have a label of their own: the training alone does not make them.

        Raises
        ------
        ValueError : it has not ended; the name is not allowed, or stands for other weights.
        StoreUnwritable : it cannot be written.
        """
        if self.phase != ENDED or self.work is None:
            raise ValueError("TrainingPanel: nothing has been learned yet that could be kept; train first, or stop.")
        family = self.training.family
        check_alias(family, name, replace=replacing)
        if self.trained is None:
            work = self.work
            if self.early:
                work = replace(work, key=digest({"key": work.key, "ended": self.done}))
            self.trained = work.finish(self._loop)
        give_alias(family, name, self.trained.weights)
        return self.trained


def facts(live: LiveTraining) -> dict[str, Any]:
    """Label precision, seconds per step and p so far; NaN where there is none."""
    guess = live.loop.supervision.guess if live.loop else None
    steps = live.steps[1:]
    spent = steps[-1].seconds - live.steps[0].seconds if steps else float("nan")
    return {
        "precision": guess.precision if guess else float("nan"),
        "step_seconds": spent / len(steps) if steps else float("nan"),
        "p": live.steps[-1].p if live.steps else float("nan"),
    }
