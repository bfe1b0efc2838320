"""Fitting: puts tensors into a network, whatever names a trainer gave them, and computes the digest that identifies it.

Trainers put something before the names (``module.``, ``_orig_mod.``, ``encoder.q.``), and mappings around them
(``state_dict``, ``model``, ``ema``); both are read alike, as a prefix of the network's own names.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cbirlab.backbones.weights.reading import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

FEW = 4
"""Up to this many tensors of another shape are a layer or two that somebody changed; more mean another network."""
MARKS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""Parts of names that say how a network was run (in parallel, compiled); they may stand anywhere in a name."""
ENOUGH = 0.1
"""Share of the tensors that must fit before a prefix is removed from their names."""
RIVAL = 0.5
"""Another group of tensors with at least this share of the best group's number is a second network."""


def match_tensors(
    state: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    owner: str,
    *,
    part: str = "",
    own_name: Callable[[str], str] = str,
) -> dict[str, Tensor]:
    """The tensors of `state` that belong to one network, without the prefix of their names.

    >>> import torch
    >>> one = torch.zeros(1)
    >>> list(matched({"model.a.b": one, "model.c": one, "steps": one}, {"a.b": one, "c": one}, "mine"))
    ['a.b', 'c']

    Parameters
    ----------
    own : the network's own tensors by name.
    part : prefix of the wanted tensors' names; "" to find it.
    own_name : gives the network's name for a tensor of that name.

    Raises
    ------
    WeightsError : several networks are there, or none under `part`.
    """
    state = _unmarked(state, own)
    if part:
        return _part(state, part, own, owner, own_name)
    named, shaped = _fitting(state, own, own_name)
    counts = shaped if any(shaped.values()) else named
    best = max(counts, key=lambda one: (counts[one], -len(one)), default="")
    if not best and counts[best] == 0:
        return _wrapped(state, own)
    if not best:
        return dict(state)
    within = _under(state, best)
    if counts[best] < ENOUGH * min(len(own), len(within)):
        return dict(state)
    explained = {best + rest for rest in within if own_name(rest) in own}
    _, others = _fitting({name: value for name, value in state.items() if name not in explained}, own, own_name)
    rivals = [best, *(one for one, count in others.items() if count >= max(1, RIVAL * counts[best]))]
    if len(rivals) > 1:
        names = sorted(one.rstrip(".") for one in rivals)
        raise WeightsError(
            f"{owner}: the file holds several networks that fit, {', '.join(map(repr, names))}; name one after a "
            f"colon, as weights='FILE:{names[0]}'."
        )
    return within


def _part(
    state: Mapping[str, Tensor], part: str, own: Mapping[str, Tensor], owner: str, own_name: Callable[[str], str]
) -> dict[str, Tensor]:
    """The tensors under the prefix `part`, which may itself stand after a further prefix."""
    wanted = ".".join(one for one in part.split(".") if one not in MARKS or _has(own, one))
    found = _under(state, f"{wanted}.") if wanted else dict(state)
    fronts = {name[: at + 1] for name in state if (at := name.find(f".{wanted}.")) >= 0}
    if not found and len(fronts) == 1:
        found = _under(state, f"{fronts.pop()}{wanted}.")
    if not found:
        groups = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in _beginnings(state)))
        near = get_close_matches(part, groups, n=3) or groups[:3]
        raise WeightsError(f"{owner}: the file holds nothing named {part!r}; it holds {', '.join(map(repr, near))}.")
    return match_tensors(found, own, owner, own_name=own_name)


def _beginnings(state: Mapping[str, Tensor]) -> Iterator[str]:
    """The prefixes of the names, up to a dot, the shortest first."""
    for depth in (1, 2, 3):
        yield from dict.fromkeys(f"{'.'.join(name.split('.')[:depth])}." for name in state if name.count(".") >= depth)


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _has(own: Mapping[str, Tensor], mark: str) -> bool:
    return any(mark in name.split(".") for name in own)


def _unmarked(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors without the marks that the network's own names lack; unchanged if two names would become the same."""
    marks = {mark for mark in MARKS if not _has(own, mark)}
    bare = {".".join(one for one in name.split(".") if one not in marks): value for name, value in state.items()}
    return bare if len(bare) == len(state) else state


def _fitting(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], own_name: Callable[[str], str]
) -> tuple[Counter[str], Counter[str]]:
    """For each prefix, how many tensors fit the network by name, and how many fit by shape too."""
    named: Counter[str] = Counter()
    shaped: Counter[str] = Counter()
    most = _longest(own)
    for name, value in state.items():
        for prefix, rest in _splits(name, most):
            known = own.get(own_name(rest))
            if known is not None:
                named[prefix] += 1
                shaped[prefix] += known.shape == value.shape
    return named, shaped


def _longest(names: Mapping[str, Tensor]) -> int:
    return max((name.count(".") for name in names), default=0) + 1


def _splits(name: str, most: int) -> Iterator[tuple[str, str]]:
    """The whole name, and every way to divide it at a dot that leaves at most `most` parts after it."""
    yield "", name
    front, *parts = name.rsplit(".", most)
    for at in range(len(parts)):
        yield f"{'.'.join([front, *parts[:at]])}.", ".".join(parts[at:])


def _wrapped(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a network that is here a part of another: add the prefix of our names to theirs."""
    most = _longest(state)
    counts = Counter(prefix for name in own for prefix, rest in _splits(name, most) if prefix and rest in state)
    best = max(counts, key=lambda one: counts[one], default="")
    enough = counts[best] >= RIVAL * len(state)
    return {best + name: value for name, value in state.items()} if enough else dict(state)


def fill(module: nn.Module, state: Mapping[str, Tensor], owner: str) -> set[str]:
    """Copy the tensors into `module`; return the names of those of its tensors that are still missing.

    Tensors for which the network has no place are left out, with a warning; a part that holds only NaN counts as
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
        "classes or image sizes: pass that network to add_module, or leave the tensor out of the file."
    )


def _empty(state: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors in those outermost parts that hold nothing but NaN."""
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
    WeightsError : one of them holds NaN or infinity (which buffers may hold, as masks and bounds do).
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
