"""Running: runs a network on noise, with hooks that note what its parts give.

The operations that made a part's output show whether values below 0 can occur, and how much of the network the part
depends on; so neither answer depends on the weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from cbirlab.backbones.catalogue import Tap
from cbirlab.backbones.tap_shapes import Place, Size, grid_of

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put the network into evaluation mode, with parameters that require gradients, inside the block."""
    training = {part: part.training for part in module.modules()}
    frozen = [one for one in module.parameters() if one.is_floating_point() and not one.requires_grad]
    module.eval()
    try:
        for one in frozen:
            one.requires_grad_(True)
        yield
    finally:
        for one in frozen:
            one.requires_grad_(False)
        for part, was in training.items():
            part.training = was


def noise(size: Size) -> Tensor:
    import torch

    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


def run(module: nn.Module, size: Size) -> list[Place]:
    """The output of every part for two images, in the order in which the parts finish.

    Raises
    ------
    ValueError : the network does not take such images.
    """
    import torch

    seen: list[_Seen] = []

    def note(path: str, part: nn.Module, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim and len(output) == 2:
            seen.append(_Seen(path, output, output._version, "norm" in type(part).__name__.lower()))

    try:
        with torch.enable_grad(), _noting(module, [path for path, _ in module.named_modules() if path], note):
            module(noise(size).to(_device(module)).requires_grad_().clone())  # a part may work in place
    except Exception as error:  # somebody else's network may raise anything
        said = next(iter(str(error).splitlines()), "")
        raise ValueError(
            f"{type(module).__name__}: it must take images (B, 3, {size[0]}, {size[1]}); "
            f"it raised {type(error).__name__}: {said}"
        ) from error
    return _distinct(seen, module)


def digests(module: nn.Module, size: Size) -> bool:
    """Whether the network takes images of that size."""
    import torch

    try:
        with torch.no_grad():
            module(noise(size).to(_device(module)))
    except Exception:  # asserts, shapes that do not fit, pools without pixels: any error is a refusal
        return False
    return True


def elsewhere(module: nn.Module, size: Size, taps: Sequence[Tap]) -> set[str]:
    """Paths of those of `taps` that are no maps, because a change in the image shows up at a different place.

    This happens with tokens in an order other than row by row, and with attention matrices. A change that shows
    everywhere decides nothing, except for tokens: they are taken to be like the others on their grid.
    """
    import torch

    kept: dict[str, Tensor] = {}
    by_path = {tap.path: tap for tap in taps}

    def note(path: str, part: nn.Module, output: Any) -> None:
        kept[path] = output

    images = noise(size)[:1].repeat(2, 1, 1, 1)
    changed = images.clone()
    for image, (rows, columns) in zip(changed, _CHANGED, strict=True):
        part = image[:, _span(rows, size[0]), _span(columns, size[1])]
        part.copy_(3 * part.flip(0))
    with torch.no_grad(), _noting(module, list(by_path), note):
        module(images.to(_device(module)))
        before, kept = kept, {}
        module(changed.to(_device(module)))
    strays = {path: _strays((kept[path] - before[path]).abs().float(), tap, size) for path, tap in by_path.items()}
    tokens = {path: tap.stride for path, tap in by_path.items() if tap.layout == "BNC"}
    right, wrong = ({tokens[path] for path in tokens if strays[path] is told} for told in (False, True))
    return {path for path, told in strays.items() if told or (told is None and tokens.get(path) in wrong - right)}


_CHANGED = (((0.0, 0.25), (0.75, 1.0)), ((0.75, 1.0), (0.25, 0.5)))
"""The rows and columns that are changed in each of the two images, as shares of the side."""


def _span(share: tuple[float, float], cells: int, margin: float = 0) -> slice:
    return slice(max(0, round((share[0] - margin) * cells)), round((share[1] + margin) * cells))


def _strays(change: Tensor, tap: Tap, size: Size) -> bool | None:
    """Whether a change (2, ...) at a tap gathers elsewhere than in the image; None if it shows everywhere."""
    if tap.layout == "BNC":
        change = change[:, tap.before :].sum(2)
        grid = grid_of(change.shape[1], *size, tap.stride)
        if grid is None:
            return True
        change = change.unflatten(1, grid)
    else:
        change = change.sum(1 if tap.layout == "BCHW" else 3)
    height, width = change.shape[1:]
    total = float(change.sum())
    if min(height, width) < 4 or not total > 0:
        return None
    inside = sum(
        float(one[_span(rows, height, 0.125), _span(columns, width, 0.125)].sum())
        for one, (rows, columns) in zip(change, _CHANGED, strict=True)
    )
    gathered = float(change.flatten(1).topk(height * width // 4).values.sum())
    return inside < _CHANCE * total if gathered > _GATHERED * total else None


_CHANCE = 0.25
"""The places that are compared are a fifth of the map: this share of a change may lie there by chance."""
_GATHERED = 0.6
"""If a change shows everywhere, a quarter of the places have less than this share of it."""


@contextmanager
def _noting(module: nn.Module, paths: Sequence[str], note: Any) -> Iterator[None]:
    """Call `note` with the path, the part and the output of each part that runs."""
    hooks = [
        module.get_submodule(path).register_forward_hook(
            lambda part, inputs, output, path=path: note(path, part, output)
        )
        for path in paths
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _device(module: nn.Module) -> Any:
    import torch

    return next((tensor.device for tensor in module.parameters()), torch.device("cpu"))


def _distinct(seen: Sequence[_Seen], module: nn.Module) -> list[Place]:
    """One place per tensor, however many parts give it.

    Parts that run more than once are left out, and so are those whose result the next part overwrites.
    """
    runs = Counter(one.path for one in seen)
    groups: dict[Any, list[_Seen]] = {}
    for one in seen:
        if runs[one.path] == 1 and one.output._version == one.version:
            groups.setdefault(one.same, []).append(one)
    shares = _shares([group[0].output.grad_fn for group in groups.values()], len(list(module.parameters())))
    return [
        _place(sorted(group, key=lambda one: one.path.count(".")), share)
        for group, share in zip(groups.values(), shares, strict=True)
    ]


def _shares(operations: Sequence[Any], count: int) -> list[float]:
    """For each operation of the autograd graph, the share of the parameter tensors, all counted alike, behind it."""
    behind: dict[Any, int] = {None: 0}  # a bit for each
    bits: dict[int, int] = {}
    for operation in operations:
        path = [operation]
        while path:
            one = path[-1]
            ahead = [] if one in behind else [before for before, _ in one.next_functions if before not in behind]
            if ahead:
                path += ahead
                continue
            path.pop()
            if one not in behind:
                learned = getattr(one, "variable", None)
                behind[one] = 0 if learned is None else bits.setdefault(id(learned), 1 << len(bits))
                for before, _ in one.next_functions:
                    behind[one] |= behind[before]
    return [behind[operation].bit_count() / max(1, count) for operation in operations]


def _place(group: list[_Seen], share: float) -> Place:
    """The place of one tensor that several parts give, the outermost part first."""
    output = group[0].output
    return Place(
        tuple(one.path for one in group),
        tuple(output.shape),
        _signed(output.grad_fn),
        any(one.norm for one in group),
        share,
    )


_NEVER_NEGATIVE = {"Relu", "Sigmoid", "Hardsigmoid", "Softmax", "Softplus", "Exp", "Abs"}
_KEEPS_SIGNS = {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Permute", "Transpose", "Clone", "Slice"}
_KEEPS_SIGNS |= {"Select", "Cat", "Add", "Mul", "Mean", "AvgPool2D", "AdaptiveAvgPool2D", "MkldnnAdaptiveAvgPool2D"}
_KEEPS_SIGNS |= {"MaxPool2DWithIndices", "AdaptiveMaxPool2D", "Split", "SplitWithSizes", "Expand"}


def _signed(operation: Any) -> bool:
    """Whether an operation of the autograd graph can give values below 0, as far as is known."""
    name = re.sub(r"Backward\d*$", "", type(operation).__name__)
    if name == "Hardtanh":  # ReLU6
        return operation._saved_min_val < 0
    if name in _NEVER_NEGATIVE:
        return False
    before = [one for one, _ in getattr(operation, "next_functions", ()) if one is not None]
    return not (name in _KEEPS_SIGNS and before and not any(map(_signed, before)))


class _Seen(NamedTuple):
    """What a hook saw: the output of a part, and how often that had been written to."""

    path: str
    output: Tensor
    version: int
    norm: bool

    @property
    def same(self) -> Any:
        """An identity for tensors; a vector stays the same with or without axes of length 1, and after a dropout."""
        vector = self.output.ndim > 1 and self.output.numel() == self.output.shape[0] * self.output.shape[1]
        return (self.output.data_ptr(), self.output.numel()) if vector else id(self.output)
