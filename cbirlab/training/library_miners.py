"""Miners of pytorch-metric-learning: which pairs or triplets of a batch a loss shall learn from."""

from __future__ import annotations

from typing import Annotated

from cbirlab.base.params import Range
from cbirlab.training.matches import Choose


def multisim_pairs(*, epsilon: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.1) -> Choose:
    """Matches less like a row than its nearest other plus `epsilon`; others more like it than its farthest match less.

    Parameters
    ----------
    epsilon : how far beyond the nearest other, or the farthest match, pairs are still taken.

    References
    ----------
    Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning", CVPR 2019.
    """
    from pytorch_metric_learning.miners import MultiSimilarityMiner

    return MultiSimilarityMiner(epsilon)


def hard() -> Choose:
    """A triplet for each row: its farthest match and its nearest other row.

    Triplet losses may draw all rows together under it, above all early; their value is then their margin.

    References
    ----------
    Hermans, Beyer and Leibe, "In defense of the triplet loss for person re-identification", 2017 (batch hard).
    """
    from pytorch_metric_learning.miners import BatchHardMiner

    return BatchHardMiner()


def semihard(*, margin: Annotated[float, Range(0.01, 2.0, step=0.01)] = 0.1) -> Choose:
    """The triplets whose other row is farther than the match, but by at most `margin`.

    Parameters
    ----------
    margin : of distances, not squared; with a larger one than the loss has, some triplets cost nothing.

    References
    ----------
    Schroff, Kalenichenko and Philbin, "FaceNet: a unified embedding for face recognition and clustering", CVPR 2015.
    """
    from pytorch_metric_learning.miners import TripletMarginMiner

    return TripletMarginMiner(margin, "semihard")
