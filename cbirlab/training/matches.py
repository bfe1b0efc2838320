"""Which rows of a batch match, as matrices (B, B) or as indices, and what a batch without matches costs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Mined = tuple[Tensor, ...]
"""Indices (anchor, match, other) of triplets, or (anchor, match, anchor, other) of pairs."""

Choose = Callable[[Tensor, Tensor], Mined | None]
"""What a miner is: from rows (B, D) and labels (B,) to the pairs to learn from; None stands for all."""


def matching(labels: Tensor) -> Tensor:
    """Which rows have the same label (B, B); no row matches itself."""
    return (labels[:, None] == labels) & ~itself(labels)


def itself(labels: Tensor) -> Tensor:
    """The diagonal (B, B)."""
    return torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def chosen_pairs(labels: Tensor, mined: Mined | None) -> tuple[Tensor, Tensor]:
    """Matching pairs (B, B) and other pairs (B, B), anchors in rows: all of them, or those that were mined.

    A pair counts once, however many triplets it is in.
    """
    if mined is None:
        return matching(labels), labels[:, None] != labels
    anchor, match, *rest = mined
    other_anchor, other = rest if len(rest) == 2 else (anchor, *rest)
    size = len(labels)
    matches, others = (torch.zeros(size, size, dtype=torch.bool, device=labels.device) for _ in range(2))
    matches[anchor, match] = True
    others[other_anchor, other] = True
    return matches, others


def as_indices(labels: Tensor, mined: Mined | None) -> Mined:
    """The pairs of `chosen_pairs` as four tensors of indices: anchor, match, anchor, other."""
    matches, others = chosen_pairs(labels, mined)
    return (*torch.where(matches), *torch.where(others))


def one_pair_per_class(rows: Tensor, labels: Tensor) -> Mined:
    """For each class with a match: its row most like the rows of other classes, and the match that is least like it.

    So it does not depend on the order of rows. There are no other pairs; their two tensors are empty.
    """
    with torch.no_grad():
        scores, (matches, others) = rows @ rows.T, chosen_pairs(labels, None)
        doubt = (scores * others).sum(dim=1).masked_fill(~matches.any(dim=1), -torch.inf)
        least = scores.masked_fill(~matches, torch.inf).argmin(dim=1)
    classes = [one for one in labels.unique() if (labels == one).sum() > 1]
    none = labels.new_zeros(0)
    if not classes:
        return none, none, none, none
    anchor = torch.stack([doubt.masked_fill(labels != one, -torch.inf).argmax() for one in classes])
    return anchor, least[anchor], none, none


def refuse(owner: nn.Module, mined: Mined | None) -> None:
    """Nothing, if nothing was mined.

    Raises
    ------
    ValueError : the loss reads all rows of a batch.
    """
    if mined is not None:
        name = type(owner).__name__
        raise ValueError(f"{name}: it reads all rows of a batch, so mined must be None; choose miner 'none'.")


def nothing(rows: Tensor) -> Tensor:
    """0, with a graph and a gradient of zeros: what a batch costs that says nothing."""
    return (rows * 0).sum()
