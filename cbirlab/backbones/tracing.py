"""Tracing: the taps of a network that nobody described, found by running it.

The network runs on noise of two sizes. It compares the outputs of each part for the two: axes that grow with the image
are positions, and the rate at which they grow gives the stride. The operations that made an output show whether values
below 0 can occur, so that does not depend on the weights. A small change of the image shows which outputs are no maps,
although they have the shape of one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import ceil, lcm, log2
from typing import TYPE_CHECKING

from cbirlab.backbones.catalogue import Tap
from cbirlab.backbones.running import digests, elsewhere, evaluating, run
from cbirlab.backbones.tap_shapes import Place, Size, chosen, tap_at

if TYPE_CHECKING:
    from torch import nn

SMALL = (112, 112)
"""Size in pixels of the first image, for a network that takes it: passes over larger ones take longer."""
GROWTH = 64
"""By how many pixels, at least, the second image is taller than the first; it is wider by twice as many."""
SIDES = (224, 256, 240, 384, 192, 288, 299, 320, 336, 448, 512, 128, 112, 96, 64, 32)
"""Sides in pixels of the squares to try, in turn, on a network if nobody says what size it takes."""
LEAST = 4
"""A map of fewer rows does not show how many pixels a row covers: padding has as much effect."""
_MULTIPLES = (1, 8, 16, 32, 64)


@dataclass(frozen=True)
class Traced:
    """The results of running a network; prints as a list of its places.

    Attributes
    ----------
    places : every part that can be tapped, by path, in the order in which they run.
    taps : those that `add_module` takes if nobody chooses: of each stride the last of the outermost parts; of a
        transformer four blocks, evenly spaced and read after the norm that follows, and the class token; then the
        vectors after the last map.
    image_size : (height, width) in pixels that it is known to take.
    multiple : the sides of an image must be multiples of it.
    fixed_size : images of another size are refused.
    min_side : shortest side in pixels of a square image that the network takes.
    shares : by path, the share of the network's parameter tensors, all counted alike, on which a place depends.
    """

    places: Mapping[str, Tap]
    taps: Mapping[str, Tap]
    image_size: Size
    multiple: int
    fixed_size: bool
    min_side: int
    shares: Mapping[str, float]

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


def trace(module: nn.Module, image_size: int | Size | None = None, *, scores: Sequence[str] = ()) -> Traced:
    """Find the places of `module`, and the taps to choose among them, by a few passes over noise; it is not changed.

    Parameters
    ----------
    module : takes normalised images (B, 3, H, W).
    image_size : (height, width), or the side of a square, that it is known to take; None for the first of `SIDES` that
        it takes.
    scores : paths of the parts that give class scores, which are no maps.

    Raises
    ------
    ValueError : the module does not take such images, or no part of it gives maps or vectors.
    """
    with evaluating(module):
        given = _given(module, image_size)
        size = SMALL if min(given) > SMALL[0] and digests(module, SMALL) else given
        first = run(module, size)
        patch = _patch(first, size)
        steps = sorted({*_MULTIPLES, patch})
        multiple = next((step for step in steps if _takes(module, size, step)), None)
        larger = None if multiple is None else _larger(size, lcm(multiple, patch))
        second = None if larger is None else run(module, larger)
        if second is not None and not _grows(first, second):  # it resizes images to a size of its own
            multiple, second, larger = None, None, None
        if multiple is None and size != given:  # strides must be measured at the size that images will have
            size, first = given, run(module, given)
        places = _maps_alone(module, _places(first, second, size, larger, scores), size)
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
            shares={path: place.share for place in places for path in place.paths},
        )


def code_of(module: nn.Module) -> str:
    """sha256 of the source of a network's classes, except torch's own and those whose source cannot be read."""
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


def _given(module: nn.Module, image_size: int | Size | None) -> Size:
    """The given size, or the first usual one that the network takes; if it takes none, the first of all."""
    if image_size is None:
        return next(((side, side) for side in SIDES if digests(module, (side, side))), (SIDES[0], SIDES[0]))
    return (image_size, image_size) if isinstance(image_size, int) else (int(image_size[0]), int(image_size[1]))


def _grows(first: Sequence[Place], second: Sequence[Place]) -> bool:
    """Whether any output other than a vector grows with the image."""
    shapes = {place.path: place.shape for place in second}
    spread = [place for place in first if len(place.shape) > 2]
    return not spread or any(shapes.get(place.path, place.shape) != place.shape for place in spread)


def _maps_alone(module: nn.Module, places: list[Place], size: Size) -> list[Place]:
    """The places without those that only look like maps."""
    taps = [place.tap for place in places if place.tap is not None and place.tap.kind == "map"]
    wrong = elsewhere(module, size, taps)
    return [replace(place, tap=None) if place.path in wrong else place for place in places]


def _patch(places: Sequence[Place], size: Size) -> int:
    """The step of the first map whose step is a whole number of pixels: a transformer's patch; 1 if there is none."""
    for place in places:
        if len(place.shape) == 4 and place.shape[2] >= LEAST and size[0] % place.shape[2] == 0:
            return max(1, size[0] // place.shape[2])
    return 1


def _larger(size: Size, step: int) -> Size:
    """A size of another shape, larger by enough doublings of `step` to show in every map."""
    height = step * 2 ** max(0, ceil(log2(GROWTH / step)))
    return size[0] + height, size[1] + 2 * height


def _takes(module: nn.Module, size: Size, step: int) -> bool:
    """Whether the network takes sizes that differ by `step`, both by a little and by a lot."""
    return digests(module, (size[0] + step, size[1] + 2 * step)) and digests(module, _larger(size, step))


def _min_side(module: nn.Module, enough: int, multiple: int) -> int:
    """Shortest side of a square, a multiple of `multiple`, that the network takes; assumes it takes all longer ones."""
    low, high = 0, enough // multiple
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if digests(module, (middle * multiple, middle * multiple)) else (middle, high)
    return high * multiple


def _places(
    first: list[Place], second: list[Place] | None, size: Size, larger: Size | None, scores: Sequence[str]
) -> list[Place]:
    """The places of the first pass, with how to read each of them by comparison with the second pass."""
    grown = {place.path: place.shape for place in second} if second is not None else {}
    known, last = [], None
    for place in first:
        tap = tap_at(place, size, grown.get(place.path), larger, last)
        if (
            tap is not None
            and tap.kind == "map"
            and any(_inside(path, part) for path in place.paths for part in scores)
        ):
            tap = None
        known.append(replace(place, tap=tap))
        if tap is not None and tap.kind == "map" and tap.layout != "BNC":
            last = known[-1]
    return known


def _inside(path: str, part: str) -> bool:
    return path == part or path.startswith(f"{part}.")


def _has_class_token(module: nn.Module) -> bool | None:
    """Whether the network says that it has a class token; None if it does not say."""
    for name in ("cls_token", "class_token"):
        if hasattr(module, name):
            return getattr(module, name) is not None and getattr(module, name) is not False
    return None
