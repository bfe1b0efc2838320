"""Hand-crafted descriptors, a network without weights whose taps they are."""

from cbirlab.backbones.catalogue import NO_WEIGHTS, Tap, add_backbone
from cbirlab.handcrafted import DESCRIPTORS


def _tap(name: str) -> Tap:
    facts = DESCRIPTORS.info(name).facts
    return Tap(name, facts["channels"], 0, facts["kind"])


add_backbone(
    "handcrafted",
    "cbirlab.handcrafted.module:HandCrafted",
    title="Hand-crafted",
    reference=", ".join(DESCRIPTORS.info(name).title for name in DESCRIPTORS.so_far()),
    taps={name: _tap(name) for name in DESCRIPTORS.so_far()},
    default_tap="rootsift",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    weights=NO_WEIGHTS,
    licence="Apache-2.0 (OpenCV), BSD-3-Clause (scikit-image)",
    parameters=0,
)
