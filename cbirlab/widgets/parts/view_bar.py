"""The bar above a workbench: how large and how many pictures, what is unfolded, a search by name, and a way back."""

from __future__ import annotations

from typing import Any

import anywidget
import ipywidgets as widgets
from traitlets import Unicode

from cbirlab.widgets.parts.controls import set_option
from cbirlab.widgets.parts.gallery import AUTO_SIDE, page_text
from cbirlab.widgets.parts.tooltips import tooltip

SIDES = (64, 88, 124, 180, 260, 360)
COUNTS = (6, 12, 24, 48, 96, 192)
NARROW = {"width": "auto"}


class FillButton(anywidget.AnyWidget):
    """A button that lets the panel around it fill the screen, and back."""

    _esm = page_text("fill.js")

    label = Unicode("Fill the screen with this panel (Esc: back)").tag(sync=True)


class ViewBar(widgets.HBox):
    """Controls of what is seen; none of them changes what is found.

    Parameters
    ----------
    first : what comes first in the bar.
    shown : pictures in a gallery to start with.

    Attributes
    ----------
    side, count : least width of a picture in pixels, `AUTO_SIDE` for one that suits the room; pictures in a gallery.
    settings, map : whether these panes are unfolded.
    compare : whether a second setting is shown.
    back, forward : buttons.
    find : a part of a file name.
    """

    def __init__(self, first: Any, *, shown: int) -> None:
        looks = {"style": {"description_width": "auto"}, "layout": {"width": "10em"}}
        self.compare = widgets.ToggleButton(
            description="Compare A | B",
            icon="columns",
            tooltip=tooltip("Compare A | B"),
            layout=NARROW,
        )
        self.back = widgets.Button(description="Back", tooltip=tooltip("Back"), layout=NARROW)
        self.forward = widgets.Button(description="Forward", tooltip=tooltip("Forward"), layout=NARROW)
        self.find = widgets.Text(
            placeholder="part of a file name",
            description="find",
            tooltip=tooltip("find"),
            continuous_update=False,
            **looks,
        )
        sizes = [("auto", AUTO_SIDE), *((f"{side} px", side) for side in SIDES)]
        self.side = widgets.SelectionSlider(options=sizes, description="tiles", tooltip=tooltip("tiles"), **looks)
        self.count = widgets.SelectionSlider(
            options=[(str(count), count) for count in COUNTS],
            value=COUNTS[0],
            description="show",
            tooltip=tooltip("show"),
            **looks,
        )
        set_option(self.count, str(shown), shown)
        self.settings, self.map = (
            widgets.ToggleButton(value=True, description=name, tooltip=tooltip(f"pane of {name}"), layout=NARROW)
            for name in ("settings", "map")
        )
        parts = [
            first,
            self.compare,
            self.back,
            self.forward,
            self.find,
            self.side,
            self.count,
            self.settings,
            self.map,
            FillButton(),
        ]
        super().__init__(parts, layout={"flex_flow": "row wrap", "align_items": "center"})
        self.add_class("cbirlab-view-bar")
