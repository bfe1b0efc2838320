"""Figures of tables and runs. Each draws into the `ax` it is given, or makes one, and returns it.

Series differ in colour and in marker, line or hatch. Figures made here have no background and middle grey text, so
that they can be read on light and dark pages. A cell that ends in such a call shows the picture; pyplot keeps
nothing. Figures that you make with `pyplot()` look the same.
"""

from cbirlab.plots.adaptation import label_curve, matrix, shift, two_domains
from cbirlab.plots.canvas import described, new_axes, png, pyplot
from cbirlab.plots.maps import point_map
from cbirlab.plots.methods import cosines, overlay, pictures, spectrum
from cbirlab.plots.opacity import regions
from cbirlab.plots.results import bars, changes, costs, factor_lines, factors, lines, win_loss
from cbirlab.plots.years import timeline

__all__ = [
    "bars",
    "changes",
    "cosines",
    "costs",
    "described",
    "factor_lines",
    "factors",
    "label_curve",
    "lines",
    "matrix",
    "new_axes",
    "overlay",
    "pictures",
    "png",
    "point_map",
    "pyplot",
    "regions",
    "shift",
    "spectrum",
    "timeline",
    "two_domains",
    "win_loss",
]
