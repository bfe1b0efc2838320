"""Backbones: the facts about each network, known without loading torch, and the network with its weights."""

from cbirlab.backbones import networks  # noqa: F401  # fills the catalogue
from cbirlab.backbones.backbone import Backbone, check_tap, classifier_of, tap_before
from cbirlab.backbones.catalogue import BACKBONES, IMAGENET_MEAN, IMAGENET_STD, Tap, add_backbone, taps_of
from cbirlab.backbones.from_hub import trust_hub
from cbirlab.backbones.loading import load_backbone
from cbirlab.backbones.local_weights import Availability, availability, backbones_here
from cbirlab.backbones.modules import add_module
from cbirlab.backbones.names import choices_of, in_one_word, split_backbone, usual_backbone
from cbirlab.backbones.published_weights import Release, releases
from cbirlab.backbones.tracing import Traced, trace

__all__ = [
    "BACKBONES",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Availability",
    "Backbone",
    "Release",
    "Tap",
    "Traced",
    "add_backbone",
    "add_module",
    "availability",
    "backbones_here",
    "check_tap",
    "choices_of",
    "classifier_of",
    "in_one_word",
    "load_backbone",
    "releases",
    "split_backbone",
    "tap_before",
    "taps_of",
    "trace",
    "trust_hub",
    "usual_backbone",
]
