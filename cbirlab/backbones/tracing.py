"""Tracing: the taps of a network that nobody described, found by running it.

The network runs on noise of two sizes. What each of its parts gives is compared between the two: axes that grow with
the image are positions, and by how much they grow is the stride. Whether values below 0 can occur is read off the
operations that made them, so it does not depend on the weights. A small change of the image shows which of them are no
maps although they have their shape.
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
"""Sides in pixels of the squares that are tried, in turn, on a network of which nobody says what it takes."""
LEAST = 4
"""A map of fewer rows says nothing of how many pixels a row is: padding counts for as much."""
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
    shares : of the network's parameters, one tensor like another, that a place depends on, by path.
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
    """The places of `module` and the taps to take of them, from a few passes over noise; it stays as it is.

    Parameters
    ----------
    module : takes normalised images (B, 3, H, W).
    image_size : (height, width), or the side of a square, that it takes for certain; None for the first of `SIDES`
        that it takes.
    scores : paths of the parts that give class scores, which are no maps.

    Raises
    ------
    ValueError : it does not take such images, or no part of it gives maps or vectors.
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
        if second is not None and not _grows(first, second):  # it brings images to a size of its own
            multiple, second, larger = None, None, None
        if multiple is None and size != given:  # strides are those of the size that images are going to have
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


def _given(module: nn.Module, image_size: int | Size | None) -> Size:
    """The size that is said, or the first usual one that the network takes; the first of all where it takes none."""
    if image_size is None:
        return next(((side, side) for side in SIDES if digests(module, (side, side))), (SIDES[0], SIDES[0]))
    return (image_size, image_size) if isinstance(image_size, int) else (int(image_size[0]), int(image_size[1]))


def _grows(first: Sequence[Place], second: Sequence[Place]) -> bool:
    """Whether anything but vectors is larger of a larger image."""
    shapes = {place.path: place.shape for place in second}
    spread = [place for place in first if len(place.shape) > 2]
    return not spread or any(shapes.get(place.path, place.shape) != place.shape for place in spread)


def _maps_alone(module: nn.Module, places: list[Place], size: Size) -> list[Place]:
    """The same without the maps that are none."""
    taps = [place.tap for place in places if place.tap is not None and place.tap.kind == "map"]
    wrong = elsewhere(module, size, taps)
    return [replace(place, tap=None) if place.path in wrong else place for place in places]


def _patch(places: Sequence[Place], size: Size) -> int:
    """The step in pixels of the first map that is a whole number of them: a transformer's patch; 1 for none."""
    for place in places:
        if len(place.shape) == 4 and place.shape[2] >= LEAST and size[0] % place.shape[2] == 0:
            return max(1, size[0] // place.shape[2])
    return 1


def _larger(size: Size, step: int) -> Size:
    """A size of another shape, too, larger by so many doublings of `step` that it shows in every map."""
    height = step * 2 ** max(0, ceil(log2(GROWTH / step)))
    return size[0] + height, size[1] + 2 * height


def _takes(module: nn.Module, size: Size, step: int) -> bool:
    """Whether the network takes sizes that differ by `step`, a little and much."""
    return digests(module, (size[0] + step, size[1] + 2 * step)) and digests(module, _larger(size, step))


def _min_side(module: nn.Module, enough: int, multiple: int) -> int:
    """Shortest side of a square, a multiple of `multiple`, that is digested; all longer ones are taken to be."""
    low, high = 0, enough // multiple
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if digests(module, (middle * multiple, middle * multiple)) else (middle, high)
    return high * multiple


def _places(
    first: list[Place], second: list[Place] | None, size: Size, larger: Size | None, scores: Sequence[str]
) -> list[Place]:
    """The places of the first pass with what comparing it to the second says of them."""
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
    """What the network says itself; None where it does not."""
    for name in ("cls_token", "class_token"):
        if hasattr(module, name):
            return getattr(module, name) is not None and getattr(module, name) is not False
    return None
