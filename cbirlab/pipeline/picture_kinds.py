"""Picture kinds: what can be known of a picture beside its descriptor, and what that depends on beside the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.extract.cache_keys import network_facts
from cbirlab.extract.network import Network
from cbirlab.reranking.keypoints import Keypoints
from cbirlab.store.code import code_version

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

KEYPOINTS, MAPS = "keypoints", "maps"
MOST = float(np.finfo(np.float16).max)

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of features of a picture.

    Attributes
    ----------
    facts : what they depend on beside the picture, as plain data.
    describe : gives the arrays that are kept, for a picture uint8 RGB (H, W, 3).
    opened : gives the features that these arrays hold; those of no picture for None.
    """

    facts: Mapping[str, Any]
    describe: Callable[[np.ndarray], Arrays]
    opened: Callable[[Arrays | None], Any]


def kind_of(name: str, backbone: Backbone, precision: str) -> Kind:
    """The kind "keypoints"; or "maps/1", float16 (C, H, W) of the deepest map, "maps/2" of the one before, and so on.

    Raises
    ------
    ValueError : the backbone has no such map; or an unknown kind.
    """
    what, _, place = name.partition("/")
    if what == KEYPOINTS and not place:
        return _keypoints()
    if what == MAPS and place.isdecimal():
        return _maps(backbone, tap_from_last(backbone, int(place)), precision)
    raise ValueError(f"kind must be '{KEYPOINTS}' or '{MAPS}/<number>', got {name!r}.")


def tap_from_last(backbone: Backbone, place: int) -> str:
    """The tap whose maps are the deepest (1), those before (2), and so on.

    Raises
    ------
    ValueError : there is none.
    """
    taps = [name for name, tap in backbone.taps.items() if tap.kind == "map"][::-1]
    if not 1 <= place <= len(taps):
        there = ", ".join(taps) or "none"
        raise ValueError(
            f"columns: tap must be the place of a map of {backbone.name}, counted from the deepest, got {place}; "
            f"its maps: {there}."
        )
    return taps[place - 1]


def _keypoints() -> Kind:
    import cv2

    parts = ("images", "handcrafted.base", "handcrafted.sift", "reranking.keypoints", __name__.partition(".")[2])
    facts = {"features": KEYPOINTS, "opencv": cv2.__version__, "code": code_version(*parts)}

    def describe(picture: np.ndarray) -> Arrays:
        found = Keypoints.found_in(picture)
        return {"places": found.places, "descriptors": found.descriptors, "size": np.array(found.size, np.int32)}

    def opened(arrays: Arrays | None) -> Keypoints:
        if arrays is None:
            return Keypoints.of_no_picture()
        height, width = arrays["size"].tolist()
        return Keypoints(np.array(arrays["places"]), np.array(arrays["descriptors"]), (height, width))

    return Kind(facts, describe, opened)


def _maps(backbone: Backbone, tap: str, precision: str) -> Kind:
    own = {"features": MAPS, "tap": tap, "precision": precision, "kinds": code_version(__name__.partition(".")[2])}
    network = cache(lambda: Network(backbone, precision=precision))
    none = np.zeros((backbone.taps[tap].channels, 0, 0), np.float16)

    def describe(picture: np.ndarray) -> Arrays:
        if min(picture.shape[:2]) < backbone.min_side:
            return {"map": none}
        found = network().maps(picture[None].copy(), [tap])[tap][0].float().cpu().numpy()
        return {"map": found.clip(-MOST, MOST).astype(np.float16)}

    return Kind({**network_facts(backbone), **own}, describe, lambda arrays: none if arrays is None else _held(arrays))


def _held(arrays: Arrays) -> np.ndarray:
    """A map in memory: a memory map would keep its file open."""
    return np.array(arrays["map"])
