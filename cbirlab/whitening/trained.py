"""Trained heads by name: "trained:mine" is a linear head that `cbirlab.adaptation` has learned and kept."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from cbirlab.backbones.trained import HEADS, TRAINED, file_of, record_of
from cbirlab.base.registry import UnknownName
from cbirlab.whitening.base import FLOATS, LinearWhitening
from cbirlab.whitening.methods import WHITENINGS


class TrainedWhitening(LinearWhitening):
    """A linear head from a file. Fitting it reads that file and learns nothing.

    Parameters
    ----------
    label : of the file, "trained-" and digits of the training's hash.
    """

    def __init__(self, label: str) -> None:
        self.label = label

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the head.

        Raises
        ------
        ValueError : `X` (N, D) has another number of dimensions, or the file is gone.
        """
        from safetensors.numpy import load_file

        X = validate_data(self, X, dtype=FLOATS)
        path = file_of(HEADS, self.label)
        if path is None:
            raise ValueError(f"whitening {TRAINED + self.label!r}: its file is gone; train it again.")
        arrays = load_file(path)
        self.mean_, self.spectrum_ = (arrays[name].astype(np.float64) for name in ("mean", "spectrum"))
        if X.shape[1] != len(self.mean_):
            record = record_of(path)
            raise ValueError(
                f"whitening {TRAINED + self.label!r}: it was trained on {len(self.mean_)} dimensions "
                f"({record.get('of', 'other descriptors')}), got {X.shape[1]}."
            )
        return self._keep(arrays["components"].astype(np.float64), None)


def find(name: str) -> None:
    """Register the head of that name, "trained:trained-0123".

    Raises
    ------
    UnknownName : there is none.
    """
    label = name.removeprefix(TRAINED)
    path = file_of(HEADS, label)
    if path is None:
        raise UnknownName(f"whitening: there is no trained head {label!r}; see `cbirlab list trainings`.")
    of = record_of(path).get("of", "")
    facts: dict[str, Any] = {"learned": False, "ordered": True, "pairs": False, "trained": True}
    WHITENINGS.add(name, partial(TrainedWhitening, label), title=f"Trained head, of {of}", **facts)
