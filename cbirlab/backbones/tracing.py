"""Tracing: the taps of a network that nobody described, found by running it.

The network runs on noise of two sizes. What each of its parts gives is compared between the two: axes that grow with
the image are positions, and by how much they grow is the stride. Whether values below 0 can occur is read off the
operations that made them, so it does not depend on the weights.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from cbirlab.backbones.catalogue import Tap
from cbirlab.backbones.places import Place, Size, chosen, tap_at

if TYPE_CHECKING:
    from torch import Tensor, nn

SMALL = (112, 112)
"""Size in pixels of the first image, for a network that takes it: passes over larger ones take longer."""
GROWTH = 64
"""By how many pixels, at least, the second image is taller than the first; it is wider by twice as many."""
_MULTIPLES = (1, 8, 16, 32, 64)


@dataclass(frozen=True)
class Traced:
    """What running a network shows; prints as a list of its places.

    Attributes
    ----------
    places : every part that can be tapped, by path, in the order in which they run.
    taps : those that `add_module` takes if nobody chooses: of each stride the last of the outermost parts; of a
        transformer four blocks, evenly spaced and read after the norm that follows, and the class token; then the
        vectors after the last map.
    image_size : (height, width) in pixels that it takes for certain.
    multiple : the sides of an image must be multiples of it.
    fixed_size : images of another size are refused.
    min_side : shortest side in pixels of a square image that the network can digest.
    """

    places: Mapping[str, Tap]
    taps: Mapping[str, Tap]
    image_size: Size
    multiple: int
    fixed_size: bool
    min_side: int

    def __str__(self) -> str:
        names = {tap.path: name for name, tap in self.taps.items() if tap.kind == "map"} | {
            tap.path: name for name, tap in self.taps.items() if tap.kind != "map"
        }
        width = max(map(len, self.places))
        lines = []
        for path, tap in self.places.items():
            where = f"stride {tap.stride}" if tap.kind == "map" else tap.kind
            words = [f"{tap.channels:5d} channels", f"{where:10}", "signed" if tap.signed else "      "]
            lines.append(f"{path:{width}}  {'  '.join(words)}  {names.get(path, '')}".rstrip())
        return "\n".join(lines)


def trace(module: nn.Module, image_size: int | Size = 224) -> Traced:
    """The places of `module` and the taps to take of them, from a few passes over noise; it stays as it is.

    Parameters
    ----------
    module : takes normalised images (B, 3, H, W).
    image_size : (height, width), or the side of a square, that it takes for certain.

    Raises
    ------
    ValueError : it does not take such images, or no part of it gives maps or vectors.
    """
    given = (image_size, image_size) if isinstance(image_size, int) else (int(image_size[0]), int(image_size[1]))
    with _evaluating(module):
        size = SMALL if min(given) > SMALL[0] and _digests(module, SMALL) else given
        first = _run(module, size)
        steps = sorted({*_MULTIPLES, _patch(first, size)})
        multiple = next((step for step in steps if _takes(module, size, step)), None)
        larger = None if multiple is None else _larger(size, multiple)
        second = None if larger is None else _run(module, larger)
        places = _places(first, second, size, larger)
        taps = chosen(places, _has_class_token(module))
        if not taps:
            raise ValueError(f"{type(module).__name__}: no part of it gives maps or vectors that could be tapped.")
        return Traced(
            places={path: replace(place.tap, path=path) for place in places if place.tap for path in place.paths},
            taps=taps,
            image_size=given,
            multiple=multiple or 1,
            fixed_size=multiple is None,
            min_side=1 if multiple is None else _min_side(module, min(size), multiple),
        )


def code_of(module: nn.Module) -> str:
    """sha256 of the text of the classes that a network is made of, as far as they are not torch's and can be read."""
    kinds = {
        type(part) for part in module.modules() if not type(part).__module__.startswith(("torch.", "torchvision."))
    }
    texts = []
    for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)):
        try:
            texts.append(inspect.getsource(kind))
        except (OSError, TypeError):  # typed into a prompt, or compiled
            texts.append(f"{kind.__module__}.{kind.__qualname__}")
    return sha256("\n".join(texts).encode()).hexdigest()


class _Seen(NamedTuple):
    """What a hook saw: the output of a part, and how often it had been written to."""

    path: str
    output: Tensor
    version: int
    norm: bool

    @property
    def same(self) -> Any:
        """What tells tensors apart; a vector is the same with and without axes of length 1, and after a dropout."""
        vector = self.output.ndim > 1 and self.output.numel() == self.output.shape[0] * self.output.shape[1]
        return (self.output.data_ptr(), self.output.numel()) if vector else id(self.output)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, was in training.items():
            part.training = was


def _noise(size: Size) -> Tensor:
    import torch

    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


