"""Figures of tables and runs. Each draws into the `ax` it is given, or makes one, and returns it.

Series differ in colour and in marker, line or hatch. A figure that is made here has no background and a middle grey for
its text, so that it can be read on a light and on a dark page. A cell that ends in such a call shows the picture;
nothing is kept in pyplot. Own figures made with `pyplot()` look alike.
"""

from cbirlab.plots.canvas import described, new_axes, png, pyplot
from cbirlab.plots.methods import cosines, overlay, pictures, spectrum
from cbirlab.plots.results import bars, changes, factor_lines, factors, lines, win_loss

__all__ = [
    "bars",
    "changes",
    "cosines",
    "described",
    "factor_lines",
    "factors",
    "lines",
    "new_axes",
    "overlay",
    "pictures",
    "png",
    "pyplot",
    "spectrum",
    "win_loss",
]
