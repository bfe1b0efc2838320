"""Aggregation: a map (B, C, H, W) becomes one vector per image. In the order of the survey, 3.2.1.

A pooling is one file of this folder. What is imported here stands first in menus and tables, in this order; the files
that are not named are found, and follow by their names.
"""

from importlib import import_module
from pkgutil import iter_modules

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

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

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
