"""Aggregation: a map (B, C, H, W) becomes one vector per image. In the order of the survey, 3.2.1.

A pooling is one file of `poolings`.
"""

from cbirlab.aggregation.base import AGGREGATIONS, pooling
from cbirlab.aggregation.registered import (
    GEM_FLOOR,
    cam,
    crow,
    gem,
    gem_per_channel,
    gem_sweep,
    mac,
    pwa,
    rmac,
    scda,
    spoc,
)
from cbirlab.aggregation.spec import Aggregation, registry_of

__all__ = [
    "AGGREGATIONS",
    "GEM_FLOOR",
    "Aggregation",
    "cam",
    "crow",
    "gem",
    "gem_per_channel",
    "gem_sweep",
    "mac",
    "pooling",
    "pwa",
    "registry_of",
    "rmac",
    "scda",
    "spoc",
]
