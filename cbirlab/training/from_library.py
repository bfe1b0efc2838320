"""Losses of pytorch-metric-learning behind the call that all losses share, with the pairs that each needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor, nn

from cbirlab.training.class_losses import to_means
from cbirlab.training.matches import Choose, Mined, as_indices, refuse


def of_library() -> Any:
    """The library's module of losses, imported at first use."""
    return import_module("pytorch_metric_learning.losses")


class FromLibrary(nn.Module):
    """A loss of the library, given pairs as it needs them.

    Parameters
    ----------
    inner : the library's loss.
    reads : "pairs", all or those mined, each once; "triplets", likewise, but mined ones as they come; or "rows", of
        which none are chosen.
    own : chooses pairs where none are mined.
    """

    def __init__(self, inner: Any, reads: str, own: Choose | None = None) -> None:
        super().__init__()
        self.inner, self.reads, self.own = inner, reads, own

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        if self.reads == "rows":
            refuse(self.inner, mined)
        if mined is None and self.own is not None:
            mined = self.own(rows, labels)
        if self.reads == "pairs":
            mined = _never_one(as_indices(labels, mined))
        return self.inner(rows, labels, mined)


class ClassesFromLibrary(FromLibrary):
    """A loss of the library that has class weights."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner, "rows")

    def start_at(self, rows: Tensor, labels: Tensor) -> None:
        """Set the weights to the unit means of the classes of rows (N, D) with labels (N,) in 0 .. C - 1."""
        columns = getattr(self.inner, "W", None)
        to_means(self.inner.proxies if columns is None else columns.T, rows, labels)


class Joint(nn.Module):
    """A triplet loss and `weight` times a loss with class weights."""

    def __init__(self, triplets: FromLibrary, classes: ClassesFromLibrary, weight: float) -> None:
        super().__init__()
        self.triplets, self.classes, self.weight = triplets, classes, weight

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,); only triplets are mined."""
        return self.triplets(rows, labels, mined) + self.weight * self.classes(rows, labels)

    def start_at(self, rows: Tensor, labels: Tensor) -> None:
        """Set the class weights to the unit means of the classes of rows (N, D)."""
        self.classes.start_at(rows, labels)


def _never_one(pairs: Mined) -> Mined:
    """A single matching pair is given twice, which changes no mean: the library would take one for none."""
    anchor, match, other_anchor, other = pairs
    times = 2 if len(anchor) == 1 else 1
    return anchor.repeat(times), match.repeat(times), other_anchor, other
