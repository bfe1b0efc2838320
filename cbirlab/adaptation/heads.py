"""Heads that learn from labels which no dataset gives: trained over kept descriptors, and named like networks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.adaptation import files
from cbirlab.adaptation.labelling import Guess
from cbirlab.backbones.trained import HEADS, label_of
from cbirlab.training.holding_out import Split
from cbirlab.whitening.head import HeadWhitening

if TYPE_CHECKING:
    from cbirlab.adaptation.training import Training


def fit_head(
    training: Training, rows: np.ndarray, given: np.ndarray, split: Split, found: Guess
) -> tuple[HeadWhitening, float]:
    """A head over descriptors (n, D), and the seconds that it took.

    Parameters
    ----------
    given : (n,) true instances, which choose the step; `found` what it learns from.
    """
    options = {"loss": training.loss.key, "start": training.start, "steps": training.steps, "rate": training.rate}
    batch = training.batch.parameters if training.batch else {}
    head = HeadWhitening(**options, **batch, seed=training.seed)
    started = time.perf_counter()
    head.fit_taught(rows, given, np.asarray(found.labels), split, fill=True)
    return head, time.perf_counter() - started


def write_head(head: HeadWhitening, key: str, record: dict[str, Any]) -> None:
    """Keep a head as "trained:<label>"."""
    import torch

    arrays = {"mean": head.mean_, "components": head.components_, "spectrum": head.spectrum_}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
    files.write(files.weights_path(HEADS, label_of(key)), tensors, record)
