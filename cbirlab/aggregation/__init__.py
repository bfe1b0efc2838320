"""Aggregation: a map (B, C, H, W) becomes one vector per image. In the order of the survey, 3.2.1."""

# What is imported first stands first in menus and tables.
# isort: off
from cbirlab.aggregation.base import AGGREGATIONS, pooling
from cbirlab.aggregation.mac import mac
from cbirlab.aggregation.spoc import spoc
from cbirlab.aggregation.gem import GEM_FLOOR, gem, gem_per_channel, gem_sweep
from cbirlab.aggregation.rmac import rmac
from cbirlab.aggregation.crow import crow
from cbirlab.aggregation.scda import scda
from cbirlab.aggregation.pwa import pwa
from cbirlab.aggregation.cam import cam
from cbirlab.aggregation.spec import Aggregation, registry_of

# isort: on

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
