"""Losses that are one less the average precision: each row is a query, and the other rows of the batch its database.

Rows may come in any order and classes may have any size. Queries without a match are left out of the mean.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from cbirlab.base.params import Range
from cbirlab.training.matches import Mined, itself, matching, nothing, refuse


class SmoothAP(nn.Module):
    """One less the mean of `smooth_precision`.

    Parameters
    ----------
    tau : width of the sigmoid: the smaller, the nearer to average precision and the fewer the gradients.

    References
    ----------
    Brown et al., "Smooth-AP: smoothing the path towards large-scale image retrieval", ECCV 2020. Their code counts the
    query among its own matches, and reads batches of classes of one size, in order; `tau` is 0.01 there, where most
    gradients vanish.
    """

    def __init__(self, *, tau: Annotated[float, Range(0.005, 1.0, step=0.005)] = 0.05) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        refuse(self, mined)
        match = matching(labels)
        return 1 - smooth_precision(rows @ rows.T, match, self.tau).mean() if match.any() else nothing(rows)


class BinnedAP(nn.Module):
    """One less the mean of `binned_precision`.

    Parameters
    ----------
    bins : of the cosines: the more, the nearer to average precision and the fewer the gradients.

    References
    ----------
    Revaud et al., "Learning with average precision: training image retrieval with a listwise loss", ICCV 2019, with
    bins over [0, 1]: there all negative cosines, which descriptors have after a projection, share one flat bin.
    """

    def __init__(self, *, bins: Annotated[int, Range(2, 200, integer=True)] = 25) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, rows: Tensor, labels: Tensor, mined: Mined | None = None) -> Tensor:
        """The loss of rows (B, D) with labels (B,)."""
        refuse(self, mined)
        match = matching(labels)
        return 1 - binned_precision(rows @ rows.T, match, self.bins).mean() if match.any() else nothing(rows)


def smooth_precision(scores: Tensor, match: Tensor, tau: float) -> Tensor:
    """Average precision of each query that has a match, with a sigmoid in place of "scores more than".

    The mean over matches j of ``(1 + Σ_k g(k, j)) / (1 + Σ_l g(l, j))``, where k runs over the other matches, l over
    all other rows but the query, and ``g(k, j) = 1 / (1 + exp((s_j - s_k) / tau))``. As `tau` goes to 0 it becomes
    average precision.

    Parameters
    ----------
    scores, match : (B, B), queries in rows; the query itself does not count.

    Returns
    -------
    (queries,), those that have a match, in their order.
    """
    query, found = torch.where(match)
    above = torch.sigmoid((scores[query] - scores[query, found][:, None]) / tau)
    index = torch.arange(len(scores), device=scores.device)
    above = above * ((index != query[:, None]) & (index != found[:, None]))
    precision = (1 + (above * match[query]).sum(dim=1)) / (1 + above.sum(dim=1))
    total = torch.zeros_like(scores[:, 0]).index_add(0, query, precision)
    return _over_matches(total, match)


def binned_precision(scores: Tensor, match: Tensor, bins: int) -> Tensor:
    """Average precision of each query that has a match, from a histogram of its scores.

    Bins are triangles whose centres divide [-1, 1] evenly; a score belongs in part to the two centres next to it. The
    result is the sum over bins, from the largest score down, of the precision so far times the part of the matches in
    the bin.

    Parameters
    ----------
    scores, match : (B, B), queries in rows; the query itself does not count.

    Returns
    -------
    (queries,), those that have a match, in their order.
    """
    centres = torch.linspace(1, -1, bins, device=scores.device, dtype=scores.dtype)[:, None]
    share = (1 - (scores[:, None] - centres).abs() * (bins - 1) / 2).relu()
    share = share * ~itself(scores)[:, None]
    right = (share * match[:, None]).sum(dim=2)
    among = share.sum(dim=2).cumsum(dim=1)
    precision = right.cumsum(dim=1) / torch.where(among > 0, among, 1)
    return _over_matches((precision * right).sum(dim=1), match)


def _over_matches(total: Tensor, match: Tensor) -> Tensor:
    """`total` (B,) divided by how many matches each query has; queries without one are left out."""
    count = match.sum(dim=1)
    return total[count > 0] / count[count > 0]
