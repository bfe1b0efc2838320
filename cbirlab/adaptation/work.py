"""Work: a training with everything it needs, the network, the pictures, their labels, and where its results lie."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.adaptation import files
from cbirlab.adaptation.clicked import groups_of
from cbirlab.adaptation.judgements import Judged, judged_among, read_judgements
from cbirlab.adaptation.known import labels_of
from cbirlab.adaptation.labelling import Guess, guess, without_single
from cbirlab.adaptation.learning import LearningPictures, learning_pictures
from cbirlab.adaptation.trained import Trained
from cbirlab.adaptation.training import AUTO, HEAD, Training
from cbirlab.backbones import load_backbone
from cbirlab.backbones.trained import label_of, record_of
from cbirlab.datasets import Dataset
from cbirlab.extract import extract
from cbirlab.store import Store
from cbirlab.training.batches import NO_INSTANCE
from cbirlab.training.holding_out import Split, hold_out

if TYPE_CHECKING:
    from cbirlab.adaptation.steps import Loop, Step
    from cbirlab.backbones import Backbone

DIGITS = 16
"""Of the hash of a picture, as records keep it."""


@dataclass(frozen=True, eq=False)
class Work:
    """A training with everything it needs: the network, the pictures, and where its results lie.

    Attributes
    ----------
    training : resolved, with its precision.
    key : hash of it.
    judged : what its judgements say about its pictures; None without.
    """

    training: Training
    key: str
    backbone: Backbone
    learning: LearningPictures
    store: Store
    judged: Judged | None = None

    @classmethod
    def of(cls, training: Training, store: Store, learning: LearningPictures | None = None) -> Work:
        """Resolve a training; its precision is measured unless one was found before."""
        learning = (learning or learning_pictures(training.on, leak=training.leak)).readable(store)
        backbone = load_backbone(training.backbone, training.weights, training.device)
        resolved = training.resolved(backbone, learning.image_size)
        judged = _read(resolved, learning)
        made_of = learning.digest(store), judged and judged.digest
        if resolved.precision == AUTO and resolved.moves != HEAD:
            resolved = cls._of_precision(resolved, backbone, learning, made_of, store)
        return cls(resolved, resolved.key(backbone, *made_of), backbone, learning, store, judged)

    @classmethod
    def _of_precision(
        cls,
        training: Training,
        backbone: Backbone,
        learning: LearningPictures,
        made_of: tuple[str, str | None],
        store: Store,
    ) -> Training:
        """The training in the precision in which it was begun before, or else in the faster one."""
        from cbirlab.adaptation.timing import faster_precision

        for precision in ("float32", "bfloat16"):
            begun = replace(training, precision=precision)
            known = cls(begun, begun.key(backbone, *made_of), backbone, learning, store)
            if any(path.is_file() for path in known.paths):
                return begun
        return replace(training, precision=faster_precision(backbone, training))

    @property
    def paths(self) -> tuple[Path, Path]:
        """Of the weights, and of the checkpoint."""
        label = label_of(self.key)
        return files.weights_path(self.training.family, label), files.checkpoint_path(self.training.family, label)

    def finished(self) -> Trained | None:
        """What the training gave before; None if it was never finished."""
        record = record_of(self.paths[0]) if self.paths[0].is_file() else {}
        return Trained(self.training, self.key, record) if record else None

    def begin(self, *, resume: bool = True) -> Loop:
        """The loop, prepared, where it stopped last or at the start."""
        from cbirlab.adaptation.steps import Loop

        files.make_room(self.paths[0])
        training, split = self.training, self.split
        old = learning_pictures(training.keep_old_on, leak=True) if training.keep_old_on else None
        loop = Loop(self.backbone, training, replace(self.learning, given=self.known), split, self.guess(split), old)
        loop.prepare()
        saved = files.read_checkpoint(self.paths[1]) if resume else None
        if saved is not None:
            loop.resume(saved[0], saved[1]["curve"], saved[1]["best"])
        return loop

    @cached_property
    def known(self) -> np.ndarray:
        """The instance (n,) of each picture as far as it may be looked at, be it only to choose the step.

        Of labels "clicked" these are the groups, and of "given(pictures=40)" the labels of 40 pictures.
        """
        if self.judged is not None:
            return without_single(groups_of(self.judged, len(self.learning.paths)))
        return labels_of(self.learning.given, self.training.labels.parameters.get("pictures"), seed=self.training.seed)

    @property
    def split(self) -> Split:
        """Rows to learn from, and rows that choose the step."""
        found = hold_out(self.known, self.training.hold_out, seed=self.training.seed)
        if self.judged is None or not len(found.ask):
            return found
        return found._replace(beside=np.intersect1d(found.beside, self.judged.pairs))  # others may be right answers

    def guess(self, split: Split) -> Guess:
        """Labels of the rows that are learned from, with row numbers among all pictures."""
        labels, learn, count = self.training.labels, split.learn, len(self.learning.paths)
        given = self.known if labels.fact("true") else self.learning.given
        needs = labels.name not in ("given", "shuffled", "views")
        rows = self.described()[learn] if needs else np.zeros((len(learn), 1), np.float32)
        pictures = None
        if labels.fact("pictures"):
            from cbirlab.adaptation.verifying import inlier_counter

            pictures = inlier_counter([self.learning.paths[row] for row in learn], self.training, self.store)
        judged = None if self.judged is None else self.judged.among(learn)
        found = guess(labels, rows, given[learn], seed=self.training.seed, pictures=pictures, judged=judged)
        return _among_all(found, learn, count)

    def described(self) -> np.ndarray:
        """Descriptors (n, D) of the pictures before training, L2-normalised; from the store if it has them."""
        from cbirlab.whitening import normalise

        training = self.training
        tap, spec = str(training.tap), training.aggregation
        dataset = Dataset(self.learning.name, self.learning.paths)
        options = {"image_size": training.image_size, "parts": ["images"], "store": self.store}
        found = extract(dataset, self.backbone, taps=[tap], aggregations=[spec], **options)
        return normalise(found[tap, spec.key]["images"])

    def save(self, loop: Loop) -> None:
        """Write a checkpoint."""
        record = {"curve": [list(one) for one in loop.curve], "best": list(loop.best[:2])}
        files.write(self.paths[1], loop.state(), record)

    def finish(self, loop: Loop) -> Trained:
        """Write the weights of the step that is kept, and remove the checkpoint."""
        loop.finish()
        network = loop.network
        record = self._record(loop.curve, loop.best[0], loop.supervision.guess, loop.prepared, loop.spent)
        record |= {
            "mean": list(self.backbone.mean),
            "std": list(self.backbone.std),
            "p": None if network.p is None else float(network.p.detach()),
        }
        files.write(self.paths[0], network.weights(), record)
        self.paths[1].unlink(missing_ok=True)
        return Trained(self.training, self.key, record)

    def train_head(self) -> Trained:
        """Train a head over the descriptors of the pictures, and keep it."""
        from cbirlab.adaptation.heads import fit_head, write_head
        from cbirlab.adaptation.steps import Step

        started = time.perf_counter()
        split = self.split
        rows, found = self.described(), self.guess(split)
        prepared = time.perf_counter() - started
        head, spent = fit_head(self.training, rows, self.known, split, found)
        nothing = float("nan")
        curve = [Step(int(step), loss, nothing, nothing, value, nothing, nothing) for step, loss, value in head.curve_]
        record = self._record(curve, head.kept_, found, prepared, spent)
        record["of"] = f"{self.backbone.name} {self.training.tap} {self.training.aggregation}"
        write_head(head, self.key, record)
        return Trained(self.training, self.key, record)

    def _record(self, curve: Sequence[Step], kept: int, found: Guess, prepared: float, spent: float) -> dict[str, Any]:
        """What is written down of every training."""
        done, whole = curve[-1].step, self.training.steps
        best = next((one.held_out for one in curve if one.step == kept), float("nan"))
        return {
            "training": self.training.to_json(),
            "key": self.key,
            "on": self.learning.name,
            "start": self.backbone.weights,
            "curve": [list(one) for one in curve],
            "kept": kept,
            "ended": f"ended by hand at step {done} of {whole}" if done < whole else "",
            "held_out": [curve[0].held_out, best],
            "label_precision": found.precision,
            "known": int((self.known != NO_INSTANCE).sum()),
            "judgements": None if self.judged is None else self.judged.counts,
            "seconds": {"prepare": prepared, "train": spent},
            "pictures": [one[:DIGITS] for one in self.learning.hashes(self.store)],
        }


def _read(training: Training, learning: LearningPictures) -> Judged | None:
    """The judgements of a training, by the rows of its pictures."""
    if training.judgements is None:
        return None
    return judged_among(read_judgements(training.judgements), learning.paths, said_in=str(training.judgements))


def _among_all(found: Guess, learn: np.ndarray, count: int) -> Guess:
    """A guess of the rows `learn`, with row numbers among all `count` pictures."""
    labels = targets = None
    if found.labels is not None:
        labels = np.full(count, NO_INSTANCE)
        labels[learn] = found.labels
    if found.targets is not None:
        targets = np.zeros((count, found.targets.shape[1]), np.float32)
        targets[learn] = found.targets
    pairs = [None if one is None else learn[one] for one in (found.positives, found.negatives)]
    return replace(found, labels=labels, targets=targets, positives=pairs[0], negatives=pairs[1])
