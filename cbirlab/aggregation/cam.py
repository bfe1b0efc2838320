"""CAM + CroW: for each of the classes that the network sees, a sum over the positions that speak for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.basic import weighted_sums
from cbirlab.attention import crow_channel
from cbirlab.attention.weights import relative
from cbirlab.params import Choice, Range

if TYPE_CHECKING:
    from torch import Tensor

CLIP = 1e-9
"""Axes whose eigenvalue is at most this fraction of the largest are left out: dividing by them amplifies rounding."""


@pooling(
    "cam",
    title="CAM + CroW",
    reference="Jimenez et al., BMVC 2017",
    needs="classifier",
    samples="cbirlab.aggregation.cam:likeliest_vectors",
    learn="cbirlab.aggregation.cam:principal_axes",
    look="cbirlab.aggregation.look:of_cam",
)
def cam(
    maps: Tensor,
    *,
    classes: Annotated[int, Range(1, 1000, integer=True)] = 64,
    learned: Annotated[bool, Choice((False, True))] = False,
    state: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Σ over the image's own top classes k of L2(β Σ_ij CAM^k_ij x), then L2: the paper's offline form, OfA.

    CAM^k = Σ_c w_kc x_c with the weights w of the network's classifier, negative values set to zero and the largest to
    one, as in the authors' program; β are CroW's channel weights. The classes are those with the highest scores on the
    mean of the map. Without `state` there are no classes to ask: the sum over channels serves as the only CAM.

    Parameters
    ----------
    maps : (B, C, H, W), what the classifier takes the mean of.
    classes : how many, N_C in the paper; all of them where the network knows fewer.
    learned : whiten each class's vector by a PCA of the likeliest class's vectors of a train set (N_pca = 1 in the
        paper) and normalise it again before they are summed.
    state : "classifier" (K, C) and "classifier_bias" (K,); if learned also "mean" and "axes" of `principal_axes`.

    Returns
    -------
    (B, C), of length one, or zero where the map is zero.

    Raises
    ------
    ValueError : `state` lacks one of these, or is of another number of channels.
    """
    from torch.nn.functional import normalize

    vectors = class_vectors(maps, classes, state)
    if learned:
        mean, axes = (_of_state(state, name, maps) for name in ("mean", "axes"))
        empty = (vectors == 0).all(dim=2, keepdim=True)
        vectors = normalize(((vectors - mean) @ axes.T).masked_fill(empty, 0), dim=2)
    return normalize(vectors.sum(dim=1), dim=1)


def class_vectors(maps: Tensor, classes: int, state: Mapping[str, Tensor] | None) -> Tensor:
    """One vector for each of the image's top classes, (B, N, C), of length one or zero."""
    from torch.nn.functional import normalize

    sums = weighted_sums(maps, class_maps(maps, classes, state))
    return normalize(sums * crow_channel(maps)[:, None], dim=2)


def class_maps(maps: Tensor, classes: int, state: Mapping[str, Tensor] | None) -> Tensor:
    """Class activation maps (B, N, H, W) of the image's top classes, in [0, 1]; the likeliest class first."""
    if state is None:
        return relative(maps.sum(dim=1, keepdim=True))
    classifier, bias = (_of_state(state, name, maps) for name in ("classifier", "classifier_bias"))
    scores = maps.mean(dim=(-2, -1)) @ classifier.T + bias
    top = scores.topk(min(classes, len(classifier)), dim=1).indices
    return relative((classifier[top] @ maps.flatten(2)).unflatten(2, maps.shape[2:]))


def _of_state(state: Mapping[str, Tensor] | None, name: str, maps: Tensor) -> Tensor:
    if state is None or name not in state:
        raise ValueError(f"cam: state must hold {name!r}; it comes from the network's classifier, or from learning.")
    value = state[name].to(maps)
    if name != "classifier_bias" and value.shape[-1] != maps.shape[1]:
        raise ValueError(
            f"cam: {name} must be of {maps.shape[1]} channels as the maps are, got {value.shape[-1]}; "
            "take the tap that the classifier sits on."
        )
    return value


def likeliest_vectors(maps: Tensor, *, state: Mapping[str, Tensor] | None = None, **parameters: Any) -> Tensor:
    """The vector of the likeliest class of each image, (B, 1, C): what `principal_axes` is learned from."""
    return class_vectors(maps.float(), 1, state)


def principal_axes(samples: np.ndarray, **parameters: Any) -> dict[str, np.ndarray]:
    """PCA of class vectors.

    Parameters
    ----------
    samples : (n, C).

    Returns
    -------
    "mean" : (C,).
    "axes" : (C, C), a principal axis over its standard deviation in each row; rows that the samples do not determine
        are zero, so that the vectors keep C dimensions whatever the train set.

    Raises
    ------
    ValueError : fewer than two samples that differ.
    """
    samples = np.asarray(samples, dtype=np.float64)
    mean = samples.mean(axis=0)
    _, spread, directions = np.linalg.svd(samples - mean, full_matrices=False)
    deviations = spread / np.sqrt(max(len(samples) - 1, 1))
    known = deviations**2 > CLIP * deviations[0] ** 2
    known[len(samples) - 1 :] = False
    if not known.any() or deviations[0] <= 1e-12:
        raise ValueError(f"cam: learning needs class vectors that differ, got {len(samples)} equal ones.")
    axes = np.zeros((samples.shape[1], samples.shape[1]))
    axes[: int(known.sum())] = directions[known] / deviations[known, None]
    return {"mean": mean.astype(np.float32), "axes": axes.astype(np.float32)}
