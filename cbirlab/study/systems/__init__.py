"""Systems: the methods of the survey's Tables 2, 3 and 4 by their names."""

# Table 3 is registered first.
from cbirlab.study.systems import off_the_shelf, fine_tuned, diffusing  # noqa: F401, I001
from cbirlab.study.systems.base import SYSTEMS, System
from cbirlab.study.systems.running import compare_systems, run

__all__ = ["SYSTEMS", "System", "compare_systems", "run"]
