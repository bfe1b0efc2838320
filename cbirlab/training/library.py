"""Losses of pytorch-metric-learning, with the settings under which each is what its paper says.

The library is imported only as a loss is made. The mean of some losses runs over what is above 0 alone; this is said.
"""

from __future__ import annotations

from typing import Annotated

from torch import nn

from cbirlab.base.params import Range
from cbirlab.training.from_library import ClassesFromLibrary, FromLibrary, Joint, of_library
from cbirlab.training.library_miners import multisim_pairs
from cbirlab.training.matches import one_pair_per_class


def multisim(
    *,
    alpha: Annotated[float, Range(0.5, 20.0, step=0.5)] = 2.0,
    beta: Annotated[float, Range(1.0, 100.0, step=1.0)] = 50.0,
    base: Annotated[float, Range(-1.0, 1.0, step=0.05)] = 0.5,
    epsilon: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.1,
) -> nn.Module:
    """Mean over rows of ``log(1 + Σ exp(-alpha (s - base))) / alpha + log(1 + Σ exp(beta (s - base))) / beta``.

    The first sum runs over the matches, the second over the others, of cosine s; where nothing is mined, over those
    that `multisim_pairs` chooses with `epsilon`.

    Parameters
    ----------
    alpha : how steeply matches are pulled that are less alike than `base`.
    beta : how steeply others are pushed that are more alike than `base`.
    base : the cosine that should lie between matches and others.
    epsilon : how far beyond the nearest other, or the farthest match, pairs are still mined.

    References
    ----------
    Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning", CVPR 2019.
    """
    return FromLibrary(of_library().MultiSimilarityLoss(alpha, beta, base), "pairs", multisim_pairs(epsilon=epsilon))


def supcon(*, temperature: Annotated[float, Range(0.03, 1.0, step=0.01)] = 0.1) -> nn.Module:
    """Mean over rows, and for each over its matches p, of ``-log(exp(s_p / t) / Σ_k exp(s_k / t))``.

    k runs over all other rows of the batch. Rows without a match are left out of the mean.

    Parameters
    ----------
    temperature : t; the smaller, the more only the nearest rows count.

    References
    ----------
    Khosla et al., "Supervised contrastive learning", NeurIPS 2020, Eq. 2.
    """
    return FromLibrary(of_library().SupConLoss(temperature), "pairs")


def triplet(*, margin: Annotated[float, Range(0.01, 1.0, step=0.01)] = 0.1) -> FromLibrary:
    """Mean of ``max(0, margin + d_ap - d_an)`` over the triplets where it is above 0, d a distance, not squared.

    The value stays high while ever fewer triplets are left; at `margin` exactly all rows may have become one.

    Parameters
    ----------
    margin : how much farther the other row shall be than the match.

    References
    ----------
    Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015; Hermans, Beyer and Leibe, "In defense of the triplet loss
    for person re-identification", 2017, for distances without the square and for this mean.
    """
    return FromLibrary(of_library().TripletMarginLoss(margin), "triplets")


def lifted(*, margin: Annotated[float, Range(0.1, 2.0, step=0.1)] = 1.0) -> nn.Module:
    """Mean over matching pairs of ``max(0, log Σ exp(margin - d_n) + d)² / 2``, n over the others of either row.

    Like `ntxent` it takes memory for every matching pair with every other pair.

    Parameters
    ----------
    margin : up to which distance other rows are pushed away.

    References
    ----------
    Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016.
    """
    return FromLibrary(of_library().LiftedStructureLoss(margin, 0), "pairs")


def npairs() -> nn.Module:
    """Mean over classes c with a match of ``-log(exp(a_c · p_c) / Σ_e exp(a_c · p_e))``, one pair (a, p) per class.

    The pair is the row most like the rows of other classes, and the match that is least like it. On unit rows the loss
    stays high: the paper lets lengths grow and holds them by a penalty.

    References
    ----------
    Sohn, "Improved deep metric learning with multi-class N-pair loss objective", NeurIPS 2016.
    """
    return FromLibrary(of_library().NPairsLoss(), "rows", one_pair_per_class)


def angular(*, angle: Annotated[float, Range(10.0, 60.0, step=1.0)] = 40.0) -> nn.Module:
    """Mean over matching pairs of ``log(1 + Σ_n exp(4 t² (a + p) · n - 2 (1 + t²) a · p))``, t the tangent of `angle`.

    Parameters
    ----------
    angle : in degrees, at the row of another class in the triangle with a and p.

    References
    ----------
    Wang et al., "Deep metric learning with angular loss", ICCV 2017.
    """
    return FromLibrary(of_library().AngularLoss(angle), "rows")


