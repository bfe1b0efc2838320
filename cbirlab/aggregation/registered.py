"""Registered: the poolings of this package, in the order of the survey, 3.2.1.

The poolings imported here come first in menus and tables, in this order; the package finds the other files of
`poolings`, and they follow in the order of their names.
"""

from importlib import import_module
from pkgutil import iter_modules

from cbirlab.aggregation import poolings

# isort: off
from cbirlab.aggregation.poolings.mac import mac
from cbirlab.aggregation.poolings.spoc import spoc
from cbirlab.aggregation.poolings.gem import GEM_FLOOR, gem, gem_per_channel, gem_sweep
from cbirlab.aggregation.poolings.rmac import rmac
from cbirlab.aggregation.poolings.crow import crow
from cbirlab.aggregation.poolings.scda import scda
from cbirlab.aggregation.poolings.pwa import pwa
from cbirlab.aggregation.poolings.cam import cam

# isort: on

for _module in iter_modules(poolings.__path__):
    import_module(f"{poolings.__name__}.{_module.name}")

__all__ = ["GEM_FLOOR", "cam", "crow", "gem", "gem_per_channel", "gem_sweep", "mac", "pwa", "rmac", "scda", "spoc"]
