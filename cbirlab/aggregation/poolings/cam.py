"""CAM + CroW: for each of the classes that the network sees, a sum over the positions that speak for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.division import Division, lengths
from cbirlab.aggregation.fused import Shared, Weights
from cbirlab.aggregation.local_pca import learn_whitening, whiten
from cbirlab.aggregation.weighted import WeightedSums
from cbirlab.attention.weights import rarity, relative
from cbirlab.base.params import Choice, Range

if TYPE_CHECKING:
    from torch import Tensor


def class_maps(maps: Tensor, classes: int, state: Mapping[str, Tensor] | None) -> Tensor:
    """Class activation maps (B, N, H, W) of the image's top classes, in [0, 1]; the likeliest class first."""
    if state is None:
        return relative(maps.sum(dim=1, keepdim=True))
    classifier, bias = _classifier(state, maps)
    scores = maps.mean(dim=(-2, -1)) @ classifier.T + bias
    top = scores.topk(min(classes, len(classifier)), dim=1).indices
    return relative((classifier[top] @ maps.flatten(2)).unflatten(2, maps.shape[2:]))


def _classifier(state: Mapping[str, Tensor], maps: Tensor) -> tuple[Tensor, Tensor]:
    if not {"classifier", "classifier_bias"} <= set(state):
        raise ValueError("cam: state must hold 'classifier' and 'classifier_bias' of the network, or be left out.")
    classifier, bias = (state[name].to(maps) for name in ("classifier", "classifier_bias"))
    if classifier.shape[1] != maps.shape[1]:
        raise ValueError(
            f"cam: the classifier reads {classifier.shape[1]} channels, the maps have {maps.shape[1]}; "
            "take the tap that the classifier sits on."
        )
    return classifier, bias


def _weights(shared: Shared, *, classes: int, state: Mapping[str, Tensor] | None, **_: Any) -> Weights:
    """The class activation maps, and CroW's weights of channels."""
    return Weights(class_maps(shared.across if state is None else shared.maps, classes, state), rarity(shared.used))


def _finish(sums: Tensor, *, state: Mapping[str, Tensor] | None, learned: bool, **_: Any) -> Tensor:
    from torch.nn.functional import normalize

    vectors = normalize(sums, dim=2)
    if learned:
        vectors = normalize(whiten("cam", vectors, state), dim=2)
    return normalize(vectors.sum(dim=1), dim=1)


_SUMS = WeightedSums(_weights, needs=("across", "used"), finish=_finish)


def _parts(maps: Tensor, *, learned: bool, **given: Any) -> Division:
    """Σ_k v_k / ‖v_k‖ with v_k = Σ_p CAM^k_p β x_p: the lengths, like the weights, are those of this image."""
    if learned:
        return None
    blocks = _SUMS.blocks(maps, **given)
    weighed, activations = blocks[0][0], np.stack([weights for _, weights in blocks])
    weights = (activations / lengths(activations @ weighed)).sum(axis=0)
    return [(weighed, weights / lengths(weights @ weighed))], True


def class_vectors(maps: Tensor, classes: int, state: Mapping[str, Tensor] | None) -> Tensor:
    """One vector for each of the image's top classes, (B, N, C), of length one or zero."""
    from torch.nn.functional import normalize

    return normalize(_SUMS.sums(maps, classes=classes, state=state), dim=2)


def likeliest_vectors(maps: Tensor, *, state: Mapping[str, Tensor] | None = None, **parameters: Any) -> Tensor:
    """The vector of the likeliest class of each image, (B, 1, C), for the PCA in `learn`."""
    return class_vectors(maps.float(), 1, state)


def learn(samples: np.ndarray, **parameters: Any) -> dict[str, np.ndarray]:
    """PCA whitening of class vectors (n, C), as `cbirlab.aggregation.local_pca.learn_whitening` gives it."""
    return learn_whitening("cam", samples)


@pooling(
    "cam",
    title="CAM + CroW",
    reference="Jimenez et al., BMVC 2017",
    needs="classifier",
    samples=likeliest_vectors,
    learn=learn,
    look=_SUMS.look,
    parts=_parts,
    fused=_SUMS.fused,
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
    maps : (B, C, H, W), of which the classifier takes the mean.
    classes : how many of its likeliest classes say where to look, N_C in the paper; all if the network knows fewer.
    learned : whiten each class's vector by a PCA of the likeliest class's vectors of a train set (N_pca = 1 in the
        paper) and normalise it again before they are summed.
    state : "classifier" (K, C) and "classifier_bias" (K,); if learned also what `learn` gave.

    Returns
    -------
    (B, C), of length one, or zero if the map is zero.

    Raises
    ------
    ValueError : `state` lacks one of these, or has another number of channels.
    """
    return _SUMS.pool(maps, classes=classes, learned=learned, state=state)
