"""Fitting: tensors into a network, and what tells the network with them from all others."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

from cbirlab.weights.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

FEW = 4
"""So many tensors of another shape are a layer or two that somebody changed; more are another network."""


def fill(module: nn.Module, state: Mapping[str, Tensor], owner: str) -> set[str]:
    """Copy the tensors into `module`; return the names of those of its tensors that are still missing.

    Tensors that the network has no place for are left out, with a warning; a part without a single number is
    missing (torchvision publishes features of VGG-16 with such a classifier).

    Raises
    ------
    WeightsError : none has a place in the network, or one has another shape or no real numbers.
    """
    own = module.state_dict()
    named = {key: value for key, value in state.items() if key in own}
    other = [key for key, value in named.items() if value.shape != own[key].shape]
    if not named:
        raise WeightsError(
            f"{owner}: the file belongs to another network, it has no tensor of this one "
            f"(its first is {next(iter(state))!r}, the network's {next(iter(own))!r})."
        )
    if other:
        raise WeightsError(_of_other_shape(owner, other, len(named), named[other[0]], own[other[0]]))
    for key, value in named.items():
        if own[key].is_floating_point() and not value.is_floating_point():
            raise WeightsError(
                f"{owner}: {key} must hold floating-point numbers, got {value.dtype}: the file was quantised; take the "
                "weights from before."
            )
    empty = _empty(named)
    if len(empty) == len(named):
        raise WeightsError(f"{owner}: weights must be finite numbers, all {len(named)} tensors hold nothing but NaN.")
    fitting = {key: value for key, value in named.items() if key not in empty}
    left_over = sorted(set(state) - set(own))
    if left_over:
        shown = ", ".join(left_over[:3]) + (", ..." if len(left_over) > 3 else "")
        warnings.warn(f"{owner}: the network has no place for {len(left_over)} tensors: {shown}.", stacklevel=4)
    module.load_state_dict(fitting, strict=False)
    return {key for key in own if key not in fitting and not key.endswith("num_batches_tracked")}


def _of_other_shape(owner: str, other: list[str], named: int, value: Tensor, own: Tensor) -> str:
    shapes = f"{other[0]} must have shape {tuple(own.shape)}, got {tuple(value.shape)}"
    if len(other) > FEW or len(other) == named:
        return f"{owner}: the file belongs to another network, {shapes}."
    return (
        f"{owner}: {shapes}; the other {named - len(other)} tensors fit, so it was made for other input channels, "
        "classes or image sizes: hand that network over by add_module, or leave the tensor out of the file."
    )


def _empty(state: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors of those outermost parts in which there is not a single number."""
    whole: dict[str, bool] = {}
    for key, value in state.items():
        part = key.partition(".")[0]
        if not key.endswith("num_batches_tracked") and whole.get(part, True):
            whole[part] = value.is_floating_point() and value.numel() > 0 and bool(value.isnan().all())
    return {key for key in state if whole.get(key.partition(".")[0], False)}


def needed(module: nn.Module, path: str) -> set[str]:
    """Names of the tensors that the output at `path` depends on, for a network defined in the order it runs."""
    names: set[str] = set()
    reached = False
    for name, part in module.named_modules():
        inside = name == path or name.startswith(f"{path}.")
        if reached and not inside:
            break
        reached = reached or inside
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        names.update(f"{name}.{key}" if name else key for key, _ in own)
    if not reached:
        raise ValueError(f"A tap's path must name a part of {type(module).__name__}, got {path!r}.")
    return {name for name in names if not name.endswith("num_batches_tracked")}


def digest(module: nn.Module, missing: Set[str] = frozenset(), owner: str = "") -> str:
    """sha256 of the network's tensors with their names and types, leaving out the `missing` ones.

    Raises
    ------
    WeightsError : one of them holds NaN or infinity (which may stand in a buffer, as masks and bounds have it).
    """
    total = hashlib.sha256()
    learned = dict(module.named_parameters())
    for key, value in sorted(module.state_dict().items()):
        if key not in missing and not key.endswith("num_batches_tracked"):
            statistic = key.endswith(("running_mean", "running_var"))
            _check_finite(owner or type(module).__name__, key, value, key in learned or statistic)
            total.update(f"{key} {value.dtype} {tuple(value.shape)};".encode())
            total.update(value.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()


def _check_finite(owner: str, key: str, value: Tensor, learned: bool) -> None:
    bad = int((~value.isfinite() if learned else value.isnan()).sum())
    if bad:
        raise WeightsError(
            f"{owner}: weights must be finite numbers, {key} holds NaN or infinity in {bad} of {value.numel()} places; "
            "take the weights from before the training went astray."
        )
