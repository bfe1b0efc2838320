"""Backbones: what each network knows about itself, told without loading torch, and the network with its weights."""

from cbirlab.backbones import networks  # noqa: F401  # fills the catalogue
from cbirlab.backbones.catalogue import BACKBONES, IMAGENET_MEAN, IMAGENET_STD, Tap, add_backbone, taps_of
from cbirlab.backbones.loading import Backbone, check_tap, classifier_of, load_backbone

__all__ = [
    "BACKBONES",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Backbone",
    "Tap",
    "add_backbone",
    "check_tap",
    "classifier_of",
    "load_backbone",
    "taps_of",
]