def _run(module: nn.Module, size: Size) -> list[Place]:
    """What every part gives for two images, in the order in which the parts finish."""
    import torch

    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    seen: list[_Seen] = []
    hooks = []
    for path, part in module.named_modules():
        if path:

            def note(part, inputs, output, path=path) -> None:
                if isinstance(output, torch.Tensor) and output.ndim and len(output) == 2:
                    seen.append(_Seen(path, output, output._version, "norm" in type(part).__name__.lower()))

            hooks.append(part.register_forward_hook(note))
    try:
        with torch.enable_grad():
            module(_noise(size).to(device).requires_grad_().clone())  # a part may work in place
    except Exception as error:  # a network of somebody else's raises what it likes
        raise ValueError(
            f"{type(module).__name__}: it must take images (B, 3, {size[0]}, {size[1]}); "
            f"it raised {type(error).__name__}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return _distinct(seen)


def _distinct(seen: Sequence[_Seen]) -> list[Place]:
    """One place per tensor, whatever parts give it.

    Parts that run more than once are left out, and those whose result the next part overwrites.
    """
    runs = Counter(one.path for one in seen)
    groups: dict[Any, list[_Seen]] = {}
    for one in seen:
        if runs[one.path] == 1 and one.output._version == one.version:
            groups.setdefault(one.same, []).append(one)
    return [_place(sorted(group, key=lambda one: one.path.count("."))) for group in groups.values()]


def _place(group: list[_Seen]) -> Place:
    """What several parts, the outermost first, give in common."""
    output = group[0].output
    return Place(
        tuple(one.path for one in group),
        tuple(output.shape),
        _signed(output.grad_fn),
        any(one.norm for one in group),
    )


_NEVER_NEGATIVE = {"Relu", "Sigmoid", "Hardsigmoid", "Softmax", "Softplus", "Exp", "Abs"}
_KEEPS_SIGNS = {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Permute", "Transpose", "Clone", "Slice"}
_KEEPS_SIGNS |= {"Select", "Cat", "Add", "Mul", "Mean", "AvgPool2D", "AdaptiveAvgPool2D", "MkldnnAdaptiveAvgPool2D"}
_KEEPS_SIGNS |= {"MaxPool2DWithIndices", "AdaptiveMaxPool2D", "Split", "SplitWithSizes", "Expand"}


def _signed(operation: Any) -> bool:
    """Whether an operation of the autograd graph can give values below 0, as far as is known of it."""
    name = re.sub(r"Backward\d*$", "", type(operation).__name__)
    if name == "Hardtanh":  # ReLU6
        return operation._saved_min_val < 0
    if name in _NEVER_NEGATIVE:
        return False
    before = [one for one, _ in getattr(operation, "next_functions", ()) if one is not None]
    return not (name in _KEEPS_SIGNS and before and not any(map(_signed, before)))


def _patch(places: Sequence[Place], size: Size) -> int:
    """The step in pixels of the first map that is a whole number of them: a transformer's patch; 1 for none."""
    for place in places:
        if len(place.shape) == 4 and place.shape[2] and size[0] % place.shape[2] == 0:
            return max(1, size[0] // place.shape[2])
    return 1


def _larger(size: Size, step: int) -> Size:
    """A size of another shape, too, larger by a multiple of `step` that shows in every map."""
    height = step * -(-GROWTH // step)
    return size[0] + height, size[1] + 2 * height


def _takes(module: nn.Module, size: Size, step: int) -> bool:
    """Whether the network takes sizes that differ by `step`, a little and much."""
    return _digests(module, (size[0] + step, size[1] + 2 * step)) and _digests(module, _larger(size, step))


def _digests(module: nn.Module, size: Size) -> bool:
    """Whether the network takes images of that size."""
    import torch

    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            module(_noise(size).to(device))
    except Exception:  # asserts, shapes that do not fit, pools without pixels: refused is refused
        return False
    return True


def _min_side(module: nn.Module, enough: int, multiple: int) -> int:
    """Shortest side of a square, a multiple of `multiple`, that is digested; all longer ones are taken to be."""
    low, high = 0, enough // multiple
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _digests(module, (middle * multiple, middle * multiple)) else (middle, high)
    return high * multiple


def _places(first: list[Place], second: list[Place] | None, size: Size, larger: Size | None) -> list[Place]:
    """The places of the first pass with what comparing it to the second says of them."""
    grown = {place.path: place.shape for place in second} if second is not None else {}
    known, last = [], None
    for place in first:
        tap = tap_at(place, size, grown.get(place.path), larger, last)
        known.append(replace(place, tap=tap))
        if tap is not None and tap.kind == "map" and tap.layout != "BNC":
            last = known[-1]
    return known


def _has_class_token(module: nn.Module) -> bool | None:
    """What the network says itself; None where it does not."""
    for name in ("cls_token", "class_token"):
        if hasattr(module, name):
            return getattr(module, name) is not None and getattr(module, name) is not False
    return None