def circle(
    *,
    margin: Annotated[float, Range(0.05, 0.95, step=0.05)] = 0.4,
    gamma: Annotated[float, Range(1.0, 256.0, step=1.0)] = 80.0,
) -> nn.Module:
    """Mean over rows above 0 of ``log(1 + Σ exp(gamma α_n (s_n - margin)) Σ exp(-gamma α_p (s_p - 1 + margin)))``.

    ``α_p = max(0, 1 + margin - s_p)`` and ``α_n = max(0, s_n + margin)`` weigh what is far from its aim; they have no
    gradient.

    Parameters
    ----------
    margin : how far cosines of matches may lie below 1, and those of others above 0.
    gamma : the larger, the more the hardest pairs of a row count.

    References
    ----------
    Sun et al., "Circle loss: a unified perspective of pair similarity optimization", CVPR 2020.
    """
    return FromLibrary(of_library().CircleLoss(margin, gamma), "pairs")


def ntxent(*, temperature: Annotated[float, Range(0.03, 1.0, step=0.01)] = 0.07) -> nn.Module:
    """Mean over matching pairs of ``-log(exp(s / t) / (exp(s / t) + Σ_n exp(s_n / t)))``, n over the anchor's others.

    It takes memory for every matching pair with every other pair, so batches of hundreds of rows are too large.

    Parameters
    ----------
    temperature : t; the smaller, the more only the nearest rows count.

    References
    ----------
    Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.
    """
    return FromLibrary(of_library().NTXentLoss(temperature), "pairs")


def fastap(*, bins: Annotated[int, Range(2, 100, integer=True)] = 10) -> nn.Module:
    """One less the mean average precision of queries with a match, from histograms of squared distances.

    Parameters
    ----------
    bins : of the histograms: the more, the nearer to average precision and the fewer the gradients.

    References
    ----------
    Cakir et al., "Deep metric learning to rank", CVPR 2019.
    """
    return FromLibrary(of_library().FastAPLoss(bins), "rows")


def softmax(
    classes: int, width: int, *, temperature: Annotated[float, Range(0.03, 1.0, step=0.01)] = 0.1
) -> ClassesFromLibrary:
    """Cross-entropy of cosines of row and class weight, divided by `temperature`.

    Parameters
    ----------
    temperature : the smaller, the more only the nearest classes count.

    References
    ----------
    Zhai and Wu, "Classification is a strong baseline for deep metric learning", BMVC 2019.
    """
    return ClassesFromLibrary(of_library().NormalizedSoftmaxLoss(classes, width, temperature))


def cosface(
    classes: int,
    width: int,
    *,
    margin: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.15,
    scale: Annotated[float, Range(1.0, 128.0, step=1.0)] = 16.0,
) -> nn.Module:
    """Cross-entropy of `scale` times the cosines of row and class weight, that of the own class less `margin`.

    Parameters
    ----------
    margin : by which the cosine of the own class must lead.
    scale : the larger, the more only the nearest classes count.

    References
    ----------
    Wang et al., "CosFace: large margin cosine loss for deep face recognition", CVPR 2018.
    """
    return ClassesFromLibrary(of_library().CosFaceLoss(classes, width, margin=margin, scale=scale))


def proxyanchor(
    classes: int,
    width: int,
    *,
    margin: Annotated[float, Range(0.0, 1.0, step=0.05)] = 0.1,
    alpha: Annotated[float, Range(1.0, 100.0, step=1.0)] = 32.0,
) -> nn.Module:
    """Means over classes of ``log(1 + Σ exp(-alpha (s - margin)))`` and ``log(1 + Σ exp(alpha (s + margin)))``.

    The first sum runs over the rows of the class, the mean over the classes in the batch; the second over all other
    rows, the mean over all classes.

    Parameters
    ----------
    margin : how far beyond 0 cosines of rows and class weights are pulled, or pushed.
    alpha : the larger, the more the hardest rows of a class count.

    References
    ----------
    Kim et al., "Proxy anchor loss for deep metric learning", CVPR 2020.
    """
    return ClassesFromLibrary(of_library().ProxyAnchorLoss(classes, width, margin, alpha))


def joint(
    classes: int,
    width: int,
    *,
    margin: Annotated[float, Range(0.01, 1.0, step=0.01)] = 0.1,
    weight: Annotated[float, Range(0.0, 10.0, step=0.1)] = 0.5,
    temperature: Annotated[float, Range(0.03, 1.0, step=0.01)] = 0.1,
) -> nn.Module:
    """`triplet` plus `weight` times `softmax`.

    Parameters
    ----------
    margin : see `triplet`.
    weight : of the classifier beside the triplets.
    temperature : see `softmax`.

    References
    ----------
    Eq. 15 of Chen et al., "Deep learning for instance retrieval: a survey", TPAMI 2022.
    """
    classifier = softmax(classes, width, temperature=temperature)
    return Joint(triplet(margin=margin), classifier, weight)
